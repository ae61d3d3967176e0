"""Models behind an endpoint that speaks chat completions: hosted services, vLLM, Ollama, llama.cpp, LM Studio."""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.captioning.budget import Usage
from veriwild_clustering.images.captioning.cache import AnswerCache
from veriwild_clustering.images.captioning.chat.calls import ChatClient, Outcome
from veriwild_clustering.images.captioning.chat.conversation import Conversation, Manner, Verdict
from veriwild_clustering.images.captioning.chat.dialects import Question
from veriwild_clustering.images.captioning.chat.keys import EndpointError, find_key, find_url
from veriwild_clustering.images.captioning.chat.retries import Patience
from veriwild_clustering.images.captioning.chat.sent_images import data_url, image_digest, image_tokens
from veriwild_clustering.images.captioning.chat.settings import answers_folder, limited_budget, named_models
from veriwild_clustering.images.captioning.chat.workers import worked_off
from veriwild_clustering.images.captioning.prompts import Answer, Prompt
from veriwild_clustering.images.reading import BadImageError, image_store_of

__all__ = ["ChatEndpoint"]

_VERSION = 1  # of the key of an answer: what is asked, and how an image is sent
_KEPT = {Outcome.SAID, Outcome.CUT, Outcome.DECLINED}
_HOPELESS = 50
_UNUSABLE = "the image cannot be used: {}"


