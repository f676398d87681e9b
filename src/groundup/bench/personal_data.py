"""Masks for personal data: what they find of labelled data, and what where there is hardly any.

The labels are those of presidio-research's synthetic sentences. The detectors were written with a
half of them in sight, that of an even hash. Both halves have sentences of the same templates, so
that the other says less than texts from elsewhere would.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from groundup.bench.result import OURS, rates_of, row
from groundup.curate.privacy import Finder, Mask
from groundup.curate.stdlib import standard_library

Rows = list[dict[str, Any]]

_KINDS = {
    "CREDIT_CARD": "card",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "PHONE_NUMBER": "phone",
    "US_SSN": "us_ssn",
}


class Label(NamedTuple):
    """What somebody says stands at a place of a sentence."""

    begin: int
    end: int
    kind: str


class Sentence(NamedTuple):
    """A text with its labels; those without a kind of ours have the set's name."""

    text: str
    labels: list[Label]

    @property
    def seen(self) -> bool:
        """Whether the detectors' authors have looked at it."""
        return hashlib.blake2b(self.text.encode(), digest_size=1).digest()[0] % 2 == 0


def personal_data(folder: Path, quick: bool) -> Rows:
    """Precision, recall and F1 of each kind on the folder's sentences, and what is found a megabyte
    of the prose beside it and of Python's standard library."""
    finder = Mask().finder()
    sentences = [sentence for path in sorted(folder.glob("*.json")) for sentence in _read(path)]
    rows: Rows = []
    labels = Counter(label.kind for one in sentences for label in one.labels)
    for kind in sorted(labels.keys() & _KINDS.values()):
        case = f"personal data, {kind}: {labels[kind]} labels in {len(sentences)} sentences"
        for half, seen in (("", True), (", not seen", False)):
            scores = _scores(finder, kind, [one for one in sentences if one.seen == seen])
            for metric, value in scores.items():
                rows.append(row(case, OURS, metric + half, "", [value], higher=True))
    for name in sorted(labels.keys() - _KINDS.values()):
        case = "personal data of kinds that have no mask"
        rows.append(row(case, OURS, name, "labels", [labels[name]], higher=False))
    prose = [path.read_text("utf-8") for path in sorted(folder.parent.glob("text/**/*.txt"))]
    code = [document.text for document in standard_library().documents(_ignore, _ignore)]
    for name, texts in (("prose", prose), ("source code", code)):
        rows += _where_there_is_none(finder, name, texts[:: 10 if quick else 1], quick)
    return rows


def _ignore(*told: object, **named: object) -> None:
    """What is not read, and progress."""


def _read(path: Path) -> Iterable[Sentence]:
    for sentence in json.loads(path.read_text("utf-8")):
        labels = []
        for span in sentence["spans"]:
            kind = _KINDS.get(span["entity_type"]) or span["entity_type"]
            labels.append(Label(span["start_position"], span["end_position"], kind))
        yield Sentence(sentence["full_text"], labels)


def _scores(finder: Finder, kind: str, sentences: Sequence[Sentence]) -> dict[str, float]:
    """A label is found where a datum of its kind covers it, a datum is right where it touches a
    label of its kind."""
    labelled = covered = found = right = 0
    for text, labels in sentences:
        wanted = [label for label in labels if label.kind == kind]
        data = [one for one in finder.find(text) if one.detector.kind == kind]
        labelled, found = labelled + len(wanted), found + len(data)
        covered += sum(any(d.begin <= w.begin and w.end <= d.end for d in data) for w in wanted)
        right += sum(any(d.begin < w.end and w.begin < d.end for w in wanted) for d in data)
    recall, precision = covered / max(1, labelled), right / max(1, found)
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    return {"precision": precision, "recall": recall, "F1": f1}


def _where_there_is_none(finder: Finder, name: str, texts: Sequence[str], quick: bool) -> Rows:
    """How fast, and what is found, by kind."""
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    if not megabytes:
        return []
    case = f"personal data in {megabytes:.1f} MB of {name}"
    found, rates = rates_of(lambda: [finder.find(text) for text in texts], megabytes, quick)
    kinds = Counter(one.detector.kind for data in found for one in data)
    return [
        row(case, OURS, "rate", "MB/s", rates, higher=True),
        *(
            row(case, OURS, kind, "per MB", [count / megabytes], higher=False)
            for kind, count in sorted(kinds.items())
        ),
    ]
