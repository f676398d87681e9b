"""Mixtures hold their weights at every moment, and lose no window."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.data.mixture import Mixture, Source, take_turns
from groundup.data.shards import TokenShards, write_shards
from groundup.tokenizers import BPE

TOKENIZER = BPE.learned([], "gpt2", ["<|endoftext|>"])


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[TokenShards]:
    """Five, of different lengths."""
    folder = tmp_path_factory.mktemp("corpora")
    for name, tokens in zip("abcde", (30, 100, 57, 400, 9), strict=True):
        write_shards(folder / name, [name * tokens], TOKENIZER, end_of_text=256)
    return [TokenShards(folder / name, TOKENIZER.fingerprint) for name in "abcde"]


def mixed(corpora: list[TokenShards], weights: list[float], seed: int = 0) -> Mixture:
    sources = [Source(shards=s, weight=w) for s, w in zip(corpora, weights, strict=False)]
    return Mixture(sources=tuple(sources), context=8, seed=seed)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=7))
def test_turns_are_within_one_of_the_shares_at_every_moment(counts: list[int]) -> None:
    taken = np.cumsum(np.eye(len(counts))[take_turns(counts)], axis=0)
    n = np.arange(1, sum(counts) + 1)[:, None]
    assert taken[-1].tolist() == counts
    assert np.abs(taken - n * np.array(counts) / sum(counts)).max() < 1


weights = st.lists(st.floats(0.05, 1.0), min_size=1, max_size=5)  # patterns of up to 10,000


@settings(max_examples=20)
@given(weights=weights, first=st.integers(0, 10**12))
def test_any_stretch_holds_the_weights(
    corpora: list[TokenShards], weights: list[float], first: int
) -> None:
    mixture = mixed(corpora, weights)
    places = mixture.locate(np.arange(first, first + 300))
    for source, weight in zip(mixture.sources, weights, strict=True):
        found = sum(shards is source.shards for shards, _ in places)
        assert abs(found - 300 * weight / sum(weights)) < 2 + 300 / 10_000


@settings(max_examples=20)
@given(weights=weights, seed=st.integers(0, 2**63 - 1))
def test_each_source_visits_every_window_once_an_epoch(
    corpora: list[TokenShards], weights: list[float], seed: int
) -> None:
    mixture = mixed(corpora, weights, seed)
    places = mixture.locate(np.arange(600))
    for source in mixture.sources:
        starts = [start for shards, start in places if shards is source.shards]
        windows = max((len(source.shards) - 1) // 8 - 1, 1)
        epochs = [starts[i : i + windows] for i in range(0, len(starts), windows)]
        for epoch in epochs:
            assert len(set(epoch)) == len(epoch)
            assert len({start % 8 for start in epoch}) == 1  # the cuts of one epoch


@settings(max_examples=20)
@given(weights=weights, cut=st.integers(1, 99))
def test_a_sample_is_the_same_whatever_it_is_read_with(
    corpora: list[TokenShards], weights: list[float], cut: int
) -> None:
    mixture = mixed(corpora, weights)
    whole = mixture.locate(np.arange(100))
    parts = mixture.locate(np.arange(cut)) + mixture.locate(np.arange(cut, 100))
    assert parts == whole


def test_epochs_are_those_of_the_source_that_is_visited_most(corpora: list[TokenShards]) -> None:
    mixture = mixed(corpora[:2], [0.75, 0.25])  # of 2 and of 11 windows
    assert mixture.epochs(8) == 3.0


def test_sources_of_one_corpus_are_shuffled_apart(corpora: list[TokenShards]) -> None:
    mixture = mixed([corpora[3], corpora[3]], [0.5, 0.5])
    starts = [start for _, start in mixture.locate(np.arange(80))]
    assert starts[::2] != starts[1::2]


@pytest.mark.parametrize("weights", [[], [1.0, 0.0], [1.0, -1.0], [float("nan")], [float("inf")]])
def test_weights_must_be_positive(corpora: list[TokenShards], weights: list[float]) -> None:
    with pytest.raises(InputError, match="weights of a mixture must be positive"):
        mixed(corpora, weights)


def test_a_weight_too_small_to_count_is_one_sentence(corpora: list[TokenShards]) -> None:
    with pytest.raises(InputError, match="b has a weight of 4e-05, less than a 10,000th of all"):
        mixed(corpora, [1.0, 4e-5])


def test_a_source_below_one_window_is_one_sentence(
    corpora: list[TokenShards], tmp_path: Path
) -> None:
    write_shards(tmp_path, ["short"], TOKENIZER, end_of_text=256)
    short = TokenShards(tmp_path, TOKENIZER.fingerprint)
    with pytest.raises(InputError, match="less than one window"):
        mixed([corpora[0], short], [1.0, 1.0])
