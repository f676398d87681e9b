"""Counts of pieces: the same however they were counted, and kept across a kill."""

import random
from collections import Counter
from pathlib import Path

import pytest

from groundup.core.errors import ArtifactError, InputError
from groundup.tokenizers import PieceCounts, train_bpe
from groundup.tokenizers.split import cutter


@pytest.mark.parametrize("pattern", ["gpt2", "o200k", r"\w+|\W"])
def test_counts_equal_a_plain_count(source_files: list[str], pattern: str) -> None:
    counts = PieceCounts(pattern, ["import"], threads=2)
    counts.add(source_files)
    parts = [part for text in source_files for part in text.split("import")]
    expected = Counter(piece.encode() for part in parts for piece in cutter(pattern)(part))
    assert dict(counts.items()) == expected
    assert counts.documents == len(source_files)


def test_a_long_text_is_counted_alike_by_many_threads(source_files: list[str]) -> None:
    text = "".join(source_files) * 3
    counts = [PieceCounts("cl100k", threads=threads) for threads in (1, 3)]
    for some in counts:
        some.add([text])
    assert dict(counts[0].items()) == dict(counts[1].items())


def test_counting_goes_on_after_a_kill(source_files: list[str], tmp_path: Path) -> None:
    whole = PieceCounts("cl100k", ["<|x|>"])
    whole.add(source_files)
    first = PieceCounts("cl100k", ["<|x|>"])
    first.add(source_files[:3])
    first.save(tmp_path / "counts.npz")
    resumed = PieceCounts.load(tmp_path / "counts.npz")
    resumed.add(source_files[resumed.documents :])
    assert dict(resumed.items()) == dict(whole.items())
    assert (resumed.pattern, resumed.special_tokens) == ("cl100k", ("<|x|>",))
    trained = [train_bpe(counts, vocab_size=400) for counts in (whole, resumed)]
    assert trained[0].fingerprint == trained[1].fingerprint


@pytest.mark.parametrize("pattern", ["cl100k", r"\w+|\W"])  # the core, and the reference
def test_rare_pieces_are_dropped_within_the_bound_that_is_told(pattern: str) -> None:
    numbers = random.Random(0)
    texts = [" ".join(f"w{int(numbers.paretovariate(0.3))}" for _ in range(300)) for _ in range(20)]
    counts = PieceCounts(pattern, most_pieces=200, threads=2)
    for text in texts:
        counts.add([text])
        assert len(counts) <= 200
    true = Counter(piece.encode() for text in texts for piece in cutter(pattern)(text))
    assert len(true) > 800
    kept = dict(counts.items())
    assert 0 < counts.too_low < 100
    assert all(
        true[piece] - counts.too_low <= count <= true[piece] for piece, count in kept.items()
    )
    assert {piece for piece, count in true.items() if count > counts.too_low} <= set(kept)


def test_dropping_does_not_depend_on_threads_or_a_kill(tmp_path: Path) -> None:
    texts = [" ".join(f"x{n % (7 + i) * n}" for n in range(900)) for i in range(12)]
    one = PieceCounts("gpt2", most_pieces=300, threads=1)
    for text in texts:
        one.add([text])
    three = PieceCounts("gpt2", most_pieces=300, threads=3)
    for text in texts:
        three.add([text])
        three.save(tmp_path / "counts.npz")
        three = PieceCounts.load(tmp_path / "counts.npz", threads=3)
    assert dict(one.items()) == dict(three.items())
    assert one.too_low == three.too_low > 0


def test_no_counts_are_saved_and_read_too(tmp_path: Path) -> None:
    PieceCounts("gpt2").save(tmp_path / "counts.npz")
    assert len(PieceCounts.load(tmp_path / "counts.npz")) == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"text"])
def test_another_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counts.npz"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="does not hold counts"):
        PieceCounts.load(path)


def test_a_truncated_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "counts.npz"
    counts = PieceCounts("gpt2")
    counts.add(["the cat sat"])
    counts.save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArtifactError, match="does not hold counts"):
        PieceCounts.load(path)


def test_a_pattern_that_leaves_text_out_is_one_sentence() -> None:
    counts = PieceCounts(r"\w+")
    with pytest.raises(InputError, match=r"does not cover the text at character 3 \(', b'\)"):
        counts.add(["abc, b"])
