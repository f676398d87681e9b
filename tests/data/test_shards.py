"""Token shards give back what went in, and refuse what is damaged."""

import itertools
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import read_json, write_json
from groundup.data.shards import TokenShards, join_shards, write_file_shards, write_shards
from groundup.tokenizers import BPE
from groundup.tokenizers.parts import text_parts

TOKENIZER = BPE.learned([(97, 98)], "gpt2", ["<|endoftext|>"])
END = TOKENIZER.special_tokens["<|endoftext|>"]
TEXTS = ["ab", "", "hello é", "cab " * 30, "z"]


@pytest.fixture
def stream() -> list[int]:
    return [token for text in TEXTS for token in [*TOKENIZER.encode(text), END]]


@pytest.mark.parametrize("shard_tokens", [1, 10, 10**6])
def test_the_stream_is_the_documents_in_order(
    tmp_path: Path, stream: list[int], shard_tokens: int
) -> None:
    facts = write_shards(tmp_path, TEXTS, TOKENIZER, end_of_text=END, shard_tokens=shard_tokens)
    shards = TokenShards(tmp_path, TOKENIZER.fingerprint)
    assert len(shards) == facts["tokens"] == len(stream)
    assert facts["documents"] == shards.n_documents == len(TEXTS)
    assert facts["bytes"] == sum(len(text.encode()) for text in TEXTS)
    assert shards.document_bytes.tolist() == [len(text.encode()) for text in TEXTS]
    assert shards.read(0, len(stream)).tolist() == stream
    for start in range(len(stream)):
        assert shards.read(start, min(7, len(stream) - start)).tolist() == stream[start:][:7]
    assert [stream[end - 1] for end in shards.document_ends] == [END] * len(TEXTS)
    numbers = [number for number, text in enumerate(TEXTS) for _ in [*TOKENIZER.encode(text), END]]
    for start in range(len(stream)):
        count = min(7, len(stream) - start)
        assert shards.documents(start, count).tolist() == numbers[start:][:count]


def test_files_are_encoded_in_parts_as_they_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_parts, "__defaults__", (7,))
    paths = [tmp_path / f"{i}.txt" for i in range(len(TEXTS))]
    for path, text in zip(paths, TEXTS, strict=True):
        path.write_bytes(text.encode())
    settings = {"tokenizer": TOKENIZER, "end_of_text": END, "shard_tokens": 40}
    facts = write_file_shards(tmp_path / "files", paths, **settings)
    assert facts == write_shards(tmp_path / "texts", TEXTS, **settings)
    for name in ("tokens-00000.bin", "tokens-00000.idx", "shards.json"):
        assert (tmp_path / "files" / name).read_bytes() == (tmp_path / "texts" / name).read_bytes()


def test_a_file_that_is_not_utf8_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"abc \xff")
    with pytest.raises(InputError, match=r"a\.txt is not UTF-8"):
        write_file_shards(tmp_path, [tmp_path / "a.txt"], TOKENIZER, end_of_text=END)
    assert not (tmp_path / "shards.json").exists()


def test_a_large_vocabulary_takes_four_bytes(tmp_path: Path) -> None:
    every_pair = list(itertools.product(range(256), repeat=2))
    wide = BPE.learned(every_pair, "gpt2", ["<|endoftext|>"])
    write_shards(tmp_path, ["ab"], wide, end_of_text=wide.special_tokens["<|endoftext|>"])
    shards = TokenShards(tmp_path, wide.fingerprint)
    assert shards.read(0, 2).tolist() == [256 + 97 * 256 + 98, wide.vocab_size - 1]
    assert shards.read(0, 2).dtype == np.dtype("<u4")


def test_reading_past_the_end_is_an_error(tmp_path: Path, stream: list[int]) -> None:
    write_shards(tmp_path, TEXTS, TOKENIZER, end_of_text=END)
    with pytest.raises(IndexError):
        TokenShards(tmp_path, TOKENIZER.fingerprint).read(len(stream), 1)
    with pytest.raises(IndexError):
        TokenShards(tmp_path, TOKENIZER.fingerprint).documents(0, len(stream) + 1)


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, TEXTS, TOKENIZER, end_of_text=END)
    with pytest.raises(ArtifactError, match="another tokenizer"):
        TokenShards(tmp_path, BPE.learned([], "gpt2").fingerprint)


