"""Models of fastText's: what fastText 0.9.2 itself gave for the same files, the core against the
reference, and files that are none."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.curate.classify.fasttext_bytes import (
    HIERARCHICAL,
    NEGATIVE,
    ONE_VS_ALL,
    Model,
)

from groundup.core.errors import InputError
from groundup.core.native import core
from groundup.curate.classify import fasttext_model
from groundup.curate.classify.fasttext_model import FastTextModel, load_fasttext

TEXTS = [
    "the cat",
    "Été été, a cat's été",
    "the\tcat\x0b\x00the  cat </s> never read",
    "__label__new 北京 the __label__yes",
    "",
]
EVERY_THIRD = tuple((3 * i % 40, i) for i in range(25))
MODELS = {
    "words": Model(),
    "words in a row": Model(words_in_a_row=3, buckets=50),
    "characters": Model(shortest=2, longest=4, buckets=64, words_in_a_row=2),
    "one character": Model(shortest=1, longest=2, buckets=9),
    "tree": Model(loss=HIERARCHICAL, words_in_a_row=2, buckets=20),
    "tree of one": Model(loss=HIERARCHICAL, labels=("only",), counts=(3,)),
    "each by itself": Model(loss=ONE_VS_ALL, words_in_a_row=2, buckets=20),
    "negative sampling": Model(loss=NEGATIVE),
    "quantised": Model(part=2, shortest=2, longest=3, buckets=30),
    "norms": Model(part=2, norms=True, quantised_output=True),
    "pruned": Model(
        part=5, norms=True, shortest=1, longest=3, buckets=40, words_in_a_row=2, kept=EVERY_THIRD
    ),
    "pruned to nothing": Model(part=1, shortest=1, longest=3, buckets=40, kept=()),
    "without an end": Model(words=("the", "cat")),
    "version 11": Model(version=11, shortest=2, longest=4, buckets=64),
}
# Probabilities of the labels, in ten thousandths, for each of the texts, as the package fasttext
# 0.9.2 gave them; none where nothing of the text had a row.
FASTTEXT = """
words: 4100 2611 1627 1015 647, 3425 2485 1796 1312 983, 3355 2528 1845 1324 948,
    1348 1533 1838 2302 2979, 7221 1983 561 174 62
words in a row: 1437 1517 1761 2232 3053, 1417 1639 1929 2291 2724, 2214 2038 1933 1895 1921,
    875 1200 1714 2510 3701, 7221 1983 561 174 62
characters: 3389 2466 1797 1331 1017, 1990 1991 1996 2005 2019, 2978 2354 1875 1522 1271,
    4149 2667 1632 973 579, 7221 1983 561 174 62
one character: 1144 1477 1907 2435 3038, 593 934 1539 2590 4344, 1023 1383 1870 2493 3231,
    555 854 1427 2530 4635, 7221 1983 561 174 62
tree: 1105 1322 1593 1804 4176, 5131 2952 1319 450 148, 2095 1725 1470 1268 3443,
    8546 1216 192 35 11, 442 1243 2875 3580 1861
tree of one: 10000, 10000, 10000, 10000, 10000
each by itself: 3008 2069 1481 1097 876, 7491 6860 6002 5078 4149, 2690 2337 2173 2069 2069,
    7549 8032 8355 8520 8597, 6514 3416 1294 434 159
negative sampling: 7122 6077 4922 3776 2814, 6002 5156 4378 3630 3008, 7186 6584 5851 5078 4225,
    2227 2451 2814 3277 3849, 6514 3416 1294 434 159
quantised: 3091 2425 1881 1459 1145, 3265 2327 1754 1417 1239, 3009 2396 1893 1499 1203,
    2456 1976 1774 1784 2011, 5582 2676 1134 443 166
norms: 0 3 110 9888 0, 105 17 4 0 9875, 0 0 19 9981 0, 1 168 329 72 9430, 71 0 0 0 9929
pruned: 5740 2544 1074 449 194, 4175 2711 1638 944 532, 5736 2548 1075 449 193,
    4401 2681 1551 874 493, 5878 2423 1019 456 225
pruned to nothing: 6009 2134 937 528 393, 3285 2144 1621 1440 1510, 6714 1974 728 353 232,
    4081 2105 1375 1161 1278, 1782 1628 1709 2060 2822
without an end: 1348 1533 1838 2302 2979, none, 1348 1533 1838 2302 2979,
    7221 1983 561 174 62, none
version 11: 4100 2611 1627 1015 647, 3425 2485 1796 1312 983, 3355 2528 1845 1324 948,
    1348 1533 1838 2302 2979, 7221 1983 561 174 62
