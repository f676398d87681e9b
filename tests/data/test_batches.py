"""Batches are a function of the step, and an epoch visits every window once."""

from pathlib import Path

import numpy as np
import pytest

from groundup.core.errors import InputError
from groundup.data.batches import Batches
from groundup.data.shards import TokenShards, write_shards
from groundup.tokenizers import BPE

TOKENIZER = BPE.learned([], "gpt2", ["<|endoftext|>"])


def make(directory: Path, text: str, *, batch: int = 4, context: int = 8, seed: int = 0) -> Batches:
    write_shards(directory, [text], TOKENIZER, end_of_text=256, shard_tokens=100)
    shards = TokenShards(directory, TOKENIZER.fingerprint)
    return Batches(shards=shards, batch=batch, context=context, seed=seed)


TEXT = "".join(chr(32 + i * 7 % 90) for i in range(1000))


def test_targets_are_the_tokens_that_follow(tmp_path: Path) -> None:
    tokens, targets = make(tmp_path, TEXT).read(3)
    assert tokens.shape == targets.shape == (4, 8)
    assert (tokens[:, 1:] == targets[:, :-1]).all()
    stream = TEXT.encode()
    for row, last in zip(tokens, targets[:, -1], strict=True):
        assert bytes(row.tolist()) in stream
        assert bytes([*row.tolist(), int(last)]) in stream + b"\x00"


def test_a_step_is_the_same_whenever_it_is_read(tmp_path: Path) -> None:
    batches = make(tmp_path, TEXT)
    later = batches.read(17)
    for step in range(17):
        batches.read(step)
    assert all((a == b).all() for a, b in zip(later, batches.read(17), strict=True))


def test_an_epoch_visits_every_window_once(tmp_path: Path) -> None:
    batches = make(tmp_path, TEXT, batch=1)
    starts = []
    for step in range(batches.windows):
        tokens, _ = batches.read(step)
        starts.append(TEXT.encode().find(bytes(tokens[0].tolist())))
    distinct = np.unique(np.array(starts))
    assert batches.windows >= len(TEXT) // 8 - 2
    assert batches.epochs(batches.windows) == 1.0
    # The text repeats itself every 90 characters, so a window is found at its first occurrence.
    assert len(distinct) == len({start % 90 for start in starts})


def test_epochs_and_seeds_differ(tmp_path: Path) -> None:
    first = make(tmp_path / "a", TEXT)
    other = make(tmp_path / "b", TEXT, seed=1)
    steps = first.windows // 4
    assert any((first.read(i)[0] != first.read(i + steps)[0]).any() for i in range(5))
    assert any((first.read(i)[0] != other.read(i)[0]).any() for i in range(5))


def test_a_corpus_of_one_window_is_enough(tmp_path: Path) -> None:
    batches = make(tmp_path, "abcdefgh", batch=2)
    tokens, targets = batches.read(5)
    assert tokens.tolist() == [list(b"abcdefgh")] * 2
    assert targets[0, -1] == 256


def test_a_corpus_below_one_window_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="less than one window"):
        make(tmp_path, "abcdefg")
