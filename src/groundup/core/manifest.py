"""Artifacts: a directory is finished when its `manifest.json` is there, and it is written last.

The manifest names the artifact's kind, what it was made from (`inputs`), what it holds (`files`,
with sizes and checksums) and what is worth knowing about it (`facts`). A stage whose finished
artifact has the same inputs is skipped; other inputs are an error, never a silent reuse.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from groundup.core.errors import ArtifactError
from groundup.core.files import PARTIAL, read_json, sha256_file, sha256_json, write_json

MANIFEST = "manifest.json"
FORMAT = 1  # raise when a reader of today could misread an artifact of tomorrow


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a finished artifact says of itself.

    kind: the stage that made it ("tokenizer", "shards", …).
    inputs: name → fingerprint or value of everything it was made from.
    files: relative path → {"bytes": size, "sha256": checksum}.
    facts: counts, timings and scores, for people and for the report.
    """

    kind: str
    inputs: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """Names the artifact's contents: the same inputs and files give the same fingerprint."""
        files = {name: entry["sha256"] for name, entry in self.files.items()}
        return sha256_json({"kind": self.kind, "inputs": dict(self.inputs), "files": files})


def write_manifest(
    directory: Path, *, kind: str, inputs: Mapping[str, Any], facts: Mapping[str, Any]
) -> Manifest:
    """Checksum every file below `directory` and write its manifest: now it is finished."""
    files = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name != MANIFEST and not name.endswith(PARTIAL):
            files[name] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    manifest = Manifest(kind=kind, inputs=dict(inputs), files=files, facts=dict(facts))
    write_json(
        directory / MANIFEST,
        {
            "format": FORMAT,
            "kind": kind,
            "inputs": manifest.inputs,
            "files": manifest.files,
            "facts": manifest.facts,
        },
    )
    return manifest


def read_manifest(directory: Path, kind: str) -> Manifest:
    """The manifest of the finished artifact in `directory`.

    Raises `ArtifactError` where there is none, or where it is of another kind or format.
    Checksums are not read here: `verify` does that.
    """
    path = directory / MANIFEST
    if not path.exists():
        raise ArtifactError(f"{directory} holds no finished {kind} (no {MANIFEST}).")
    raw = read_json(path)
    if isinstance(raw, dict) and raw.get("format", FORMAT) != FORMAT:  # its keys may be others
        raise ArtifactError(
            f"{path} has format {raw['format']}, this groundup reads {FORMAT}: upgrade groundup."
        )
    if (
        not isinstance(raw, dict)
        or not {"format", "kind", "inputs", "files", "facts"} <= raw.keys()
    ):
        raise ArtifactError(f"{path} is not a groundup manifest: delete {directory} and run again.")
    if raw["kind"] != kind:
        raise ArtifactError(f"{directory} holds a {raw['kind']}, not a {kind}.")
    return Manifest(kind=raw["kind"], inputs=raw["inputs"], files=raw["files"], facts=raw["facts"])


def verify(directory: Path, manifest: Manifest) -> None:
    """Compare every file with its checksum; `ArtifactError` names the first that differs."""
    for name, entry in manifest.files.items():
        path = directory / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ArtifactError(f"{directory / MANIFEST} names {name}, which is not inside it.")
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: delete {directory} and run again.")
        if path.stat().st_size != entry["bytes"] or sha256_file(path) != entry["sha256"]:
            raise ArtifactError(
                f"{path} does not match its checksum in {MANIFEST}: "
                f"it was damaged or edited; delete {directory} and run again."
            )


def run_stage(
    directory: Path,
    *,
    kind: str,
    inputs: Mapping[str, Any],
    build: Callable[[Path], Mapping[str, Any]],
) -> tuple[Manifest, bool]:
    """Return the finished artifact in `directory`, building it first where it is not there yet.

    `build(directory)` fills the directory and returns the facts; what it finds there is what a
    killed run of the same stage left, to resume from or to overwrite. The second value says
    whether anything was built.

    Raises `ArtifactError` where the directory holds a finished artifact of other inputs, or a
    file that no longer matches its checksum.
    """
    if (directory / MANIFEST).exists():
        manifest = read_manifest(directory, kind)
        changed = sorted(
            name
            for name in {*manifest.inputs, *inputs}
            if manifest.inputs.get(name) != inputs.get(name)
        )
        if changed:
            raise ArtifactError(
                f"{directory} was made with another {', '.join(changed)}: "
                "choose another --name, or delete that folder to make it again."
            )
        verify(directory, manifest)
        return manifest, False
    directory.mkdir(parents=True, exist_ok=True)
    if not os.access(directory, os.W_OK):
        raise ArtifactError(f"{directory} is not writable: choose another folder.")
    facts = build(directory)
    return write_manifest(directory, kind=kind, inputs=inputs, facts=facts), True
