"""The linear classifier: its steps against PyTorch's, the core against the reference, its files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from groundup.core.errors import ArtifactError, InputError
from groundup.core.native import core
from groundup.curate.classify import (
    Classifier,
    Ngrams,
    TrainClassifier,
    classifier,
    load_classifier,
    ngrams,
    train_classifier,
    training,
)
from groundup.curate.classify.report import report

SMALL = Ngrams(bits=12, words=2, shortest=2, longest=3)
FISH, BIRDS = "the trout swims in a cold river", "a swallow flies over the warm roof"
TEXTS = [
    FISH,
    BIRDS,
    "trout, trout!",
    "swallow nests",
    "cold water",
    "warm wings",
    "river fish",
    "",
]
LABELS = ["fish", "bird", "fish", "bird", "fish", "bird", "fish", "fish"]


def still(amount: float = 1, note: str = "") -> None:
    """Nobody is told."""


@pytest.fixture
def without_core(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (classifier, ngrams, training):
        monkeypatch.setattr(module, "core", None)


@pytest.fixture
def fish() -> Classifier:
    return train_classifier(TEXTS, LABELS, TrainClassifier(ngrams=SMALL), still)


def test_it_learns_what_it_is_shown(fish: Classifier) -> None:
    assert fish.labels == ("bird", "fish")
    assert fish.predict(["a trout", "the swallow"]) == ["fish", "bird"]
    assert fish.probability("a trout", "fish") > 0.9
    np.testing.assert_allclose(fish.probabilities(TEXTS).sum(1), 1, rtol=1e-6)


@pytest.mark.skipif(core is None, reason="the compiled core is not there")
def test_the_core_learns_and_judges_as_the_reference(
    fish: Classifier, request: pytest.FixtureRequest
) -> None:
    judged = fish.logits(TEXTS)
    request.getfixturevalue("without_core")
    np.testing.assert_array_equal(fish.logits(TEXTS), judged)
    reference = train_classifier(TEXTS, LABELS, TrainClassifier(ngrams=SMALL), still)
    assert reference.scale == pytest.approx(fish.scale, rel=1e-4)
    assert np.abs(reference.weights.astype(int) - fish.weights).max() <= 1  # rounding
    np.testing.assert_allclose(reference.bias, fish.bias, rtol=1e-4, atol=1e-5)


def test_its_first_steps_are_those_of_torch() -> None:
    """AdaGrad on the weighted cross-entropy of the mean of embeddings, a text at a time. Where a
    bucket occurs once in a text, a step a bucket is a step for all of them."""
    texts, labels = ["one two", "three four five", "six"], [0, 1, 2]
    kind = Ngrams(bits=16, words=1, shortest=3, longest=3)
    numbers, ends = kind.buckets(texts)
    importance = np.array([1.0, 2.0, 0.5], np.float32)
    state = training._State(
        *(np.zeros((1 << 16, 3), np.float32) for _ in range(2)),
        *(np.zeros(3, np.float32) for _ in range(2)),
    )
    order = np.array([0, 1, 2, 1, 0], dtype=np.int64)
    buckets = ngrams.Buckets(numbers, ends)
    training._learn(buckets, np.array(labels, np.int32), importance, order, (0.5, 0.0), state)

    weights = torch.zeros(1 << 16, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    adagrad = torch.optim.Adagrad([weights, bias], lr=0.5, eps=1e-8)
    rows = np.split(numbers, ends[:-1])
    for text in order:
        assert len(set(rows[text])) == len(rows[text])
        logits = bias + weights[torch.from_numpy(rows[text].astype(np.int64))].mean(0)
        target = torch.tensor(labels[text])
        loss = F.cross_entropy(logits, target) * float(importance[labels[text]])
        adagrad.zero_grad()
        loss.backward()
        adagrad.step()
    np.testing.assert_allclose(state.weights, weights.detach().numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(state.bias, bias.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_classifier_is_the_same_again_from_its_file(fish: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "fish.safetensors"
    fish.save(path)
    again = load_classifier(path)
    np.testing.assert_array_equal(again.logits(TEXTS), fish.logits(TEXTS))
    assert (again.labels, again.ngrams) == (fish.labels, fish.ngrams)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="is no classifier"):
        load_classifier(path)
    with pytest.raises(ArtifactError, match="is no classifier"):
        load_classifier(tmp_path / "none")


def test_the_same_seed_gives_the_same_classifier(fish: Classifier) -> None:
    again = train_classifier(TEXTS, LABELS, TrainClassifier(ngrams=SMALL), still)
    np.testing.assert_array_equal(again.weights, fish.weights)


def test_one_label_is_none_to_tell_apart() -> None:
    with pytest.raises(InputError, match="only 'fish'"):
        train_classifier(["a", "b"], ["fish", "fish"], TrainClassifier(), still)
    with pytest.raises(InputError, match="there is none"):
        train_classifier([], [], TrainClassifier(), still)


def test_the_report_counts() -> None:
    """A classifier that calls everything with an a in it A."""
    kind = Ngrams(bits=10, words=1, shortest=1, longest=0)
    weights = np.zeros((1 << 10, 2), np.int8)
    weights[kind.buckets(["a"]).numbers] = [100, 0]
    judge = Classifier(
        labels=("A", "B"), ngrams=kind, weights=weights, scale=0.1, bias=np.float32([0, 1])
    )
    texts, labels = ["a", "a", "b", "c", "a"], ["A", "A", "B", "A", "B"]
    found = report(judge, texts, labels)
    assert found.confusion.tolist() == [[2, 1], [1, 1]]
    assert found.accuracy == 0.6
    assert found.classes[0].precision == found.classes[0].recall == pytest.approx(2 / 3)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)
    sure, half = 1 / (1 + np.exp(-9)), 1 / (1 + np.exp(-1))
    expected = (3 * abs(sure - 2 / 3) + 2 * abs(half - 1 / 2)) / 5
    assert found.calibration_error == pytest.approx(expected, rel=1e-5)
    with pytest.raises(InputError, match="no label 'C'"):
        report(judge, ["a"], ["C"])