def test_a_truncated_shard_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, TEXTS, TOKENIZER, end_of_text=END)
    path = tmp_path / "tokens-00000.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ArtifactError, match="truncated"):
        TokenShards(tmp_path, TOKENIZER.fingerprint)
    path.write_bytes(path.read_bytes() + b"ab")
    TokenShards(tmp_path, TOKENIZER.fingerprint)
    index = tmp_path / "tokens-00000.idx"
    index.write_bytes(index.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="tokens-00000.idx has .* truncated"):
        TokenShards(tmp_path, TOKENIZER.fingerprint)
    path.unlink()
    with pytest.raises(ArtifactError, match="missing"):
        TokenShards(tmp_path, TOKENIZER.fingerprint)


def test_files_of_an_earlier_attempt_are_not_counted(tmp_path: Path) -> None:
    write_shards(tmp_path, TEXTS, TOKENIZER, end_of_text=END, shard_tokens=1)
    facts = write_shards(tmp_path, TEXTS, TOKENIZER, end_of_text=END)
    assert facts["bytes"] == sum(len(text.encode()) for text in TEXTS)


def test_documents_are_written_as_they_come(tmp_path: Path) -> None:
    """Twenty million tokens pass through while the memory grows by less than a fifth of them."""

    def documents() -> Iterator[str]:
        for _ in range(20_000):
            yield "0123456789 " * 100

    tracemalloc.start()
    facts = write_shards(tmp_path, documents(), TOKENIZER, end_of_text=END)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert facts["tokens"] > 20_000_000
    assert peak < 16_000_000


def test_a_billion_tokens_open_and_read_in_constant_memory(tmp_path: Path) -> None:
    """2 GB of tokens and an index of 16 MB, of which opening and reading keep next to nothing."""
    write_shards(tmp_path, ["a"], TOKENIZER, end_of_text=END)
    (shard,) = (info := read_json(tmp_path / "shards.json"))["shards"]
    shard |= {"tokens": 10**9, "documents": 10**6}
    write_json(tmp_path / "shards.json", info)
    with open(tmp_path / "tokens-00000.bin", "r+b") as file:
        file.truncate(2 * 10**9)  # sparse: it takes no place on the disk
    index = np.zeros((10**6, 2), dtype="<u8")
    index[:, 0] = np.arange(1000, 10**9 + 1, 1000)
    index.tofile(tmp_path / "tokens-00000.idx")
    tracemalloc.start()
    shards = TokenShards(tmp_path, TOKENIZER.fingerprint)
    assert len(shards) == 10**9
    assert len(shards.read(999_999_000, 1000)) == 1000
    assert shards.documents(500_000_998, 4).tolist() == [500_000, 500_000, 500_001, 500_001]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_lone_surrogate_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lone surrogate"):
        write_shards(tmp_path, ["fine", "\ud800"], TOKENIZER, end_of_text=END)
    assert not list(tmp_path.iterdir())  # the shard that was being written is gone


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 1}', '{"format": 99}', '{"form'])
def test_a_damaged_description_is_refused(tmp_path: Path, text: str) -> None:
    write_shards(tmp_path, TEXTS, TOKENIZER, end_of_text=END)
    (tmp_path / "shards.json").write_text(text)
    with pytest.raises(ArtifactError):
        TokenShards(tmp_path, TOKENIZER.fingerprint)


def test_no_documents_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no documents"):
        write_shards(tmp_path, [], TOKENIZER, end_of_text=END)


@pytest.mark.parametrize("cut_off", [False, True])
def test_joined_shards_are_those_of_all_documents(tmp_path: Path, cut_off: bool) -> None:
    parts = [tmp_path / "0", tmp_path / "1", tmp_path / "2"]
    for part, texts in zip(parts, (TEXTS[:2], TEXTS[2:4], TEXTS[4:]), strict=True):
        write_shards(part, texts, TOKENIZER, end_of_text=END, shard_tokens=5)
    to = tmp_path / "joined"
    if cut_off:  # after the first file
        to.mkdir()
        (parts[0] / "tokens-00000.bin").rename(to / "tokens-00000.bin")
    facts = join_shards(parts, to)
    whole = write_shards(tmp_path / "whole", TEXTS, TOKENIZER, end_of_text=END)
    assert facts == whole
    joined = TokenShards(to, TOKENIZER.fingerprint)
    stream = TokenShards(tmp_path / "whole", TOKENIZER.fingerprint)
    assert joined.read(0, len(joined)).tolist() == stream.read(0, len(stream)).tolist()
    assert joined.document_ends.tolist() == stream.document_ends.tolist()
    with pytest.raises(InputError, match="no documents"):
        join_shards([], to)