class ChatEndpoint:
    """Models that answer questions about images and words, at an endpoint.

    Parameters
    ----------
    text_model, vision_model : str, optional
        Who answers questions of words alone, and those with an image; one of them stands for both. By default what the
        environment variables VERIWILD_TEXT_MODEL and VERIWILD_VISION_MODEL say.
    base_url : str, optional
        Address of the endpoint, such as http://localhost:11434/v1. By default that of OPENAI_BASE_URL, else OpenAI's.
        The key comes from OPENAI_API_KEY, or is asked for; a server on this machine needs none.
    cache : path, optional
        Folder of known answers. By default what VERIWILD_ANSWERS says, else a folder in the user's cache.
    max_requests : int, optional
        Requests that this object may send, repetitions included. Questions beyond have no answer, and say so.
    max_cost : float, optional
        What its answers may cost; a request is sent only if the most that it may take is left. Needs `prices`.
    prices : pair of float, optional
        Price of a million tokens sent and of a million received.
    concurrency : int, default 16
        Requests at once.
    image_size : int, default 512
        Longer side in pixels with which images are sent; smaller ones are sent as they are.
    max_tokens : int, default 300
        The longest answer.
    temperature : float, default 0
        Chance in answers, for models that take it.
    patience : Patience, optional
        Time-outs, tries and waits.
    ask_again : bool, default False
        Whether questions that a model has refused, or not answered as asked, are put to it again.

    Raises
    ------
    EndpointError
        If there is no key, or the package openai is not installed.
    TypeError, ValueError
        If no model is named or a value is out of range.

    Notes
    -----
    An answer is known by the file of the image, the size at which it is sent, the messages, the schema, the model and
    the temperature, wherever the model runs. It is on the disk before the next question is put by the same thread.

    Examples
    --------
    >>> import tempfile
    >>> from veriwild_clustering.images.captioning.endpoint import ChatEndpoint
    >>> from veriwild_clustering.images.captioning.prompts import Prompt
    >>> endpoint = ChatEndpoint("qwen3", base_url="http://localhost:11434/v1", cache=tempfile.mkdtemp())
    >>> print(endpoint.estimate([Prompt("Is a van a car?"), Prompt("Is a van a car?")]))
    2 questions, 1 of them known: 1 requests, 4 tokens sent, 300 received
    """

    def __init__(
        self,
        text_model: str | None = None,
        vision_model: str | None = None,
        *,
        base_url: str | None = None,
        cache: str | Path | None = None,
        max_requests: int | None = None,
        max_cost: float | None = None,
        prices: tuple[float, float] | None = None,
        concurrency: int = 16,
        image_size: int = 512,
        max_tokens: int = 300,
        temperature: float = 0.0,
        patience: Patience | None = None,
        ask_again: bool = False,
    ) -> None:
        self._text_model, self._vision_model = named_models(text_model, vision_model)
        self._concurrency = check_int("concurrency", concurrency, low=1)
        self._side = check_int("image_size", image_size, low=16)
        self._manner = Manner(
            check_int("max_tokens", max_tokens, low=1),
            check_real("temperature", temperature, low=0, high=2),
            image_tokens(self._side),
        )
        self._budget = limited_budget(max_requests, max_cost, prices)
        self._ask_again = ask_again
        self._cache = AnswerCache(answers_folder(cache))
        url, patience = find_url(base_url), patience or Patience()
        self._client = ChatClient(url, find_key(url), patience.timeout)
        self._conversation = Conversation(self._client, self._manner, self._budget, patience=patience)
        weakref.finalize(self, self._client.close)
        self._lock = threading.Lock()
        self._pending: dict[str, Future[Verdict]] = {}
        self._n_prompts = self._n_known = self._n_failed_in_a_row = 0

    def __repr__(self) -> str:
        return f"ChatEndpoint({self.name!r} at {self._client.url})"

    @property
    def name(self) -> str:
        """The models that answer."""
        return " / ".join(dict.fromkeys((self._vision_model, self._text_model)))

    @property
    def usage(self) -> Usage:
        """What this object has asked so far, and what that took."""
        spent = self._budget
        cost = None if spent.prices is None else spent.cost
        return Usage(self._n_prompts, self._n_known, spent.n_requests, spent.n_input, spent.n_output, cost)

    def estimate(
        self, prompts: Sequence[Prompt], dataset: Dataset | None = None, *, progress: bool | None = None
    ) -> Usage:
        """Return what asking would take, without sending anything.

        Parameters
        ----------
        prompts : sequence of Prompt
            The questions.
        dataset : Dataset, optional
            The dataset whose images they are about.
        progress : bool, optional
            Whether to show a progress bar. By default where somebody watches.

        Returns
        -------
        Usage
            One request per question that is neither known nor equal to another. A token counts as four bytes of words,
            or 32 x 32 pixels of a square with the side `image_size`; answers count as long as they may be.

        Raises
        ------
        TypeError, ValueError
            If a question is none, or is about an image that the dataset does not have.

        Notes
        -----
        O(n_prompts), and the files of the images are read. Repetitions after errors and repairs come on top. Models
        count an image with 85 to 1,500 tokens: compare with `usage` after the first hundred answers.
        """
        _check_prompts(prompts, dataset)
        keys: set[str] = set()
        n_input = n_known = 0
        for prompt in track(prompts, description="estimating", unit="question", show=progress):
            try:
                key = self._key(prompt, dataset)
            except BadImageError:  # it will not be asked
                continue
            if key in keys or self._known(key) is not None:
                n_known += 1
                continue
            keys.add(key)
            n_input += self._manner.input_tokens(self._question(prompt, image="" if prompt.row is None else "image"))
        n_output = len(keys) * self._manner.max_tokens
        cost = self._budget.prices.of(n_input, n_output) if self._budget.prices else None
        return Usage(len(prompts), n_known, len(keys), n_input, n_output, cost)

    def ask(
        self, prompts: Sequence[Prompt], dataset: Dataset | None = None, *, progress: bool | None = None
    ) -> list[Answer]:
        """Return one answer per question, in order.

        Parameters
        ----------
        prompts : sequence of Prompt
            The questions; equal ones are asked once.
        dataset : Dataset, optional
            The dataset whose images they are about.
        progress : bool, optional
            Whether to show a progress bar. By default where somebody watches.

        Returns
        -------
        list of Answer
            Where there is no answer, the reason.

        Raises
        ------
        EndpointError
            If nothing will be answered: the key is refused, there is no such model, nobody is at that address. What was
            answered before is kept.
        DatasetError
            If the cache cannot be written to.
        TypeError, ValueError
            If a question is none, or is about an image that the dataset does not have.

        Notes
        -----
        O(n_prompts) requests, `concurrency` of them at once. After an interruption, the answers under way are awaited
        and kept, and the next call goes on from there.
        """
        _check_prompts(prompts, dataset)
        answers: list[Any] = [None] * len(prompts)
        self._n_failed_in_a_row = 0

        def work(place: int, stop: threading.Event) -> None:
            answers[place] = self._answer(prompts[place], dataset, stop)

        with closing(worked_off(len(prompts), work, n_threads=self._concurrency)) as done:
            for _ in track(done, description="asking", total=len(prompts), unit="question", show=progress):
                pass
        return answers

    def _answer(self, prompt: Prompt, dataset: Dataset | None, stop: threading.Event) -> Answer:
        try:
            key = self._key(prompt, dataset)
        except BadImageError as error:
            return Answer(None, reason=_UNUSABLE.format(error))
        with self._lock:
            self._n_prompts += 1
            other = self._pending.get(key)
            if other is None:
                self._pending[key] = Future()
        if other is not None:
            return self._counted(_answer_of(other.result()))
        return self._first_answer(key, prompt, dataset, stop)

    def _first_answer(self, key: str, prompt: Prompt, dataset: Dataset | None, stop: threading.Event) -> Answer:
        """Return the answer from the cache or the endpoint; whoever waits for the same question learns it too."""
        verdict = Verdict(None, Outcome.FAILED, "not asked: the same question raised an error")
        try:
            if (known := self._known(key)) is not None:  # looked up once nobody else can be asking it
                verdict = known
                return self._counted(_answer_of(known))
            verdict = self._verdict(prompt, dataset, stop)
            if verdict.outcome in _KEPT:
                self._cache.add(key, _record(verdict, self._manner.max_tokens))
        finally:
            with self._lock:
                self._pending.pop(key).set_result(verdict)
        if verdict.outcome is Outcome.FATAL:
            raise EndpointError(
                f"{self!r} answers no question: {verdict.reason}. What was answered before is kept: run again, and it "
                f"goes on from there."
            )
        return Answer(verdict.value, reason=verdict.reason, n_tokens=verdict.n_tokens)

    def _verdict(self, prompt: Prompt, dataset: Dataset | None, stop: threading.Event) -> Verdict:
        if self._n_failed_in_a_row >= _HOPELESS:
            return Verdict(None, Outcome.WITHHELD, f"not asked: {_HOPELESS} questions in a row had failed before")
        try:
            image = "" if prompt.row is None or dataset is None else data_url(dataset, prompt.row, side=self._side)
        except BadImageError as error:
            return Verdict(None, Outcome.WITHHELD, _UNUSABLE.format(error))
        verdict = self._conversation.put(self._question(prompt, image=image), stop)
        if verdict.outcome in {Outcome.FAILED, Outcome.REJECTED}:
            with self._lock:
                self._n_failed_in_a_row += 1
        elif verdict.outcome in _KEPT:
            self._n_failed_in_a_row = 0
        return verdict

    def _known(self, key: str) -> Verdict | None:
        record = self._cache.find(key)
        if record is None or (self._ask_again and record["value"] is None):
            return None
        if record["max_tokens"] not in {None, self._manner.max_tokens}:  # it was cut off, and may now be longer
            return None
        return Verdict(record["value"], Outcome.SAID, record["reason"])

    def _counted(self, answer: Answer) -> Answer:
        with self._lock:
            self._n_known += 1
        return answer

    def _question(self, prompt: Prompt, *, image: str) -> Question:
        text, system = (words.encode("utf-8", "replace").decode() for words in (prompt.text, prompt.system))
        return Question(self._model(prompt), text, system, image, prompt.schema)

    def _model(self, prompt: Prompt) -> str:
        return self._text_model if prompt.row is None else self._vision_model

    def _key(self, prompt: Prompt, dataset: Dataset | None) -> str:
        """Return what an answer is known by; BadImageError if there is no image."""
        image = None
        if prompt.row is not None and dataset is not None:
            image = [image_digest(dataset, prompt.row), self._side]
        asked = [_VERSION, self._model(prompt), self._manner.temperature, prompt.system, prompt.text, prompt.schema]
        return hashlib.sha256(json.dumps([*asked, image], sort_keys=True).encode("ascii")).hexdigest()


def _answer_of(known: Verdict) -> Answer:
    return Answer(known.value, reason=known.reason, cached=known.value is not None)


def _record(verdict: Verdict, max_tokens: int) -> dict[str, Any]:
    cut_at = max_tokens if verdict.outcome is Outcome.CUT else None
    return {"value": verdict.value, "reason": verdict.reason, "n_tokens": verdict.n_tokens, "max_tokens": cut_at}


def _check_prompts(prompts: Sequence[Prompt], dataset: Dataset | None) -> None:
    for prompt in prompts:
        if not isinstance(prompt, Prompt):
            raise TypeError(f"`prompts` must be a sequence of Prompt. Got {type(prompt).__name__} among them instead.")
        if prompt.row is not None:
            if dataset is None:
                raise ValueError("`dataset` must be given for questions with a row. Got none.")
            image_store_of(dataset)
            check_int("row", prompt.row, low=0, high=len(dataset), high_name="n_images")
