"""The n-gram model: by hand, by the published formula written out, and on real text."""

import math
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from groundup.core.config import from_dict, to_dict
from groundup.core.errors import ArtifactError, ConfigError, InputError
from groundup.core.native import core
from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.perplexity import (
    Perplexity,
    TrainWordModel,
    WordModel,
    load_word_model,
    model,
    train_word_model,
    training,
)

BOOKS = Path(__file__).parents[4] / "shared" / "data" / "text" / "books"


def test_a_small_model_by_hand() -> None:
    """After `a` come b, b and c, after `b` a and a. So few counts get the discounts ½, 1 and 1½.

    Below the pairs a, b and c each follow one word: (1 − ½) / 3, and of the half that is left each
    of a, b, c and the unknown word has a quarter: 7/24 and 1/8.
    """
    found = train_word_model(["a b a b a c"], TrainWordModel(order=2))
    assert found.unknown == pytest.approx(1 / 8)
    by_hand = {
        "a": [7 / 24],
        "a b": [7 / 24, (2 - 1) / 3 + 1 / 2 * 7 / 24],
        "a c": [7 / 24, (1 - 1 / 2) / 3 + 1 / 2 * 7 / 24],
        "b A": [7 / 24, (2 - 1) / 2 + 1 / 2 * 7 / 24],
        "a x": [7 / 24, 1 / 2 * 1 / 8],
        "c x": [7 / 24, 1 / 8],  # nothing follows c
        "x x a": [1 / 8, 1 / 8, 7 / 24],
    }
    for text, probabilities in by_hand.items():
        assert list(found.reference(text)) == pytest.approx(probabilities, rel=0.005)
        expected = math.exp(-sum(map(math.log, probabilities)) / len(probabilities))
        assert found.perplexities([text])[0] == pytest.approx(expected, rel=0.005)


class Published:
    """Interpolated, modified Kneser-Ney as Chen and Goodman write it, over dictionaries."""

    def __init__(self, texts: list[list[str]], order: int):
        occurrences: Counter[tuple[str, ...]] = Counter()
        before: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for text in texts:
            for end in range(1, len(text) + 1):
                for n in range(1, min(order, end) + 1):
                    row = tuple(text[end - n : end])
                    occurrences[row] += 1
                    if end - n > 0:
                        before[row].add(text[end - n - 1])
        self.order = order
        self.words = {row[0] for row in occurrences if len(row) == 1}
        self.counts = [
            {
                row: count if n == order else len(before[row])
                for row, count in occurrences.items()
                if len(row) == n
            }
            for n in range(1, order + 1)
        ]
        self.less = [self.discounts(list(counts.values())) for counts in self.counts]

    @staticmethod
    def discounts(counts: list[int]) -> list[float]:
        n1, n2, n3, n4 = (counts.count(j) for j in (1, 2, 3, 4))
        if 0 in (n1, n2, n3):
            return [0.5, 1, 1.5]
        y = n1 / (n1 + 2 * n2)
        less = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        return less if min(less) >= 0 else [0.5, 1, 1.5]

    def probability(self, context: tuple[str, ...], word: str) -> float:
        uniform = 1 / (len(self.words) + 1)
        lower = self.probability(context[1:], word) if context else uniform
        counts, less = self.counts[len(context)], self.less[len(context)]
        of_context = {row[-1]: c for row, c in counts.items() if row[:-1] == context}
        total = sum(of_context.values())
        if total == 0:
            return lower
        taken = sum(less[min(c, 3) - 1] for c in of_context.values() if c)
        count = of_context.get(word, 0)
        mass = count - less[min(count, 3) - 1] if count else 0
        return mass / total + taken / total * lower

    def probabilities(self, text: list[str]) -> list[float]:
        return [
            self.probability(tuple(text[max(0, i - self.order + 1) : i]), word)
            for i, word in enumerate(text)
        ]


WORDS = st.lists(st.sampled_from("abcde"), max_size=30)


@given(st.lists(WORDS, min_size=1, max_size=4), WORDS, st.integers(1, 4))
def test_probabilities_are_those_of_the_formula(
    texts: list[list[str]], judged: list[str], order: int
) -> None:
    if not any(texts):
        return
    found = train_word_model([" ".join(text) for text in texts], TrainWordModel(order=order))
    published = Published(texts, order)
    for text in ([*judged, "x", *judged], texts[0]):
        expected = published.probabilities(text)
        np.testing.assert_allclose(list(found.reference(" ".join(text))), expected, rtol=0.02)


