"""Labelled texts to train a classifier on: from a file, or pages to be like against others.

Reference pages against a random crawl is how GPT-3's and LLaMA's data were chosen (Brown et al.
2020, appendix A; Touvron et al. 2023, section 2.1). The classifier must not tell the sides apart by
how long their documents are or how many there are: they are cut to pieces of like length, and of
both sides there are equally many.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from groundup.core.errors import InputError
from groundup.core.seeds import derive_seed
from groundup.curate.cut import cut_document
from groundup.curate.document import Document
from groundup.curate.duplicates.digest import content_digest

NEGATIVE, POSITIVE = "negative", "positive"

_PIECE_BYTES = 1_000  # of a piece, at most; as long as a few paragraphs
_READ = 5  # times as much text as is needed, so that pieces are not all of the first documents
_PARTS = 20  # of a side, at least: what a longer document is cut to, so that one can be held out
_CELL_CHARS = 64 << 20  # of a field in a CSV file, at most


class Example(NamedTuple):
    """document: names what the text is of; texts of one document stay on one side of a split."""

    text: str
    label: str
    document: str


def read_examples(path: Path, text_field: str, label_field: str) -> list[Example]:
    """The rows of a file of JSON lines (`.jsonl`), or of a `.csv` or `.tsv` with a line of names.

    A field of JSON may be inside another: `metadata.language`. Raises `InputError` for a row that
    has no text or no label, as what is learned from must be right.
    """
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".csv", ".tsv"):
        raise InputError(f"{path} is no file of labelled texts: .jsonl, .csv and .tsv are read.")
    examples = []
    try:
        for line, row in _json_rows(path) if suffix == ".jsonl" else _table_rows(path, suffix):
            text, label = _field(row, text_field), _field(row, label_field)
            for name, value in ((text_field, text), (label_field, label)):
                if value is None or (name == text_field and not isinstance(value, str)):
                    raise InputError(
                        f"{path}, line {line} has no {name!r}: choose other fields by --text-field "
                        f"and --label-field (its fields: {', '.join(map(str, row))})."
                    )
            said = label if isinstance(label, str) else json.dumps(label)
            examples.append(Example(text, said, content_digest(text).hex()))
    except (UnicodeDecodeError, UnicodeEncodeError) as error:  # or half of a surrogate pair
        raise InputError(f"{path} is no UTF-8 ({error.reason}).") from error
    return examples


def reference_examples(
    positive: Sequence[Iterable[Document]],
    negative: Sequence[Iterable[Document]],
    most: int,
    seed: int,
) -> list[Example]:
    """Pieces of both sides, equally many and at most `most` of each, drawn from a few times as many
    at the beginnings of its sources. Raises `InputError` where a side has no text."""
    sides = {
        label: [
            document
            for source in sources
            for document in _first(source, _READ * most * _PIECE_BYTES // len(sources))
        ]
        for label, sources in ((NEGATIVE, negative), (POSITIVE, positive))
    }
    for label, documents in sides.items():
        if not documents:
            raise InputError(f"the {label} side has no text: give documents that hold some.")
    size = min(int(median(document.size for document in side)) for side in sides.values())
    pieces = {label: _pieces(side, label, min(size, _PIECE_BYTES)) for label, side in sides.items()}
    count = min(most, *map(len, pieces.values()))
    chosen = []
    for label, side in pieces.items():
        order = sorted(range(len(side)), key=lambda i: derive_seed(seed, "pieces", label, i))
        chosen += [side[i] for i in sorted(order[:count])]
    return chosen


def split_examples(
    examples: Iterable[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Examples to train on, and others with about that share of the documents of each label. Where
    a label has two documents, one of them is held out."""
    examples = list(examples)
    of_label: dict[str, set[str]] = {}
    for example in examples:
        of_label.setdefault(example.label, set()).add(example.document)
    held_out: dict[str, bool] = {}
    for _, documents in sorted(of_label.items()):
        in_order = sorted(documents, key=lambda name: derive_seed(seed, "held out", name))
        count = max(1, round(share * len(in_order))) if len(in_order) > 1 else 0
        for place, name in enumerate(in_order):
            held_out.setdefault(name, place < count)
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        sides[held_out[example.document]].append(example)
    return sides


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number} is not valid JSON ({error}).") from error
            if not isinstance(row, dict):
                raise InputError(f"{path}, line {number} is not a JSON object.")
            yield number, row


def _table_rows(path: Path, suffix: str) -> Iterator[tuple[int, dict[str, Any]]]:
    limit = csv.field_size_limit(_CELL_CHARS)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ",")
            for row in table:
                yield table.line_num, row
    except csv.Error as error:
        raise InputError(f"{path} is not valid CSV ({error}).") from error
    finally:
        csv.field_size_limit(limit)


def _field(row: dict[str, Any], name: str) -> Any:
    if name in row:
        return row[name]
    head, _, rest = name.partition(".")
    inner = row.get(head)
    return _field(inner, rest) if rest and isinstance(inner, dict) else None


def _first(documents: Iterable[Document], size: int) -> Iterator[Document]:
    taken = 0
    for document in documents:
        if document.text.strip():
            yield document
            taken += document.size
        if taken >= size:
            return


def _pieces(documents: list[Document], label: str, size: int) -> list[Example]:
    """What is left at a document's end and not half as long is left out."""
    part = max(size, sum(document.size for document in documents) // _PARTS)
    pieces = []
    for document in documents:
        for one in cut_document(document, part):
            name = content_digest(one.text).hex()
            pieces += [
                Example(piece.text, label, name)
                for piece in cut_document(one, size)
                if 2 * piece.size >= size
            ]
    return pieces
