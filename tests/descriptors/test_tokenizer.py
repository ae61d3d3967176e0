"""CLIP's tokenizer: the ids of its authors' implementation, and files that are no vocabulary."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from veriwild_clustering import DatasetError
from veriwild_clustering.descriptors.text.tokenizer import CONTEXT_LENGTH, ClipTokenizer

START, END = 49406, 49407

# What the tokenizer published with CLIP (clip-anytorch 2.6.0 with ftfy 6.3.1) makes of them.
REFERENCE = [
    ("a photo of a car", [320, 1125, 539, 320, 1615]),
    ("", []),
    ("   ", []),
    ("A  RED\tSUV\n\nseen from\r\nthe rear", [320, 736, 15985, 2041, 633, 518, 10223]),
    (
        "it's the driver's, they've, I'm, we'll, he'd, don't",
        [585, 568, 518, 4383, 568, 267, 889, 1200, 267, 328, 880, 267, 649, 1342, 267, 797, 1896, 267, 847, 713],
    ),
    ("IT'S WE'LL", [585, 568, 649, 1342]),
    ("2024 Audi A6 3.0", [273, 271, 273, 275, 10277, 320, 277, 274, 269, 271]),
    ("snake_case_word __init__", [8798, 318, 2068, 318, 2653, 3838, 42670, 3838]),
    ("na\xefve caf\xe9 Z\xfcrich", [1097, 35689, 563, 15304, 89, 6522, 4021]),
    ("cafe\u0301", [15304]),
    (
        "\u0431\u0435\u043b\u044b\u0439 \u0433\u0440\u0443\u0437\u043e\u0432\u0438\u043a",
        [140, 109, 22176, 47611, 45001, 140, 373, 140, 111, 16370, 39729, 140, 115, 20978, 110, 29503, 374],
    ),
    (
        "\u0430\u0432\u0442\u043e\u0431\u0443\u0441 \u21165",
        [31090, 110, 17875, 20978, 109, 39729, 141, 479, 8604, 500, 276],
    ),
    ("\u767d\u3044\u8eca", [163, 247, 121, 33523, 164, 119, 488]),
    ("\uc790\ub3d9\ucc28", [20849, 238, 31972, 247, 40742, 357]),
    (
        "\u0633\u064a\u0627\u0631\u0629 \u0628\u064a\u0636\u0627\u0621",
        [17856, 12046, 40137, 20915, 16378, 12046, 148, 114, 13189, 350],
    ),
    ("\u0930\u0924\u093f\u090f \u0915\u093e\u0930", [39136, 27263, 26721, 3124, 493, 22067, 13343, 19052]),
    ("\U0001f697", [22783]),
    ("\U0001f697\U0001f69a\U0001f68c vehicles", [33054, 2730, 248, 46891, 8361]),
    ("\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", [25023, 26304, 48938, 4244, 964, 355]),
    ("\U0001f1e9\U0001f1ea plate", [21531, 5135]),
    ("&amp;", [261]),
    ("&amp;amp; &lt;b&gt;", [261, 283, 321, 285]),
    ("&#39;s &eacute;", [568, 4166]),
    ("\ufb01ne \ufb02ow", [3797, 5608]),
    ("\uff26\uff55\uff4c\uff4c\uff57\uff49\uff44\uff54\uff48", [9407, 23571]),
    ("\u201ccurly\u201d \u2018quotes\u2019", [257, 20795, 257, 262, 5808, 262]),
    ("a\xa0b\u2003c\u3000d", [320, 321, 322, 323]),
    ("zero\u200bwidth", [5848, 9844, 23571]),
    ("\x00\x01control\x7f", [3366]),
    ("\x1b[31mred\x1b[0m", [736]),
    ("<|startoftext|>x<|endoftext|>", [49406, 343, 49407]),
    ("<|STARTOFTEXT|>", [49406]),
    ("!!!???...", [11194, 5195, 22641]),
    ("a-b\u2014c\u2013d", [320, 268, 321, 2005, 322, 1224, 323]),
    ("x\xb2+y\xb3=\xbd \u2167", [343, 41175, 266, 344, 126, 367, 284, 33613, 158, 227, 371]),
    ("\u0130stanbul stra\xdfe \u0141\xd3D\u0179", [328, 16384, 11231, 1894, 127, 253, 324, 40419, 8891, 67, 129, 374]),
    ("sch\xc3\xb6n \xe2\u20ac\u0153mojibake\xe2\u20ac\x9d", [844, 7255, 333, 257, 617, 3252, 11878, 257]),
    ("supercalifragilisticexpialidocious", [1642, 2857, 13093, 2076, 5868, 26850, 835, 639, 38466]),
    ("#@$%^&*()", [2, 31, 3, 4, 61, 5, 9, 8475]),
    ("e\u0301\u0302\u0303", [4166, 136, 224, 136, 481]),
    ("\uff41\uff11\u0663\u09ea", [320, 272, 149, 352, 26339, 359]),
    ("\u017f'\u017f 'S 'LL K", [129, 379, 6, 129, 379, 568, 1342, 330]),
    ("\u2028line\u2029par", [1148, 9163]),
]


@pytest.fixture(scope="session")
def tokenizer(real_models: Path) -> ClipTokenizer:
    return ClipTokenizer(real_models / "bpe_simple_vocab_16e6.txt.gz")


@pytest.mark.real
@pytest.mark.parametrize(("text", "tokens"), REFERENCE, ids=[ascii(text) for text, _ in REFERENCE])
def test_tokens_are_those_of_the_published_tokenizer(tokenizer: ClipTokenizer, text: str, tokens: list[int]) -> None:
    assert tokenizer.encode(text) == tokens


@pytest.mark.real
def test_rows_are_opened_closed_padded_and_cut(tokenizer: ClipTokenizer) -> None:
    rows = tokenizer(["a photo of a car", "", "honking " * 100])
    assert rows.shape == (3, CONTEXT_LENGTH)
    assert rows[0].tolist() == [START, 320, 1125, 539, 320, 1615, END] + [0] * 70
    assert rows[1].tolist() == [START, END] + [0] * 75
    assert (rows[2, 0], rows[2, -1]) == (START, END)
    assert len(np.unique(rows[2, 1:-1])) < 4
    assert (rows[2] > 0).all()


def test_pairs_merge_in_the_order_of_the_vocabulary(tmp_path: Path) -> None:
    file = tmp_path / "vocabulary.txt.gz"
    file.write_bytes(gzip.compress(b"#version\nb c</w>\na b\n"))
    tokenizer = ClipTokenizer(file)
    letter_a = ord("a") - ord("!")
    assert tokenizer.encode("abc") == [letter_a, 512]
    assert tokenizer.encode("abab") == [513, letter_a, 256 + ord("b") - ord("!")]
    assert (tokenizer.start, tokenizer.end) == (514, 515)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"plain text", id="no gzip"),
        pytest.param(gzip.compress(b"#version\none\n"), id="no pairs"),
        pytest.param(gzip.compress(b"x" * 99)[:20], id="cut short"),
    ],
)
def test_file_that_is_no_vocabulary_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "vocabulary.txt.gz"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=r"vocabulary\.txt\.gz is no vocabulary"):
        ClipTokenizer(file)
