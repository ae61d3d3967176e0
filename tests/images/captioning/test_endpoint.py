"""Questions to a server that behaves: who answers, what is sent, what is known afterwards."""

from __future__ import annotations

import base64
import json
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, PngImagePlugin

from tests.chat_server import ChatRequest, Fault, chat_server
from tests.images.captioning.conftest import N_IMAGES, Connect, row_of, tell_row
from veriwild_clustering import Dataset, ImageStore
from veriwild_clustering.images.captioning.chat.parsing import spoken
from veriwild_clustering.images.captioning.endpoint import ChatEndpoint
from veriwild_clustering.images.captioning.prompts import Answer, Answerer, Prompt, choice

COLOURS = ["red", "green", "blue"]
EACH = [Prompt("What is it?", row=row) for row in range(N_IMAGES)]


def colour_of(request: ChatRequest) -> str:
    return COLOURS[row_of(request) % 3]


def test_every_question_has_its_own_answer_in_order(pictured: Dataset, connect: Connect) -> None:
    prompts = [*EACH[::-1], Prompt("Is a van a car?", system="Be brief.")]
    with chat_server(tell_row, latency=0.05) as server:
        endpoint = connect(server)
        answers = endpoint.ask(prompts, pictured)
        assert isinstance(endpoint, Answerer)
        assert [answer.value for answer in answers] == [
            *(f"row {row}" for row in range(N_IMAGES - 1, -1, -1)),
            "said: Is a van a car?",
        ]
        assert all(answer.n_tokens > 0 and not answer.cached and not answer.reason for answer in answers)
        assert {request.model for request in server.requests if request.jpeg} == {"pixels"}
        (words,) = [request for request in server.requests if not request.jpeg]
        assert (words.model, words.system) == ("words", "Be brief.")
        assert server.n_requests == len(prompts)
        assert 8 < server.most_at_once <= 16
        assert endpoint.name == "pixels / words"


@pytest.mark.parametrize("structured", ["yes", "refused", "ignored"])
def test_a_schema_is_kept_whatever_the_server_understands(pictured: Dataset, connect: Connect, structured: str) -> None:
    def answer(request: ChatRequest) -> object:
        return {"answer": colour_of(request)} if request.schema or "JSON" in request.text else "A vehicle."

    with chat_server(answer if structured != "ignored" else free_answer, structured=structured) as server:
        answers = connect(server).ask(
            [Prompt("Colour?", row=row, schema=choice(COLOURS)) for row in range(12)], pictured
        )
        assert [answer.value for answer in answers] == [{"answer": COLOURS[row % 3]} for row in range(12)]
        # What the server does not understand costs one more request, once.
        assert server.n_requests == (12 if structured == "yes" else 13)


def free_answer(request: ChatRequest) -> object:
    """Answer as a server that knows of no `response_format`: only the words of the question count."""
    return json.dumps({"answer": colour_of(request)}) if "JSON" in request.text else "A vehicle."


