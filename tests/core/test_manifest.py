"""Stages: skipped when finished, refused when changed or damaged."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import ArtifactError
from groundup.core.manifest import MANIFEST, read_manifest, run_stage, verify

DROPPED = object()


def build(directory: Path) -> Mapping[str, Any]:
    (directory / "out.txt").write_text("result")
    return {"count": 1}


def never(directory: Path) -> Mapping[str, Any]:
    raise AssertionError(f"{directory} was built again")


def test_a_finished_stage_is_skipped(tmp_path: Path) -> None:
    first, built = run_stage(tmp_path / "s", kind="demo", inputs={"a": 1}, build=build)
    again, rebuilt = run_stage(tmp_path / "s", kind="demo", inputs={"a": 1}, build=never)
    assert (built, rebuilt) == (True, False)
    assert first == again
    assert first.facts == {"count": 1}
    assert first.files["out.txt"]["bytes"] == len("result")


def test_a_killed_stage_is_built_again_from_what_is_there(tmp_path: Path) -> None:
    def killed(directory: Path) -> Mapping[str, Any]:
        (directory / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(tmp_path / "s", kind="demo", inputs={}, build=killed)
    assert not (tmp_path / "s" / MANIFEST).exists()
    _, built = run_stage(tmp_path / "s", kind="demo", inputs={}, build=build)
    assert built
    assert (tmp_path / "s" / "half.txt").exists()


def test_other_inputs_are_refused_by_name(tmp_path: Path) -> None:
    run_stage(tmp_path / "s", kind="demo", inputs={"seed": 1, "data": "x"}, build=build)
    with pytest.raises(ArtifactError, match="made with another seed"):
        run_stage(tmp_path / "s", kind="demo", inputs={"seed": 2, "data": "x"}, build=never)


@pytest.mark.parametrize("text", ["resulT", "result and more"])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    run_stage(tmp_path / "s", kind="demo", inputs={}, build=build)
    (tmp_path / "s" / "out.txt").write_text(text)
    with pytest.raises(ArtifactError, match="does not match its checksum"):
        run_stage(tmp_path / "s", kind="demo", inputs={}, build=never)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    run_stage(tmp_path / "s", kind="demo", inputs={}, build=build)
    (tmp_path / "s" / "out.txt").unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        run_stage(tmp_path / "s", kind="demo", inputs={}, build=never)


def test_the_fingerprint_follows_files_and_inputs_only(tmp_path: Path) -> None:
    def other_facts(directory: Path) -> Mapping[str, Any]:
        return {**build(directory), "seconds": 2.0}

    def other_file(directory: Path) -> Mapping[str, Any]:
        (directory / "out.txt").write_text("another")
        return {}

    first, _ = run_stage(tmp_path / "a", kind="demo", inputs={}, build=build)
    same, _ = run_stage(tmp_path / "b", kind="demo", inputs={}, build=other_facts)
    other, _ = run_stage(tmp_path / "c", kind="demo", inputs={}, build=other_file)
    assert first.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 99}, "upgrade groundup"),
        ({"format": 99, "files": DROPPED}, "upgrade groundup"),
        ({"files": DROPPED}, "is not a groundup manifest"),
        ({"kind": "shards"}, "holds a shards, not a demo"),
    ],
)
def test_another_format_or_kind_is_refused(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    run_stage(tmp_path, kind="demo", inputs={}, build=build)
    path = tmp_path / MANIFEST
    changed = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: v for key, v in changed.items() if v is not DROPPED}))
    with pytest.raises(ArtifactError, match=sentence):
        read_manifest(tmp_path, "demo")


@pytest.mark.parametrize("name", ["../out.txt", "/etc/hostname", "a/../../out.txt"])
def test_no_file_outside_is_read(tmp_path: Path, name: str) -> None:
    manifest, _ = run_stage(tmp_path / "s", kind="demo", inputs={}, build=build)
    outside = dataclasses.replace(manifest, files={name: manifest.files["out.txt"]})
    with pytest.raises(ArtifactError, match="which is not inside it"):
        verify(tmp_path / "s", outside)
