"""Curation, one process: main text of pages, MinHash, near-duplicates, classifiers, beside their
peers; and masks for personal data.

The data are public sets in a folder, each in one of its own (docs/benchmarks/data.md names their
sources):

    html-articles/   html/*.html.gz and ground-truth.json, the article extraction benchmark's
    text/            books and anything else in UTF-8, .txt
    hate-speech/     labeled_data.csv
    langid/          LANGUAGE.sentences.txt
    pii/             .json of presidio-research: sentences whose personal data are labelled

What is not there is left out. Whatever learns is measured on what it has not seen.
"""

import csv
import gzip
import importlib
import importlib.util
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from groundup.bench.curate_pipeline import pipeline_rows
from groundup.bench.near_duplicates import changed_copies, editions
from groundup.bench.personal_data import personal_data
from groundup.bench.result import OURS, announce, machine_is_idle, rates_of, row, versions
from groundup.core.device import select_device
from groundup.core.errors import InputError
from groundup.core.progress import make_console, stand_still
from groundup.curate.classify import Classifier, Ngrams, TrainClassifier, train_classifier
from groundup.curate.classify.report import report
from groundup.curate.duplicates.minhash import MinHash
from groundup.curate.extract import extractor_of
from groundup.curate.extract.training import MarkedPage, found_unseen, score
from groundup.curate.extract.trees import TrainTrees
from groundup.train.probe import machine_description

Rows = list[dict[str, Any]]

_FOLDS = 6
_DOCUMENT = 13_000  # characters
_PAIRS = 1000  # texts of which each has a changed copy


def bench_curate(data: Path, *, quick: bool) -> dict[str, Any]:
    """The result: rates, and how right each is. quick: a tenth of the texts, and two folds.

    Raises `InputError` where the folder has none of the sets.
    """
    idle, console = machine_is_idle(), make_console()
    cases: dict[str, Callable[[Path, bool], Rows]] = {
        "html-articles": _pages,
        "text": _texts,
        "hate-speech": _tweets,
        "langid": _languages,
        "pii": personal_data,
    }
    there = [name for name in cases if (data / name).is_dir()]
    if not there:
        raise InputError(f"{data} holds none of the sets {', '.join(cases)}: see --help.")
    absent = [name for name in cases if name not in there]
    rows: Rows = []
    for name in there:
        for one in cases[name](data / name, quick):
            rows.append(one)
            announce(console, one)
    for one in pipeline_rows(data, quick, absent):
        rows.append(one)
        announce(console, one)
    return {
        "bench": "curate",
        "machine": machine_description(select_device("cpu")),
        "versions": versions(
            *("groundup", "numpy", "resiliparse", "trafilatura", "rensa", "datasketch", "datatrove")
        ),
        "idle": idle,
        "absent": absent,
        "rows": rows,
        "limits": [],
    }


def _pages(folder: Path, quick: bool) -> Rows:
    truth = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    pages = []
    for path in sorted((folder / "html").glob("*.html.gz")):
        html = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        pages.append(MarkedPage(html, truth[path.name.removesuffix(".html.gz")]["articleBody"]))
    case = f"main text of {len(pages)} pages"
    wanted = [page.text for page in pages]
    ways = {OURS: extractor_of(OURS), **_their_extractors()}
    rows: Rows = []
    for name, extract in ways.items():
        found, rates = rates_of(
            lambda e=extract: [e(page.html) for page in pages], len(pages), quick
        )
        rows.append(row(case, name, "rate", "pages/s", rates, higher=True))
        if name != OURS:
            rows += _score_rows(case, name, found, wanted)
    found = found_unseen(pages, TrainTrees(), 2 if quick else _FOLDS)
    return rows + _score_rows(f"{case}, not seen in training", OURS, found, wanted)


def _score_rows(case: str, name: str, found: Sequence[str], wanted: Sequence[str]) -> Rows:
    result = score(found, wanted)._asdict()
    return [row(case, name, metric, "", [value], higher=True) for metric, value in result.items()]


def _their_extractors() -> dict[str, Callable[[str], str]]:
    ways = {"resiliparse": extractor_of("resiliparse")}
    if importlib.util.find_spec("trafilatura"):
        ways["trafilatura"] = extractor_of("trafilatura")
        extract = importlib.import_module("trafilatura").extract
        ways["trafilatura, fast"] = lambda h: extract(h, include_comments=False, fast=True) or ""
    return ways