"""


def expected() -> Iterator[tuple[str, list[str]]]:
    for line in FASTTEXT.replace(",\n    ", ", ").strip().split("\n"):
        name, _, rows = line.partition(": ")
        yield name, rows.split(", ")


def load(model: Model, folder: Path) -> FastTextModel:
    path = folder / ("model.ftz" if model.part else "model.bin")
    path.write_bytes(model.bytes())
    return load_fasttext(path)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("name", "rows"), list(expected()))
def test_probabilities_are_those_of_fasttext(
    name: str, rows: list[str], compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(fasttext_model, "core", None)
    elif core is None:
        pytest.skip("the compiled core is not there")
    model = load(MODELS[name], tmp_path)
    assert model.labels == tuple(MODELS[name].labels)
    for text, row, found in zip(TEXTS, rows, model.probabilities(TEXTS), strict=True):
        if row == "none":
            np.testing.assert_array_equal(model.hidden([text]), 0)
        else:
            probabilities = np.array(row.split(), float) / 10_000
            np.testing.assert_allclose(found, probabilities, atol=1e-4, rtol=0)


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
@pytest.mark.parametrize("name", [name for name in MODELS if name != "tree of one"])
def test_the_core_comes_to_the_vectors_of_the_reference(name: str, tmp_path: Path) -> None:
    model = load(MODELS[name], tmp_path)
    pieces = ["the", "cat", "été", "a", " ", "\n", "</s>", "__label__yes", "<", "北", "🙂", "\0"]

    @given(st.lists(st.lists(st.sampled_from(pieces)).map("".join), max_size=3))
    def agree(texts: list[str]) -> None:
        found = model.hidden(texts)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fasttext_model, "core", None)
            np.testing.assert_allclose(found, model.hidden(texts), atol=2e-6)

    agree()


def test_a_byte_beyond_ascii_is_a_negative_number() -> None:
    """Published: FNV-1a of `a`. By hand: that of the byte 0xFF, which fastText takes as −1."""
    assert fasttext_model._fnv(b"a") & 0xFFFFFFFF == 0xE40C292C
    by_hand = (0x811C9DC5 ^ 0xFFFFFFFF) * 0x01000193 % 2**32
    assert fasttext_model._fnv(b"\xff") & 0xFFFFFFFF == by_hand
    assert fasttext_model._fnv(b"a") == 0xFFFFFFFFE40C292C  # as a signed number it is negative
    assert fasttext_model._fnv(b"") == 0xFFFFFFFF811C9DC5


def test_a_tree_joins_the_rarest_first() -> None:
    """Counts 50, 20, 9, 8, 1: 8 and 1 make 9, 9 and 9 make 18, 18 and 20 make 38."""
    tree = fasttext_model._tree([50, 20, 9, 8, 1])
    assert tree.left.tolist() == [4, 5, 6, 7]
    assert tree.right.tolist() == [3, 2, 1, 0]
    assert [level.tolist() for level in tree.levels] == [[3], [2], [1], [0]]


def test_a_file_that_is_cut_short_anywhere_is_one_sentence(tmp_path: Path) -> None:
    for model in (MODELS["pruned"], MODELS["norms"], MODELS["characters"]):
        whole = model.bytes()
        path = tmp_path / "cut.bin"
        for size in range(0, len(whole), 29):
            path.write_bytes(whole[:size])
            with pytest.raises(InputError, match=r"cut.bin is no fastText classifier .*\)\.$"):
                load_fasttext(path)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Model(kind=1), "word vectors"),
        (Model(version=13), "version 13, and 11 and 12 are known"),
        (Model(loss=5), "its loss is number 5"),
        (Model(words_in_a_row=10**6, buckets=5), "more than 100 words"),
        (Model(longest=2**30, buckets=5), "more than 100 words or characters"),
        (Model(labels=(), counts=()), "as many words and labels as it says"),
        (Model(counts=(5, 4, 3, 2, 10**15)), "count is out of range"),
        (Model(buckets=5, part=2, kept=((5, 0),)), "a bucket that it keeps is out of range"),
        (Model(buckets=5, part=2, kept=((1, 1),)), "a bucket that it keeps is out of range"),
        (Model(buckets=5, kept=((1, 0),)), "its matrix is not quantised"),
    ],
)
def test_what_cannot_be_is_one_sentence(model: Model, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        load(model, tmp_path)


@pytest.mark.parametrize(("at", "kind"), [(0, "i"), (4, "i"), (8, "i"), (20, "q")])
def test_counts_beyond_the_file_are_one_sentence(at: int, kind: str, tmp_path: Path) -> None:
    """Of entries, words, labels; of buckets that are kept."""
    content = bytearray(Model(shortest=2, longest=4, buckets=64).bytes())
    struct.pack_into(f"<{kind}", content, 8 + 56 + at, 0x7FFFFFFF)  # behind head and settings
    path = tmp_path / "huge.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no fastText classifier"):
        load_fasttext(path)


def test_numbers_that_are_none_are_one_sentence(tmp_path: Path) -> None:
    content = Model().bytes()
    path = tmp_path / "nan.bin"
    path.write_bytes(content[:-4] + struct.pack("<f", float("nan")))
    with pytest.raises(InputError, match="numbers that are none"):
        load_fasttext(path)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_fasttext(tmp_path / "none.bin")


def test_labels_lose_the_prefix_of_fasttext_only(tmp_path: Path) -> None:
    assert load(replace(Model(), prefix="@"), tmp_path).labels[0] == "@yes"
