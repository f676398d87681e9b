"""From a crawl to clean text: the whole of `groundup curate run web`, beside datatrove's own
pipeline for FineWeb.

Rates are of the pages as servers sent them, before any archive packs them.
"""

import gzip
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundup.bench.crawl import Page, articles_of, make_pages, sentences_of, varied, write_files
from groundup.bench.result import OURS, row
from groundup.core.progress import make_console
from groundup.curate.curation import Curation, run_curation
from groundup.curate.duplicates.steps import NearDuplicates
from groundup.curate.engines.local import Local
from groundup.curate.sources import open_source
from groundup.recipes.curation import web

Rows = list[dict[str, Any]]

_FILES = 16  # of the crawl
_LONGER = 5  # times as much, to see what more processes gain
_MANY = 100
_LEAST = 100
_TERABYTE = 1e6  # of megabytes


def pipeline_rows(data: Path, quick: bool, absent: list[str]) -> Rows:
    """data: a folder with any of `html-articles`, whose pages are varied; and `text` with English
    .txt files, around which a crawl is made, with the sentences of other languages in `langid`.
    Where there are less than a hundred pages, there are no rows. absent: takes what could not be
    measured, and why."""
    real = [
        gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        for path in sorted((data / "html-articles").glob("html/*.html.gz"))
    ]
    articles = articles_of(data / "text")
    articles = articles[: len(articles) // 10] if quick else articles
    crawls = {
        "real pages, varied": list(varied(real, 2 if quick else 20)),
        "a crawl made around books": list(make_pages(articles, sentences_of(data / "langid"))),
    }
    rows = [
        one
        for name, pages in crawls.items()
        if len(pages) >= _LEAST
        for one in _rows(name, pages, quick, absent)
    ]
    return rows + (_scaling_rows(real, quick) if len(real) > 1 else [])


def _scaling_rows(real: Sequence[str], quick: bool) -> Rows:
    """Of a crawl on which one process works the better part of a minute."""
    with tempfile.TemporaryDirectory() as folder:
        size, count = 0.0, 0
        for part in range(1 if quick else _LONGER):
            pages = list(varied(real, 2 if quick else 20, seed=part + 1))
            size += sum(len(page.body) for page in pages) / 1e6
            count += len(pages)
            write_files(pages, Path(folder, "crawl", str(part)), _FILES)
        case = f"real pages, varied: {size:.0f} MB, {count:,} pages"
        rows: Rows = []
        for workers in sorted({1, len(os.sched_getaffinity(0))}):
            seconds, left = _run(web(), Path(folder, "crawl"), Path(folder, "out"), workers)
            subject = f"{OURS}, {workers} process{'es' * (workers > 1)}"
            rows += _rate_rows(case, subject, [size / seconds], workers)
            rows.append(row(case, subject, "documents", "", [left], higher=True))
        return rows


def _rows(name: str, pages: Sequence[Page], quick: bool, absent: list[str]) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        size = sum(len(page.body) for page in pages) / 1e6
        write_files(pages, Path(folder, "crawl"), _FILES)
        case = f"{name}: {size:.0f} MB, {len(pages):,} pages"
        rows: Rows = []
        rounds = [
            _run(web(), Path(folder, "crawl"), Path(folder, "out"), 1)
            for _ in range(1 if quick else 3)
        ]
        rows += _rate_rows(case, OURS, [size / seconds for seconds, _ in rounds], 1)
        rows.append(row(case, OURS, "documents", "", [rounds[0][1]], higher=True))
        steps = tuple(step for step in web().steps if not isinstance(step, NearDuplicates))
        alone = replace(web(), steps=steps)
        seconds, _ = _run(alone, Path(folder, "crawl"), Path(folder, "out"), 1)
        rows += _rate_rows(case, f"{OURS}, without near-duplicates", [size / seconds], 1)
        if importlib.util.find_spec("datatrove"):
            try:
                seconds, left = _datatrove(Path(folder, "crawl"), Path(folder, "theirs"))
            except ImportError as error:  # its steps need more packages, and say which
                absent.append(f"datatrove ({error})")
            else:
                rows += _rate_rows(case, "datatrove", [size / seconds], 1)
                rows.append(row(case, "datatrove", "documents", "", [left], higher=True))
        for files in (1, _MANY):
            write_files(pages, Path(folder, f"in-{files}"), files)
            peak = _peak_memory(Path(folder, f"in-{files}"), Path(folder, f"out-{files}"))
            subject = f"{OURS}, {files} files"
            rows.append(row(case, subject, "peak memory", "MB", [peak], higher=False))
        return rows


def _run(config: Curation, data: Path, to: Path, workers: int) -> tuple[float, int]:
    """Seconds, and how many documents are left."""
    shutil.rmtree(to, ignore_errors=True)
    start = time.perf_counter()
    with Local(workers) as engine:
        quiet = make_console(quiet=True)
        facts = run_curation(config, open_source(str(data)), str(data), to, engine, quiet).facts
    return time.perf_counter() - start, facts["funnel"][-1]["documents"]


def _rate_rows(case: str, name: str, rates: Sequence[float], processes: int) -> Rows:
    hours = [processes * _TERABYTE / rate / 3600 for rate in rates]
    return [
        row(case, name, "rate", "MB/s", rates, higher=True),
        row(case, name, "cost", "CPU h/TB", hours, higher=False),
    ]


def _peak_memory(data: Path, to: Path) -> float:
    """Megabytes of a command that does nothing else. A small process starts it, as a process's peak
    is never below that of the one that it was made of."""
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, capture_output=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-m", "groundup", "curate", "run", "web", "--data", str(data)]
    command += ["--runs", str(to), "--workers", "1", "--set", "shard_bytes=1", "--json"]
    starter = [sys.executable, "-c", script, *command]
    done = subprocess.run(starter, check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024 / 1e6


def _datatrove(data: Path, to: Path) -> tuple[float, int]:
    """Its FineWeb example, without what needs a download (lists of addresses, language), as one
    process; near-duplicates are not looked for."""
    pipeline = "datatrove.pipeline"

    def load(module: str, name: str) -> Any:
        return getattr(importlib.import_module(module), name)

    steps = [
        load(f"{pipeline}.readers", "WarcReader")(str(data), glob_pattern="*.warc.gz"),
        load(f"{pipeline}.extractors", "Trafilatura")(favour_precision=True),
        load(f"{pipeline}.filters", "GopherRepetitionFilter")(),
        load(f"{pipeline}.filters", "GopherQualityFilter")(),
        load(f"{pipeline}.filters", "C4QualityFilter")(filter_no_terminal_punct=False),
        load(f"{pipeline}.filters", "FineWebQualityFilter")(),
        load(f"{pipeline}.writers.jsonl", "JsonlWriter")(str(to), compression=None),
    ]
    executor = load("datatrove.executor", "LocalPipelineExecutor")
    start = time.perf_counter()
    executor(pipeline=steps, tasks=1, logging_dir=str(to / "logs"), skip_completed=False).run()
    seconds = time.perf_counter() - start
    return seconds, sum(len(path.read_text().splitlines()) for path in to.glob("*.jsonl"))
