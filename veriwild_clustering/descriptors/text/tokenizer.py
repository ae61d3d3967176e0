"""Text as the numbers that CLIP's text network takes: byte-pair encoding with its published vocabulary."""

from __future__ import annotations

import gzip
import html
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import DatasetError, reason_of

__all__ = ["CONTEXT_LENGTH", "ClipTokenizer"]

CONTEXT_LENGTH = 77
_N_MERGES = 48_894
_END_OF_WORD = "</w>"
_SPECIAL = ("<|startoftext|>", "<|endoftext|>")
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


class ClipTokenizer:
    """CLIP's tokenizer: lower-case words, split into the pairs of bytes that the vocabulary merges.

    Parameters
    ----------
    vocabulary : path
        `bpe_simple_vocab_16e6.txt.gz`: a line of header, then two symbols to merge per line, the most frequent first.

    Raises
    ------
    DatasetError
        If the file is not such a vocabulary.

    Notes
    -----
    Text is repaired by ftfy and HTML entities are resolved first, as for the texts that the network has learned from.

    References
    ----------
    .. [1] Sennrich, R., Haddow, B. & Birch, A. (2016). Neural machine translation of rare words with subword units.
       ACL. https://doi.org/10.18653/v1/P16-1162

    Examples
    --------
    >>> import gzip, pathlib, tempfile
    >>> from veriwild_clustering.descriptors.text.tokenizer import ClipTokenizer
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "vocabulary.txt.gz"
    >>> size = file.write_bytes(gzip.compress(b"#version\\nc a\\nca r</w>\\n"))
    >>> ClipTokenizer(file).encode("A  Car")
    [320, 513]
    """

    def __init__(self, vocabulary: str | Path) -> None:
        merges = _read_merges(Path(vocabulary))
        self._symbols = _byte_symbols()
        bases = list(self._symbols.values())
        known = [*bases, *(base + _END_OF_WORD for base in bases), *map("".join, merges), *_SPECIAL]
        self._ids = {symbol: place for place, symbol in enumerate(known)}
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}

    @property
    def start(self) -> int:
        """The token that opens every text."""
        return self._ids[_SPECIAL[0]]

    @property
    def end(self) -> int:
        """The token that closes every text, the largest of all: there the network reads its vector."""
        return self._ids[_SPECIAL[1]]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, neither opened, closed nor cut."""
        return list(self._tokens(text))

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the tokens of texts, shape (n_texts, 77): opened, closed, then zeros; what is too long is cut."""
        rows = np.zeros((len(texts), CONTEXT_LENGTH), dtype=np.int64)
        for row, text in zip(rows, texts, strict=True):
            tokens = [self.start, *self.encode(text)[: CONTEXT_LENGTH - 2], self.end]
            row[: len(tokens)] = tokens
        return rows

    def _tokens(self, text: str) -> Iterator[int]:
        import regex

        for word in regex.findall(_WORDS, _clean(text), regex.IGNORECASE):
            yield from [self._ids[word]] if word in _SPECIAL else (self._ids[part] for part in self._parts(word))

    def _parts(self, word: str) -> list[str]:
        """Return the symbols of a word after all merges, the most frequent pair always first."""
        parts = [self._symbols[byte] for byte in word.encode()]
        parts[-1] += _END_OF_WORD
        while pairs := {pair for pair in pairwise(parts) if pair in self._ranks}:
            best = min(pairs, key=self._ranks.__getitem__)
            parts = _merged(parts, best)
        return parts


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    place = 0
    while place < len(parts):
        both = tuple(parts[place : place + 2]) == pair
        merged.append("".join(pair) if both else parts[place])
        place += 2 if both else 1
    return merged


def _clean(text: str) -> str:
    try:
        import ftfy
    except ImportError as error:
        raise ImportError("Tokens of texts need ftfy: install veriwild-clustering[models].") from error
    resolved = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(resolved.split()).lower()


def _byte_symbols() -> dict[int, str]:
    """Return a visible character for each byte, in the order of the vocabulary: Latin-1's own, then substitutes."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = sorted(set(range(256)) - set(visible))
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}


def _read_merges(file: Path) -> list[tuple[str, str]]:
    try:
        header, *lines = gzip.decompress(file.read_bytes()).decode().split("\n")
        if "#version" not in header:
            raise ValueError("its first line names no version")
        return [(left, right) for left, right in (line.split() for line in lines[:_N_MERGES] if line)]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DatasetError(
            f"{file} is no vocabulary of CLIP ({reason_of(error)}). Remove it, so that it is downloaded again."
        ) from error
