"""Batches are a function of the step, at any number of processes."""

from pathlib import Path

import numpy as np
import pytest

from groundup.core.errors import InputError
from groundup.data.batches import Batches, Samples
from groundup.data.mixture import Mixture, Source
from groundup.data.shards import TokenShards, write_shards
from groundup.data.windows import Windows
from groundup.tokenizers import BPE

TOKENIZER = BPE.learned([], "gpt2", ["<|endoftext|>"])
TEXT = "".join(chr(32 + i * 7 % 90) for i in range(1000))


def shards(directory: Path, *texts: str) -> TokenShards:
    write_shards(directory, texts, TOKENIZER, end_of_text=256, shard_tokens=100)
    return TokenShards(directory, TOKENIZER.fingerprint)


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    return Windows(shards=shards(tmp_path / "one", TEXT), context=8, seed=0)


@pytest.fixture
def mixture(tmp_path: Path) -> Mixture:
    parts = [(shards(tmp_path / name, TEXT[at:]), w) for name, at, w in (("a", 0, 5), ("b", 9, 2))]
    sources = tuple(Source(shards=part, weight=weight) for part, weight in parts)
    return Mixture(sources=sources, context=8, seed=0)


def test_targets_are_the_tokens_that_follow(windows: Windows) -> None:
    tokens, targets, documents = Batches(samples=windows, batch=4).read(3)
    assert tokens.shape == targets.shape == (4, 8)
    assert documents is None
    assert (tokens[:, 1:] == targets[:, :-1]).all()
    stream = TEXT.encode()
    for row, last in zip(tokens, targets[:, -1], strict=True):
        assert bytes(row.tolist()) in stream
        assert bytes([*row.tolist(), int(last)]) in stream + b"\x00"


def test_a_step_is_the_same_whenever_it_is_read(windows: Windows) -> None:
    batches = Batches(samples=windows, batch=4)
    later = batches.read(17)
    for step in range(17):
        batches.read(step)
    assert (later.tokens == batches.read(17).tokens).all()
    assert (later.targets == batches.read(17).targets).all()


def test_epochs_are_counted_in_steps(windows: Windows) -> None:
    assert Batches(samples=windows, batch=windows.windows).epochs(3) == 3.0


@pytest.mark.parametrize("kind", ["windows", "mixture"])
@pytest.mark.parametrize("world", [2, 3, 4, 12])
def test_the_rows_of_all_processes_are_the_batch_of_one(
    kind: str, world: int, request: pytest.FixtureRequest
) -> None:
    samples: Samples = request.getfixturevalue(kind)
    alone = Batches(samples=samples, batch=12, documents=True)
    ranks = [
        Batches(samples=samples, batch=12, documents=True, rank=rank, world=world)
        for rank in range(world)
    ]
    for step in (0, 1, 100):
        parts = zip(*(rank.read(step) for rank in ranks), strict=True)
        for whole, part in zip(alone.read(step), parts, strict=True):
            np.testing.assert_array_equal(np.concatenate(part), whole)


def test_a_batch_that_does_not_divide_is_one_sentence(windows: Windows) -> None:
    with pytest.raises(InputError, match="batch of 12 sequences cannot be shared by 5 processes"):
        Batches(samples=windows, batch=12, world=5)
    with pytest.raises(ValueError, match="rank 4 is not one of 4"):
        Batches(samples=windows, batch=12, rank=4, world=4)


def test_documents_are_those_of_the_targets(tmp_path: Path) -> None:
    """An end of text in a window begins the document after it."""
    texts = [TEXT[: 1 + 5 * i % 17] for i in range(60)]
    samples = Windows(shards=shards(tmp_path, *texts), context=24, seed=0)
    for step in range(20):
        tokens, _, documents = Batches(samples=samples, batch=4, documents=True).read(step)
        assert documents is not None
        for row, numbers in zip(tokens.tolist(), documents.tolist(), strict=True):
            for place in range(1, len(row)):
                assert numbers[place] - numbers[place - 1] == (row[place] == 256)
