"""Windows of a corpus: an epoch visits every window once."""

from pathlib import Path

import numpy as np
import pytest

from groundup.core.errors import InputError
from groundup.data.shards import TokenShards, write_shards
from groundup.data.windows import Windows
from groundup.tokenizers import BPE

TOKENIZER = BPE.learned([], "gpt2", ["<|endoftext|>"])
TEXT = "".join(chr(32 + i * 7 % 90) for i in range(1000))


def make(directory: Path, text: str, *, context: int = 8, seed: int = 0) -> Windows:
    write_shards(directory, [text], TOKENIZER, end_of_text=256, shard_tokens=100)
    shards = TokenShards(directory, TOKENIZER.fingerprint)
    return Windows(shards=shards, context=context, seed=seed)


def starts(windows: Windows, first: int, last: int) -> list[int]:
    return [start for _, start in windows.locate(np.arange(first, last))]


def test_an_epoch_visits_every_window_once(tmp_path: Path) -> None:
    windows = make(tmp_path, TEXT)
    assert windows.windows >= len(TEXT) // 8 - 2
    assert windows.epochs(windows.windows) == 1.0
    for epoch in range(3):
        visited = starts(windows, epoch * windows.windows, (epoch + 1) * windows.windows)
        first = min(visited)
        assert sorted(visited) == list(range(first, first + 8 * windows.windows, 8))
        assert max(visited) + 8 < len(windows.shards)


def test_a_sample_is_the_same_whatever_it_is_read_with(tmp_path: Path) -> None:
    windows = make(tmp_path, TEXT)
    together = starts(windows, 0, 3 * windows.windows)
    assert together == [starts(windows, i, i + 1)[0] for i in range(3 * windows.windows)]


def test_epochs_and_seeds_differ(tmp_path: Path) -> None:
    windows = make(tmp_path / "a", TEXT)
    other = make(tmp_path / "b", TEXT, seed=1)
    first = starts(windows, 0, windows.windows)
    assert first != starts(windows, windows.windows, 2 * windows.windows)
    assert first != starts(other, 0, windows.windows)


def test_a_corpus_of_one_window_is_enough(tmp_path: Path) -> None:
    assert starts(make(tmp_path, "abcdefgh"), 0, 5) == [0] * 5


def test_a_corpus_below_one_window_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 8 tokens, less than one window of 8 [+] 1"):
        make(tmp_path, "abcdefg")
