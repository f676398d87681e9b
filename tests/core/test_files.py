"""Atomic files: whole or not there."""

import hashlib
from pathlib import Path

import pytest

from groundup.core.errors import ArtifactError
from groundup.core.files import (
    atomic_file,
    read_json,
    sha256_file,
    sha256_json,
    write_json,
    write_text,
)


def test_a_failed_write_leaves_the_old_contents_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with atomic_file(path, "w") as file:
            file.write("half of the new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_text_is_utf8_with_plain_line_ends(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a.txt", "w") as file:
        file.write("é\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\n"


def test_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_unreadable_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(ArtifactError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ArtifactError, match="does not exist"):
        read_json(tmp_path / "b.json")
    (tmp_path / "c.json").write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match=r"c\.json is not valid JSON"):
        read_json(tmp_path / "c.json")
    (tmp_path / "d.json").write_bytes(b"\xff")
    with pytest.raises(ArtifactError, match=r"d\.json is no UTF-8"):
        read_json(tmp_path / "d.json")


def test_checksums(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1})
    assert sha256_json({"a": 1}) != sha256_json({"a": 2})
