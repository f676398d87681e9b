"""Evaluations as their authors publish them: files of examples, each of one or more texts."""

import bz2
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from groundup.core.errors import InputError, MissingExtraError

_DAMAGES = (ValueError, EOFError, OSError, RecursionError, csv.Error, zlib.error)
_CELL_CHARS = 64 << 20  # of a field in a CSV file, at most


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """path: a file of examples, or a folder with such files; each may be compressed (`.gz`, `.bz2`,
    `.zst`).

        .jsonl, .json, .parquet     an object or row is an example, and each string in it a text
        .csv                        a row is an example, and each cell a text
        .txt                        a line is an example

    fields: the only ones that are read (of CSV: of columns that the first row names). name: for
    people; by default the file's or folder's.
    """

    path: str
    fields: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        if not Path(self.path).exists():
            raise ValueError(f"there is no file or folder {self.path}")

    @property
    def title(self) -> str:
        return self.name or _kind(Path(self.path))[0]


class Example(NamedTuple):
    """place: `FILE:NUMBER`, the line, row or object, from 1. texts: as they stand in it."""

    place: str
    texts: list[str]


def read_examples(evaluation: EvaluationSet) -> Iterator[Example]:
    """All of a set, in order of its files' names.

    Raises `InputError` where a file is damaged or there is none that is read, `MissingExtraError`
    where a package is not there that its kind needs.
    """
    path = Path(evaluation.path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    files = [file for file in files if _kind(file)[1] in _READERS]
    if not files:
        kinds = ", ".join(_READERS)
        raise InputError(f"{path} holds no examples: files that end in {kinds} are read.")
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        try:
            examples = _READERS[_kind(file)[1]](file, evaluation.fields)
            for number, texts in examples:
                yield Example(f"{name}:{number}", texts)
        except (*_DAMAGES, *_zstd_damage()) as error:
            raise InputError(f"{file} cannot be read as examples ({error}).") from error


def _zstd_damage() -> tuple[type[Exception], ...]:
    try:
        import zstandard
    except ImportError:
        return ()
    return (zstandard.ZstdError,)


def _kind(file: Path) -> tuple[str, str]:
    """The name without suffixes, and the suffix, but for that of a compression."""
    name = Path(file.name.removesuffix(".gz").removesuffix(".bz2").removesuffix(".zst"))
    return name.stem, name.suffix.lower()


def _open(file: Path) -> IO[str]:
    if file.suffix == ".zst":
        try:
            import zstandard
        except ImportError as error:
            raise MissingExtraError("Reading .zst files", "curate") from error
        return io.TextIOWrapper(zstandard.open(file, "rb"), encoding="utf-8-sig", newline="")
    opened = {".gz": gzip.open, ".bz2": bz2.open}.get(file.suffix, open)
    return opened(file, "rt", encoding="utf-8-sig", newline="")


Texts = Iterator[tuple[int, list[str]]]


def _read_jsonl(file: Path, fields: Sequence[str]) -> Texts:
    with _open(file) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, _strings(json.loads(line), fields)


def _read_json(file: Path, fields: Sequence[str]) -> Texts:
    with _open(file) as opened:
        whole = json.load(opened)
    for number, one in enumerate(whole if isinstance(whole, list) else [whole], start=1):
        yield number, _strings(one, fields)


def _read_parquet(file: Path, fields: Sequence[str]) -> Texts:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("Reading .parquet files", "curate") from error
    with pyarrow.parquet.ParquetFile(file) as table:
        number = 0
        for batch in table.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, _strings(row, fields)


def _read_csv(file: Path, fields: Sequence[str]) -> Texts:
    with _open(file) as opened:
        csv.field_size_limit(_CELL_CHARS)
        rows = csv.reader(opened)
        names = next(rows, []) if fields else []
        for number, row in enumerate(rows, start=2 if fields else 1):
            yield number, _strings(dict(zip(names, row, strict=False)) if fields else row, fields)


def _read_text(file: Path, _fields: Sequence[str]) -> Texts:
    with _open(file) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, [line]


def _strings(value: Any, fields: Sequence[str]) -> list[str]:
    """All strings in a JSON value; of an object, in its `fields` where there are any."""
    if fields:
        missing = [name for name in fields if not isinstance(value, dict) or name not in value]
        if missing:
            raise ValueError(f"an example has no field '{missing[0]}'")
        value = [value[name] for name in fields]
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _strings(one, ())]


_READERS: dict[str, Callable[[Path, Sequence[str]], Texts]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".txt": _read_text,
}
