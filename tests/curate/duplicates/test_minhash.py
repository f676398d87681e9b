"""Signatures: the compiled core against the reference, and the estimate against theory."""

import random

import numpy as np
import pytest

from groundup.core.native import core
from groundup.curate.duplicates import minhash as module
from groundup.curate.duplicates import shingles as shingles_module
from groundup.curate.duplicates.minhash import NONE, MinHash
from groundup.curate.duplicates.shingles import jaccard, shingles

TEXTS = [
    "",
    "one",
    "Many WORDS, many words: more than five",
    "中文 and naïve Ünïcode",
    "ab " * 3000,
]


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
@pytest.mark.parametrize("permutations", [1, 20, 64, 128, 200])
def test_the_core_makes_the_signatures_of_the_reference(
    monkeypatch: pytest.MonkeyPatch, permutations: int
) -> None:
    minhash = MinHash(permutations=permutations, width=3, seed=7)
    with_core = minhash.signatures(TEXTS)
    monkeypatch.setattr(module, "core", None)
    monkeypatch.setattr(shingles_module, "core", None)
    np.testing.assert_array_equal(with_core, minhash.signatures(TEXTS))
    assert with_core.shape == (len(TEXTS), permutations)


def test_a_text_without_words_has_no_shingle() -> None:
    assert (MinHash().signatures(["", " \n"]) == NONE).all()
    assert MinHash().signatures([]).shape == (0, 128)


def test_the_share_of_equal_numbers_estimates_jaccard() -> None:
    """Of 400 pairs the error has the deviation of a mean of 128 draws, and no bias."""
    draw = random.Random(0)
    minhash = MinHash()
    errors = []
    for _ in range(400):
        text = [str(draw.randrange(10_000)) for _ in range(300)]
        changed = text.copy()
        for _ in range(draw.randrange(1, 30)):
            changed[draw.randrange(300)] = "-"
        one, other = " ".join(text), " ".join(changed)
        true = jaccard(shingles(one), shingles(other))
        a, b = minhash.signatures([one, other])
        errors.append(((a == b).mean() - true) / np.sqrt(true * (1 - true) / 128))
    assert np.std(errors) == pytest.approx(1, abs=0.15)  # its own deviation is 0.035
    assert abs(np.mean(errors)) < 0.2  # 0.05


def test_permutations_follow_from_the_seed() -> None:
    text = ["the same words for all of them"]
    assert (MinHash(seed=1).signatures(text) == MinHash(seed=1).signatures(text)).all()
    assert (MinHash(seed=1).signatures(text) != MinHash(seed=2).signatures(text)).all()


@pytest.mark.parametrize("options", [{"permutations": 0}, {"width": 0}, {"width": 1001}])
def test_what_cannot_be_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        MinHash(**options)
