"""Near-duplicates against all pairs compared one by one."""

import random
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.curate.document import Document, encode_document
from groundup.curate.duplicates import near
from groundup.curate.duplicates.minhash import MinHash
from groundup.curate.duplicates.near import (
    Nearness,
    Pairs,
    UnionFind,
    band_keys,
    candidates,
    clusters,
    read_pairs,
    sign,
    verify,
)


def write_shards(folder: Path, texts: Sequence[str], shards: int) -> list[Path]:
    """The texts in order, some of them in each shard."""
    paths = []
    for number, part in enumerate(np.array_split(np.arange(len(texts)), shards)):
        documents = [Document(text=texts[i], id=str(i), source="test") for i in part]
        path = folder / f"{number:05}.jsonl"
        path.write_text("".join(map(encode_document, documents)), encoding="utf-8")
        paths.append(path)
    return paths


def find(folder: Path, shards: list[Path], config: Nearness, parts: int) -> Pairs:
    signed = [folder / f"signed-{shard.stem}" for shard in shards]
    for shard, to in zip(shards, signed, strict=True):
        sign(shard, to, config)
    found = []
    for band in range(config.bands):
        for part in range(parts):
            found.append(folder / f"candidates-{band}-{part}.npy")
            candidates(signed, band, part, parts, found[-1])
    verified = [folder / f"pairs-{part}.npy" for part in range(parts)]
    for part, to in enumerate(verified):
        verify(shards, signed, found, part, parts, to, config)
    return read_pairs(verified)


def rows(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def exact(texts: Sequence[str], threshold: float) -> dict[tuple[int, int], float]:
    """All pairs at least so similar, by sets of words."""
    sets = [rows(text) for text in texts]
    found = {}
    for i, j in combinations(range(len(texts)), 2):
        similarity = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
        if similarity >= threshold:
            found[i, j] = similarity
    return found


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Sixty texts, and of each up to four others with some words changed."""
    draw = random.Random(1)
    found = []
    for _ in range(60):
        words = [str(draw.randrange(50_000)) for _ in range(draw.randrange(100, 400))]
        found.append(" ".join(words))
        for _ in range(draw.randrange(5)):
            other = words.copy()
            for _ in range(round(draw.random() * 0.04 * len(words))):
                other[draw.randrange(len(other))] = "x"
            found.append(" ".join(other).upper())
    draw.shuffle(found)
    return [*found, "", "", " \n"]


@pytest.mark.parametrize(("shards", "parts"), [(1, 1), (4, 3)])
def test_all_near_duplicates_are_found_and_nothing_else(
    texts: list[str], tmp_path: Path, shards: int, parts: int
) -> None:
    config = Nearness()
    pairs = find(tmp_path, write_shards(tmp_path, texts, shards), config, parts)
    gold = exact(texts[:-3], config.threshold)
    assert len(gold) > 50
    together = UnionFind()
    for first, second in gold:
        together.join(first, second)
    found = clusters(pairs)
    assert found == together.sets()
    for first, second, similarity in zip(*pairs, strict=True):
        assert gold[int(first), int(second)] == similarity


def test_the_same_pairs_whatever_the_shards_and_parts(texts: list[str], tmp_path: Path) -> None:
    results = []
    for shards, parts in ((1, 1), (7, 1)):
        folder = tmp_path / str(shards)
        folder.mkdir()
        results.append(find(folder, write_shards(folder, texts, shards), Nearness(), parts))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_thousand_copies_are_one_cluster_of_few_pairs(tmp_path: Path) -> None:
    texts = ["the same few words again and again"] * 1000
    pairs = find(tmp_path, write_shards(tmp_path, texts, 2), Nearness(), 1)
    assert clusters(pairs) == [list(range(1000))]
    assert len(pairs.first) == 999


def test_what_is_finished_is_not_done_again(texts: list[str], tmp_path: Path) -> None:
    config = Nearness()
    shards = write_shards(tmp_path, texts, 2)
    first = find(tmp_path, shards, config, 2)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    (tmp_path / "pairs-1.npy").unlink()
    again = find(tmp_path, shards, config, 2)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    assert [path.name for path in before if before[path] != after[path]] == ["pairs-1.npy"]


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9])
def test_bands_find_pairs_as_often_as_they_should(similarity: float) -> None:
    """On signatures whose numbers are equal with just that probability."""
    config = Nearness(bands=10, rows=4, minhash=MinHash(permutations=40))
    draw = np.random.default_rng(0)
    one = draw.integers(0, 1 << 32, (4000, 40), dtype=np.uint32)
    other = np.where(draw.random((4000, 40)) < similarity, one, one + np.uint32(1))
    hits = (band_keys(one, 10, 4) == band_keys(other, 10, 4)).any(1).mean()
    expected = config.probability(similarity)
    assert hits == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 4000) + 1e-3)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_joined_numbers_are_those_that_a_path_connects(edges: list[tuple[int, int]]) -> None:
    joined = UnionFind()
    for one, other in edges:
        joined.join(one, other)
    sets = {number: {number} for edge in edges for number in edge}
    for one, other in edges:
        union = sets[one] | sets[other]
        for number in union:
            sets[number] = union
    assert joined.sets() == sorted({tuple(sorted(s)): sorted(s) for s in sets.values()}.values())


def test_keys_that_many_share_give_few_pairs() -> None:
    pairs = near._with_one_key(np.full(100, 7, np.uint64), np.arange(100)[::-1].copy())
    assert len(pairs) <= 100 * (near._NEIGHBOURS + 1)
    assert (pairs[:, 0] < pairs[:, 1]).all()


@pytest.mark.parametrize(
    "options", [{"threshold": 0.0}, {"threshold": 1.1}, {"bands": 50}, {"rows": 0}]
)
def test_what_cannot_be_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"threshold|bands"):
        Nearness(**options)