def _texts(folder: Path, quick: bool) -> Rows:
    whole = "\n".join(
        path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.rglob("*.txt"))
    )
    starts = range(0, len(whole) - _DOCUMENT, _DOCUMENT * (10 if quick else 1))
    texts = [whole[start : start + _DOCUMENT] for start in starts]
    case = f"signatures of {len(texts)} texts of 13 kB, 5 words, 128 permutations"
    rows: Rows = []
    for name, sign in {OURS: MinHash().signatures, **_their_signatures()}.items():
        _, rates = rates_of(lambda s=sign: s(texts), len(texts), quick or name != OURS)
        rows.append(row(case, name, "rate", "texts/s", rates, higher=True))
    return rows + changed_copies(texts[: _PAIRS // (10 if quick else 1)]) + editions(folder)


def _their_signatures() -> dict[str, Callable[[list[str]], object]]:
    """On the same rows of five words, which they take as strings."""

    def rows_of(text: str) -> list[str]:
        words = text.lower().split()
        return [" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))]

    ways: dict[str, Callable[[list[str]], object]] = {}
    if importlib.util.find_spec("rensa"):
        rensa = importlib.import_module("rensa")

        def by_rensa(texts: list[str]) -> None:
            for text in texts:
                signature = rensa.RMinHash(num_perm=128, seed=42)
                signature.update(rows_of(text))
                signature.digest()

        ways["rensa"] = by_rensa
    if importlib.util.find_spec("datasketch"):
        datasketch = importlib.import_module("datasketch")

        def by_datasketch(texts: list[str]) -> None:
            for text in texts:
                signature = datasketch.MinHash(num_perm=128)
                signature.update_batch([row.encode() for row in set(rows_of(text))])

        ways["datasketch"] = by_datasketch
    return ways


def _tweets(folder: Path, quick: bool) -> Rows:
    names = {"0": "hate", "1": "offensive", "2": "neither"}
    with open(folder / "labeled_data.csv", encoding="utf-8", newline="") as file:
        rows = [(line["tweet"], names[line["class"]]) for line in csv.DictReader(file)]
    return _classified("hate speech", rows, 0.8, TrainClassifier(), quick)


def _languages(folder: Path, quick: bool) -> Rows:
    rows = []
    for path in sorted(folder.glob("*.sentences.txt")):
        lines = path.read_text(encoding="utf-8").splitlines()
        rows += [(line, path.name.split(".")[0]) for line in lines if line.strip()]
    ngrams = Ngrams(bits=18, words=1, shortest=1, longest=4)
    return _classified("languages", rows, 0.5, TrainClassifier(ngrams=ngrams, epochs=3), quick)


def _classified(
    name: str, rows: list[tuple[str, str]], share: float, config: TrainClassifier, quick: bool
) -> Rows:
    """Trained on a share of the rows, measured on the others; and the rate on long texts."""
    random.Random(0).shuffle(rows)
    seen = round(share * len(rows))
    texts, labels = zip(*rows, strict=True)
    start = time.perf_counter()
    classifier = train_classifier(texts[:seen], labels[:seen], config, stand_still)
    trained = time.perf_counter() - start
    unseen = list(texts[seen:])
    _, rates = rates_of(lambda: classifier.predict(unseen), len(unseen), quick)
    found = report(classifier, unseen, labels[seen:])
    case = f"{name}: {len(set(labels))} classes, {seen} texts seen"
    return [
        row(case, OURS, "training", "s", [trained], higher=False),
        row(case, OURS, "rate", "texts/s", rates, higher=True),
        row(case, OURS, "long texts", "MB/s", _megabytes(classifier, unseen, quick), higher=True),
        row(case, OURS, "accuracy", "", [found.accuracy], higher=True),
        row(case, OURS, "macro F1", "", [found.macro_f1], higher=True),
        *(
            row(case, OURS, f"F1 of {one.label}", "", [one.f1], higher=True)
            for one in found.classes
            if len(found.classes) <= 3
        ),
    ]


def _megabytes(classifier: Classifier, texts: Sequence[str], quick: bool) -> list[float]:
    """MB/s on texts of 13 kB and more, which the short ones make together."""
    whole = "\n".join(texts)
    long = [whole[start : start + _DOCUMENT] for start in range(0, len(whole), _DOCUMENT)]
    size = sum(len(text.encode()) for text in long) / 1e6
    return rates_of(lambda: classifier.predict(long), size, quick)[1]