@given(st.lists(WORDS, min_size=1, max_size=4), WORDS)
def test_probabilities_of_all_words_sum_to_one(texts: list[list[str]], context: list[str]) -> None:
    if not any(texts):
        return
    found = train_word_model([" ".join(text) for text in texts], TrainWordModel(order=3))
    known = sorted({word for text in texts for word in text})
    after = (list(found.reference(" ".join([*context, word])))[-1] for word in [*known, "x"])
    assert sum(after) == pytest.approx(1, rel=0.02)


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
def test_the_core_judges_and_counts_as_the_reference(
    source_files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainWordModel(order=4)
    found = train_word_model(source_files[:4], config)
    texts = ["", "  ", "Été été 北京 x", *(text[:2000] for text in source_files)]
    judged = found.perplexities(texts)
    assert np.isnan(judged[:2]).all()
    assert not np.isnan(judged[2:]).any()
    monkeypatch.setattr(model, "core", None)
    monkeypatch.setattr(training, "core", None)
    np.testing.assert_allclose(found.perplexities(texts), judged, rtol=1e-6)
    np.testing.assert_array_equal(train_word_model(source_files[:4], config).table, found.table)


def test_what_is_rare_is_left_out_of_a_small_table(source_files: list[str]) -> None:
    whole = train_word_model(source_files, TrainWordModel())
    small = train_word_model(source_files, TrainWordModel(bits=11))
    assert len(small.table) == 1 << 11 < len(whole.table)
    text = source_files[0]
    assert 1 < whole.perplexities([text])[0] < small.perplexities([text])[0] < 2000
    words = [f"w{n}" for n in range(3000)]  # of which none can be kept
    assert train_word_model([" ".join(words)], TrainWordModel(bits=4)).unknown == 1


def test_a_crowded_table_is_read_to_its_end() -> None:
    """Every key is found, and those that were pushed over the end from the beginning on."""
    config = TrainWordModel(order=1)
    for size in range(1, 60):
        words = [f"w{n}" for n in range(size)]
        found = train_word_model([" ".join(words)], config)
        assert all(found._find(model.word_hash(word.encode())) for word in words)
        assert (found.table[:, 0] > 0).sum() == size


def test_a_model_is_the_same_again_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    found = train_word_model(["a b a b a c"], TrainWordModel(order=2))
    found.save(path)
    again = load_word_model(path)
    np.testing.assert_array_equal(again.table, found.table)
    assert (again.order, again.unknown) == (found.order, found.unknown)


def test_what_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    found = train_word_model(["a b"], TrainWordModel())
    for other, sentence in (
        ({"order": 99}, "out of range"),
        ({"unknown": 0.0}, "out of range"),
        ({"table": found.table[:3]}, "no power of two"),
        ({"table": np.zeros((4, 3), np.uint32)}, "another shape"),
        ({"table": np.full((4, 2), 0x7FC00000, np.uint32)}, "a probability is out of range"),
    ):
        WordModel(**{"order": 3, "table": found.table, "unknown": 0.1, **other}).save(path)
        with pytest.raises(ArtifactError, match=sentence):
            load_word_model(path)
    save_file({"table": found.table}, path)
    with pytest.raises(ArtifactError, match="groundup curate train-perplexity"):
        load_word_model(path)
    with pytest.raises(ArtifactError, match="No such file"):
        load_word_model(tmp_path / "none")


def test_a_reference_without_words_is_one_sentence() -> None:
    for texts in ([], ["", " \n"]):
        with pytest.raises(InputError, match="no words to learn from"):
            train_word_model(texts, TrainWordModel())


def run(step: Perplexity, *texts: str) -> tuple[list[Document], list[dict[str, Any]], Notes]:
    rejected: list[dict[str, Any]] = []
    notes = Notes(step.title, rejected.append)
    documents = [Document(text, f"d{n}", "s") for n, text in enumerate(texts)]
    return list(step.apply(documents, notes)), rejected, notes


def test_documents_above_the_limit_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    train_word_model(["a b a b a c"], TrainWordModel(order=2)).save(path)
    kept, rejected, notes = run(Perplexity(model=str(path), most=3), "a b a b", "x x", "")
    assert [document.id for document in kept] == ["d0"]
    assert kept[0].metadata["perplexity"] < 3
    assert [record["reason"] for record in rejected] == [
        "has a perplexity of 8, more than 3",
        "has no words",
    ]
    assert notes.rejected == {"perplexity": 2}
    assert sum(notes.values["perplexity"].values()) == 2
    assert len(run(Perplexity(model=str(path)), "a b a b", "x x")[0]) == 2


def test_the_step_is_a_config() -> None:
    step = Perplexity(model="m", most=500)
    assert from_dict(Perplexity, to_dict(step)) == step
    with pytest.raises(ConfigError, match="most is at least 1"):
        from_dict(Perplexity, {"model": "m", "most": 0.5})
    with pytest.raises(ConfigError, match="order is 1 to 8"):
        from_dict(TrainWordModel, {"order": 9})


@pytest.mark.skipif(not BOOKS.exists(), reason="../shared/data/text is not here")
def test_clean_prose_is_told_from_what_is_none() -> None:
    reference = ["great-expectations", "middlemarch", "pride-and-prejudice"]
    texts = [(BOOKS / f"{name}.txt").read_text("utf-8") for name in reference]
    words = (BOOKS / "emma.txt").read_text("utf-8").split()
    draw = random.Random(0)
    pages = [words[begin : begin + 500] for begin in range(0, 20_000, 500)]
    shuffled = [draw.sample(page, len(page)) for page in pages]
    numbers = [[f"{draw.random():.3f}" for _ in range(500)] for _ in pages]
    found = train_word_model(texts, TrainWordModel())
    clean, mixed, table = (
        found.perplexities([" ".join(page) for page in side]) for side in (pages, shuffled, numbers)
    )
    assert clean.max() < mixed.min()
    assert mixed.max() < table.min()
