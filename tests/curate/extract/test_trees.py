"""Boosted trees against steps of Newton's that were computed by hand, and against what they
learn."""

import numpy as np
import pytest

from groundup.curate.extract.trees import TrainTrees, Trees, train_trees


def test_a_tree_of_one_question_is_a_step_of_newton() -> None:
    """Two groups of rows, which the only feature tells apart."""
    rows = np.float32([[0], [0], [1], [1], [1]])
    labels = np.float32([1, 0, 1, 1, 1])
    weights = np.float32([1, 2, 1, 1, 1])
    config = TrainTrees(trees=1, depth=1, rate=0.5, penalty=0.25, share=1.0)
    trees = train_trees(rows, labels, weights, config)
    mean = 4 / 6
    assert trees.base == pytest.approx(np.log(mean / (1 - mean)))
    for group, value in ((slice(0, 2), 0), (slice(2, 5), 1)):
        slope = (weights[group] * (mean - labels[group])).sum()
        curve = weights[group].sum() * mean * (1 - mean)
        expected = -0.5 * slope / (curve + 0.25)
        assert trees.values[0, value] == pytest.approx(expected, rel=1e-6)
    assert (trees.feature.item(), trees.bound.item()) == (0, 0)


def test_they_learn_what_no_single_question_tells() -> None:
    """Exclusive or, beside features that say nothing, and one that is always the same."""
    draw = np.random.default_rng(0)
    rows = draw.random((2000, 8), dtype=np.float32)
    rows[:, 7] = 1
    labels = ((rows[:, 2] > 0.5) ^ (rows[:, 5] > 0.3)).astype(np.float32)
    ones = np.ones(2000, np.float32)
    config = TrainTrees(trees=100, rate=0.2, penalty=1.0, share=1.0)
    trees = train_trees(rows[:1000], labels[:1000], ones[:1000], config)
    right = (trees.probabilities(rows[1000:]) > 0.5) == labels[1000:]
    assert right.mean() > 0.95


def test_all_trees_are_asked_as_each_would_be() -> None:
    draw = np.random.default_rng(1)
    trees = Trees(
        draw.integers(0, 4, (5, 3)).astype(np.int32),
        draw.random((5, 3), dtype=np.float32),
        draw.standard_normal((5, 8)).astype(np.float32),
        0.25,
    )
    rows = draw.random((20, 4), dtype=np.float32)
    for row, probability in zip(rows, trees.probabilities(rows), strict=True):
        logit = 0.25
        for tree in range(5):
            place = 0
            for feature, bound in zip(trees.feature[tree], trees.bound[tree], strict=True):
                place = 2 * place + int(row[feature] > bound)
            logit += float(trees.values[tree, place])
        assert probability == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-5)


def test_the_same_seed_gives_the_same_trees() -> None:
    rows = np.random.default_rng(2).random((100, 5), dtype=np.float32)
    labels = (rows[:, 0] > 0.5).astype(np.float32)
    ones = np.ones(100, np.float32)
    one, other = (train_trees(rows, labels, ones, TrainTrees(trees=5)) for _ in range(2))
    np.testing.assert_array_equal(one.values, other.values)
