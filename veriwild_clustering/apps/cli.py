"""The console script `veriwild`: subcommands, thin over the public functions, and what their failures look like."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

from veriwild_clustering import __version__
from veriwild_clustering.apps import assign, create_dataset, criterion, folders, run, segment
from veriwild_clustering.apps.engine import command as engine
from veriwild_clustering.apps.networks import models, train
from veriwild_clustering.apps.page import command as page

__all__ = ["main"]

BAD_INPUT = 2
INTERRUPTED = 130

_COMMANDS: dict[str, ModuleType] = {
    "create-dataset": create_dataset,
    "run": run,
    "app": page,
    "assign": assign,
    "criterion": criterion,
    "engine": engine,
    "folders": folders,
    "train": train,
    "segment": segment,
    "models": models,
}

_EXIT_CODES = """\
exit codes:
  0    done
  1    the notebook raised an error (run)
  2    input that cannot be used: one line on the error stream says what, where, and what to do
  3    the result is written, but there were fewer than five usable images, too few to group (engine)
  130  interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    logging.getLogger("veriwild_clustering").setLevel(logging.INFO)
    try:
        return _COMMANDS[arguments.command].run(arguments)
    except (OSError, ValueError) as error:
        print(f"veriwild {arguments.command}: {_one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"veriwild {arguments.command}: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="veriwild",
        description="Split images of vehicles into clusters, interpret them, and find outliers.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in _COMMANDS.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=getattr(module, "EXAMPLES", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
    return parser


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
