"""Answers on the disk: whoever is killed, and whoever else asks, none is lost and none is asked for again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.chat_server import chat_server
from tests.images.captioning.conftest import Connect, tell_row
from veriwild_clustering import DatasetError
from veriwild_clustering.images.captioning.cache import AnswerCache
from veriwild_clustering.images.captioning.prompts import Prompt

QUESTIONS = [Prompt(f"Question {n}") for n in range(120)]
RUN = """
import sys
from veriwild_clustering.images.captioning.endpoint import ChatEndpoint
from veriwild_clustering.images.captioning.prompts import Prompt
endpoint = ChatEndpoint("words", base_url=sys.argv[1], cache=sys.argv[2], concurrency=4)
endpoint.ask([Prompt(f"Question {n}") for n in range(120)])
"""


def test_a_kill_at_any_moment_loses_no_answer(connect: Connect, tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    with chat_server(tell_row, latency=0.02) as server:
        for n_more in (1, 40):
            target = server.n_requests + n_more
            run = subprocess.Popen([sys.executable, "-c", RUN, server.url, str(folder)])
            while server.n_requests < target:
                assert run.poll() is None
                time.sleep(0.002)
            run.send_signal(signal.SIGKILL)
            run.wait()
        time.sleep(0.1)  # answers under way reach nobody now
        n_known = sum(file.read_bytes().count(b"\n") for file in folder.iterdir())
        n_before = server.n_requests
        assert n_before - 2 * 4 <= n_known <= n_before  # at most what was under way at each kill
        answers = connect(server).ask(QUESTIONS)
        assert [answer.value for answer in answers] == [f"said: Question {n}" for n in range(120)]
        assert sum(answer.cached for answer in answers) == n_known
        assert server.n_requests - n_before == 120 - n_known
        again = Counter(request.text for request in server.requests)
        assert sum(count - 1 for count in again.values()) == n_before - n_known


def test_those_who_share_a_folder_learn_what_the_others_know(connect: Connect) -> None:
    with chat_server(tell_row, latency=0.05) as server:
        both = [connect(server, concurrency=2) for _ in range(2)]
        orders = QUESTIONS, [*QUESTIONS[60:], *QUESTIONS[:60]]
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda one, prompts: one.ask(prompts), both, orders))
        assert all(answer.value for answers in found for answer in answers)
        # Each learns within a second what the other has; only what both ask meanwhile is asked twice.
        assert 120 <= server.n_requests <= 200
        before = server.n_requests
        assert all(answer.cached for answer in connect(server).ask(QUESTIONS))
        assert server.n_requests == before


def test_what_is_half_written_or_no_record_is_skipped(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.add("a", {"value": "é"})
    (journal,) = tmp_path.iterdir()
    journal.with_name("foreign.answers.jsonl").write_bytes(
        b'\0\0\0\n[1]\n"x"\n{"no": 1}\n{"key": "b", "value": "whole"}\n{"key": "c", '
    )
    (tmp_path / "notes.txt").write_text("nothing")
    later = AnswerCache(tmp_path)
    assert [(later.find(key) or {}).get("value") for key in "abc"] == ["é", "whole", None]
    later.add("c", {"value": "asked again"})
    assert (AnswerCache(tmp_path).find("c") or {})["value"] == "asked again"


def test_a_journal_that_is_taken_away_is_forgotten(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    cache.add("a", {"value": 1})
    for journal in tmp_path.iterdir():
        journal.unlink()
    assert cache.find("a") is None
    cache.add("b", {"value": 2})
    assert (cache.find("b") or {})["value"] == 2


def test_the_last_record_counts(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    for value in (1, 2):
        cache.add("a", {"value": value})
    assert (cache.find("a") or {})["value"] == (AnswerCache(tmp_path).find("a") or {})["value"] == 2


def test_a_cache_that_cannot_be_written_is_one_error(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with chat_server(tell_row) as server, pytest.raises(DatasetError, match="Cannot write"):
        connect(server, cache=tmp_path / "file" / "answers", concurrency=1).ask(QUESTIONS)
    assert server.n_requests == 1