def test_parameters_that_a_model_does_not_take_are_left_out(connect: Connect) -> None:
    def script(request: ChatRequest, _: int) -> Fault | None:
        if "max_tokens" in request.body:
            return Fault("400", message="Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return Fault("400", message="Unsupported value: 'temperature'.") if "temperature" in request.body else None

    with chat_server(tell_row, script=script) as server:
        answers = connect(server, max_tokens=77).ask([Prompt(f"Question {n}") for n in range(20)])
        assert all(answer.value for answer in answers)
        assert server.n_requests == 22
        assert server.requests[-1].body["max_completion_tokens"] == 77


def test_what_does_not_fit_is_repaired_once(pictured: Dataset, connect: Connect) -> None:
    def answer(request: ChatRequest) -> object:
        return {"answer": "red" if request.is_repair and row_of(request) else "crimson"}

    with chat_server(answer) as server:
        endpoint = connect(server)
        prompts = [Prompt("Colour?", row=row, schema=choice(COLOURS)) for row in (0, 1)]
        lost, repaired = endpoint.ask(prompts, pictured)
        assert (lost.value, repaired.value) == (None, {"answer": "red"})
        assert "not an answer as asked" in lost.reason
        assert "crimson" in lost.reason
        assert server.n_requests == 4
        assert [answer.reason for answer in endpoint.ask(prompts, pictured)] == [lost.reason, ""]
        assert server.n_requests == 4  # what a model could not answer is known too …
        connect(server, ask_again=True).ask(prompts, pictured)
        assert server.n_requests == 6  # … unless it is to be asked again


def test_a_second_run_asks_nothing_and_another_server_need_not_either(pictured: Dataset, connect: Connect) -> None:
    with chat_server(tell_row) as server:
        first = connect(server).ask(EACH, pictured)
    with chat_server(tell_row) as elsewhere:
        endpoint = connect(elsewhere)
        second = endpoint.ask(EACH, pictured)
        assert elsewhere.n_requests == 0
        assert second == [Answer(answer.value, cached=True) for answer in first]
        assert (endpoint.usage.n_known, endpoint.usage.n_requests) == (N_IMAGES, 0)


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        (Prompt("What is that?", row=0), {}),
        (Prompt("What is it?", row=0, system="Be brief."), {}),
        (Prompt("What is it?", row=1), {}),
        (Prompt("What is it?"), {}),
        (Prompt("What is it?", row=0, schema={"type": "object"}), {}),
        (Prompt("What is it?", row=0), {"image_size": 32}),
        (Prompt("What is it?", row=0), {"temperature": 1}),
    ],
)
def test_whatever_changes_the_question_is_another_question(
    pictured: Dataset, connect: Connect, prompt: Prompt, options: dict[str, float]
) -> None:
    with chat_server(lambda _: "{}") as server:
        connect(server).ask(EACH[:1], pictured)
        assert not connect(server, **options).ask([prompt], pictured)[0].cached
        assert server.n_requests == 2


def test_an_answer_belongs_to_the_file_not_to_its_name(pictured: Dataset, connect: Connect, tmp_path: Path) -> None:
    data = pictured.image_store.read(pictured.images["path"][3]) if pictured.image_store else b""
    (tmp_path / "moved.png").write_bytes(data)
    moved = Dataset(pd.DataFrame({"path": ["moved.png"]}), image_store=ImageStore(tmp_path))
    with chat_server(tell_row) as server:
        endpoint = connect(server)
        endpoint.ask(EACH[:5], pictured)
        assert endpoint.ask([Prompt("What is it?", row=0)], moved) == [Answer("row 3", cached=True)]


def test_equal_questions_under_way_are_asked_once(pictured: Dataset, connect: Connect) -> None:
    with chat_server(tell_row, latency=0.1) as server:
        endpoint = connect(server)
        found: list[list[Answer]] = []
        threads = [
            threading.Thread(target=lambda: found.append(endpoint.ask([*EACH[:5]] * 8, pictured))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [[answer.value for answer in answers] for answers in found] == [[f"row {n}" for n in range(5)] * 8] * 3
        assert server.n_requests == 5
        assert set(server.by_image.values()) == {1}


def test_pixels_alone_are_sent(tmp_path: Path, connect: Connect) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (900, 1400, 3), dtype=np.uint8))
    exif = image.getexif()
    exif[0x010E], exif[0x0112] = "TELLTALE description", 6
    image.save(tmp_path / "telltale.jpg", exif=exif, comment=b"TELLTALE comment", icc_profile=b"TELLTALE profile")
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "TELLTALE note")
    Image.new("L", (30, 20)).save(tmp_path / "telltale.png", pnginfo=notes)
    dataset = Dataset(pd.DataFrame({"path": ["telltale.jpg", "telltale.png"]}), image_store=ImageStore(tmp_path))
    with chat_server(lambda _: "fine") as server:
        connect(server).ask([Prompt("?", row=0), Prompt("?", row=1)], dataset)
        large, small = sorted((request.image.size for request in server.requests), reverse=True)
        assert large == (329, 512)  # upright, as its EXIF says
        assert small == (30, 20)
        for request in server.requests:
            assert "telltale" not in json.dumps([request.body, dict(request.headers)]).lower()
            assert b"TELLTALE" not in request.jpeg
            assert set(Image.open(BytesIO(request.jpeg)).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert base64.b64encode(b"telltale").decode() not in json.dumps([r.body for r in server.requests])


def test_images_that_cannot_be_used_are_not_asked(tmp_path: Path, connect: Connect) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image at all")
    Image.new("RGB", (9, 9)).save(tmp_path / "good.png")
    dataset = Dataset(
        pd.DataFrame({"path": ["broken.jpg", "lost.jpg", "good.png", "../out.jpg"]}), image_store=ImageStore(tmp_path)
    )
    with chat_server(lambda _: "fine") as server:
        answers = connect(server).ask([Prompt("?", row=row) for row in (0, 0, 1, 2, 3)], dataset)
        assert [answer.value for answer in answers] == [None, None, None, "fine", None]
        reasons = [answer.reason for answer in answers]
        assert all(reason.startswith("the image cannot be used: ") for reason in reasons if reason)
        assert [reason.split(": ")[1] for reason in reasons if reason] == [
            "unreadable",
            "unreadable",
            "missing",
            "refused",
        ]
        assert server.n_requests == 1


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("<think>Is it {'answer': 'blue'}?</think>\n\nA red car.", "A red car."),
        ("It may be blue.\n</think>\nA red car.", "A red car."),
        ('{"answer": "a sign with </think>"}', '{"answer": "a sign with </think>"}'),
    ],
)
def test_thoughts_before_an_answer_are_no_part_of_it(connect: Connect, said: str, value: str) -> None:
    with chat_server(lambda _: said) as server:
        assert connect(server).ask([Prompt("?")])[0].value == value


