# `make run` and `make test` do all the set-up, in .venv alone; `make help` lists the rest.
# `make run PYTHON=python3.12` chooses the interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

NO_PYTHON = No command "$(PYTHON)". Install Python 3.11 or newer, or name it: make run PYTHON=python3.12
OLD_PYTHON = "$(PYTHON)" is older than Python 3.11. Install a newer one, or name it: make run PYTHON=python3.12
NO_VENV = "$(PYTHON)" cannot make virtual environments. Debian, Ubuntu: apt install python3-venv
NO_COMPILER = No C/C++ compiler. image-quality needs libsvm, which is compiled here. \
	Debian, Ubuntu: apt install build-essential. Fedora: dnf install gcc-c++. macOS: xcode-select --install
NO_INSTALL = pip could not install the requirements: its message is above. It needs a package index (network, or PIP_INDEX_URL).

HAS_COMPILER = import os, shutil, sys, sysconfig; \
	tools = [(os.environ.get(v) or sysconfig.get_config_var(v) or d).split()[0] for v, d in (("CC", "cc"), ("CXX", "c++"))]; \
	sys.exit(not all(map(shutil.which, tools)))

or_stop = || { printf '\n%s\n' '$(1)' >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help run test lint clean

help:  ## list what make can do
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

run: $(VENV)/run.stamp  ## raw data or the drawn sample -> dataset, executed notebook, best partition, HTML report
	@$(BIN)/veriwild run

test: lint  ## lint, types, import contract, unit tests, doctests, notebooks
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: $(VENV)/test.stamp  ## lint, format, types and import contract alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## remove the environment and everything generated; raw_data/ stays
	rm -rf $(VENV) transport_dataset transport_dataset.csv best_partition.csv reports .sweeps *.executed.ipynb
	rm -rf *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# -e: the package runs from this folder, so an edited line is used at once, and `veriwild` is on the environment's path.
$(VENV)/run.stamp: requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null $(call or_stop,$(NO_PYTHON))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' $(call or_stop,$(OLD_PYTHON))
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null $(call or_stop,$(NO_VENV))
	@$(PYTHON) -c '$(HAS_COMPILER)' $(call or_stop,$(NO_COMPILER))
	@echo 'Setting up $(VENV): a minute or two, once'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet -r requirements.txt -e . $(call or_stop,$(NO_INSTALL))
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	@$(PIP) install --quiet -e '.[test]' $(call or_stop,$(NO_INSTALL))
	@touch $@
