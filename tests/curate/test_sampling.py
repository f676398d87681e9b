"""Samples that are the same again: the keys of the lowest hashes, whatever their order."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import ArtifactError
from groundup.curate.sampling import Reservoir, bytes_of, hashed, read_some


@given(
    keys=st.lists(st.text(max_size=3), max_size=60), size=st.integers(1, 9), seed=st.integers(0, 9)
)
def test_a_sample_has_the_keys_of_the_lowest_hashes(keys: list[str], size: int, seed: int) -> None:
    reservoir = Reservoir[list[int]](size, seed)
    for place, key in enumerate(keys):
        places = reservoir.add(key, [])
        if places is not None:
            places.append(place)
    lowest = sorted(set(keys), key=lambda key: hashed(key, seed))[:size]
    assert reservoir.items() == {
        key: [place for place, other in enumerate(keys) if other == key] for key in lowest
    }
    assert list(reservoir.items()) == lowest


def test_every_key_is_drawn_as_often_as_the_others() -> None:
    """200 draws of 10 of 40: each comes 50 times, give or take 4 standard deviations."""
    drawn = dict.fromkeys(map(str, range(40)), 0)
    for seed in range(200):
        reservoir = Reservoir[None](10, seed)
        for key in drawn:
            reservoir.add(key, None)
        for key in reservoir.items():
            drawn[key] += 1
    assert sum(drawn.values()) == 2000
    deviation = (200 * 0.25 * 0.75) ** 0.5
    assert all(abs(count - 50) < 4 * deviation for count in drawn.values())


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{n}.jsonl" for n in range(20)]
    for n, path in enumerate(paths):
        path.write_text("".join(f"{n}-{line}\n" for line in range(10)))
    return paths


def test_all_is_read_where_there_is_room(files: list[Path]) -> None:
    lines = list(read_some(files, bytes_of(files), 0, bytes.decode))
    assert sorted(lines) == sorted(f"{n}-{line}\n" for n in range(20) for line in range(10))


def test_of_more_some_files_are_read(files: list[Path]) -> None:
    read = {seed: list(read_some(files, 200, seed, bytes.decode)) for seed in range(3)}
    assert all(200 <= sum(map(len, lines)) < 210 for lines in read.values())
    assert read[0] == list(read_some(files[::-1], 200, 0, bytes.decode))
    assert len({tuple(lines) for lines in read.values()}) == 3


def test_a_file_that_is_gone_is_passed_over_and_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"fine\n\xff\n")
    with pytest.raises(ArtifactError, match="a, line 2 is damaged .*: run the curation again"):
        list(read_some([tmp_path / "gone", tmp_path / "a"], 99, 0, bytes.decode))
    assert bytes_of([tmp_path / "gone", tmp_path / "a"]) == 7