def test_a_thought_that_is_cut_off_is_no_answer() -> None:
    assert spoken("<think>Is it blue? The") == ""


def test_a_description_that_is_cut_off_is_one_until_it_may_be_longer(connect: Connect) -> None:
    with chat_server(tell_row, script=lambda *_: Fault("length")) as server:
        prompts = [Prompt("Describe."), Prompt("Choose.", schema=choice(["a", "b"]))]
        words, chosen = connect(server, max_tokens=7).ask(prompts)
        assert (words.value, words.reason) == ("sai", "")
        assert (chosen.value, chosen.reason) == (None, "cut off after 7 tokens")
        assert connect(server, max_tokens=7).ask(prompts)[0].cached
        assert server.n_requests == 2
        connect(server, max_tokens=8).ask(prompts)
        assert server.n_requests == 4


def test_words_that_are_no_unicode_are_asked_all_the_same(connect: Connect) -> None:
    with chat_server(tell_row) as server:
        assert connect(server).ask([Prompt("\ud83d lone")])[0].value == "said: ? lone"


def test_what_cannot_be_asked_is_refused(pictured: Dataset, connect: Connect) -> None:
    with chat_server(tell_row) as server:
        endpoint = connect(server)
        for prompts, dataset, error, message in (
            (["words"], None, TypeError, "sequence of Prompt"),
            ([Prompt("?", row=0)], None, ValueError, "`dataset` must be given"),
            ([Prompt("?", row=N_IMAGES)], pictured, ValueError, "n_images"),
            ([Prompt("?", row=0)], Dataset(pictured.images), ValueError, "does not know where its image files lie"),
        ):
            for verb in (endpoint.ask, endpoint.estimate):
                with pytest.raises(error, match=message):
                    verb(prompts, dataset)
        assert endpoint.ask([]) == []
        assert server.n_requests == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_cost": 1.0}, "`prices` must be given"),
        ({"prices": (1,)}, r"`prices` must be two numbers, .* sent .* received, .*Got \(1,\) instead"),
        ({"prices": 2.0}, r"`prices` must be two numbers"),
        ({"concurrency": 0}, "concurrency"),
        ({"max_requests": -1}, "max_requests"),
        ({"temperature": 3}, "temperature"),
        ({"base_url": "localhost:11434"}, "base_url"),
        ({"base_url": "http://user:pass@localhost/v1"}, "OPENAI_API_KEY"),
        ({"text_model": None}, "VERIWILD_TEXT_MODEL"),
    ],
)
def test_endpoints_that_cannot_be_are_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        ChatEndpoint(**{"text_model": "m", "cache": tmp_path, **options})  # type: ignore[arg-type]
