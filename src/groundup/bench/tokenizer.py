"""Tokenization beside the fastest libraries: the same vocabulary, the same texts, the same ids.

Every measurement is a process of its own, so that a first call is really the first: of each library
in turn, round after round.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from groundup.bench.result import OURS, announce, machine_is_idle, row, versions
from groundup.core.device import select_device
from groundup.core.errors import InputError
from groundup.core.progress import make_console
from groundup.tokenizers import PieceCounts, save_tokenizer, train_bpe
from groundup.train.probe import machine_description

TASKS = ("encode", "decode", "train")
_PEERS = ("gigatoken", "fastokens", "tiktoken", "tokenizers")
_TRAINERS = ("tokenizers", "rustbpe")
_SLOW = ("tiktoken", "tokenizers")  # one round is enough
_DOCUMENT = 1 << 16  # bytes, to the next line end
_TURNS = 25
_VOCAB = {"gpt2": 50_257, "cl100k": 100_000}
_TRAINING = ((50_000_000, 32_000), (5_000_000, 10_000), (130_000, 756))


def bench_tokenizer(text: Path, only: Sequence[str] = (), *, quick: bool) -> dict[str, Any]:
    """The result: MB/s of UTF-8 for encoding and decoding, seconds for training.

    text: a file of UTF-8; its first 20 MB are encoded, and vocabularies are learned from the rest.
    only: these of `TASKS`, empty for all. Standard error shows what has been measured so far.
    Raises `InputError` for a file that is too short or not UTF-8, and where a library fails.
    """
    tasks = only or TASKS
    idle = machine_is_idle()
    encoded, rounds = (1_000_000, 1) if quick else (20_000_000, 3)
    documents = _documents(text)
    sizes = np.cumsum([len(document) for document in documents])
    first = int(np.searchsorted(sizes, encoded)) + 1
    if first >= len(documents):
        raise InputError(f"{text} is too short: {2 * encoded:,} bytes are the least.")
    console = make_console()
    rows: list[dict[str, Any]] = []
    limits: list[dict[str, Any]] = []

    def add(measured: Iterable[dict[str, Any]]) -> None:
        for r in measured:
            announce(console, r)
            rows.append(r)

    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts"
        texts.write_bytes(b"\0".join(documents[:first]))
        size = int(sizes[first - 1])
        for pattern, wanted in _VOCAB.items() if {"encode", "decode"} & set(tasks) else ():
            tokenizer = Path(folder) / f"{pattern}.json"
            _learn(tokenizer, documents[first:], pattern, 2_000 if quick else wanted)
            job = {"texts": str(texts), "tokenizer": str(tokenizer), "pattern": pattern}
            if "decode" in tasks:
                add(_decoding_rows(job, size, rounds))
            if "encode" not in tasks:
                continue
            add(_encoding_rows(job, size, rounds, quick=quick))
            threads, processes = _two_over_one(job)
            case = f"{pattern}, to an array, warm, in turns"
            metric = "two threads over one"
            add([row(case, OURS, metric, "×", [threads], higher=True)])
            name = f"two processes that share nothing, {pattern}"
            limits.append({"name": name, "value": processes, "unit": "× one"})
        if "train" in tasks:
            add(_training_rows(Path(folder) / "train", documents, quick=quick))
    return {
        "bench": "tokenizer",
        "machine": machine_description(select_device()),
        "versions": versions("groundup", "numpy", *_PEERS, "rustbpe"),
        "idle": idle,
        "absent": [name for name in (*_PEERS, "rustbpe") if not _installed(name)],
        "rows": rows,
        "limits": [*_limits(), *limits],
    }


def _documents(path: Path) -> list[bytes]:
    try:
        content = path.read_bytes()
        content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error.reason}).") from error
    content = content.replace(b"\0", b"")
    documents, start = [], 0
    while start < len(content):
        end = content.find(b"\n", start + _DOCUMENT) + 1 or len(content)
        documents.append(content[start:end])
        start = end
    return documents


def _learn(path: Path, documents: list[bytes], pattern: str, vocab_size: int) -> None:
    counts = PieceCounts(pattern)
    counts.add(document.decode() for document in documents)
    save_tokenizer(path, train_bpe(counts, vocab_size=vocab_size))


def _encoding_rows(
    job: dict[str, Any], size: int, rounds: int, *, quick: bool
) -> Iterator[dict[str, Any]]:
    names = [OURS, *filter(_installed, _PEERS)]
    for form, threads in (("array", 1), ("array", 2), ("list", 1)):
        case = f"{job['pattern']}, to {'an array' if form == 'array' else 'lists'}, "
        case += f"{threads} thread{'s' if threads > 1 else ''}"
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for index in range(rounds):
            for name in names:
                if index == 0 or name not in _SLOW:
                    plan = {"task": "encode", "form": form, "threads": threads, "subject": name}
                    results[name].append(_run({**job, **plan}))
        right = results[OURS][0]["checksum"]
        for name, runs in results.items():
            cold = [size / 1e6 / run["cold"] for run in runs]
            warm = [size / 1e6 / min(run["warm"]) for run in runs]
            yield row(case, name, "cold", "MB/s", cold, higher=True)
            yield row(case, name, "warm", "MB/s", warm, higher=True)
            yield row(case, name, "memory", "MB", [run["grown"] for run in runs], higher=False)
            same = [float(run["checksum"] == right) for run in runs]
            yield row(case, name, "the same ids", "", same, higher=True)
        if quick:
            return


def _two_over_one(job: dict[str, Any]) -> tuple[float, float]:
    """How much more two threads encode than one, and two processes: what no threads can beat.

    Two processors may be less than twice one, since they share memory, heat and sometimes a core,
    and a machine's speed changes from second to second. So all take turns: one thread, two threads,
    two processes that encode the whole text each, one thread, …; of the medians.
    """
    processors = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else [0, 0]
    command = [sys.executable, "-m", "groundup.bench.tokenizer_subject"]
    plan = {**job, "task": "turns", "form": "array", "subject": OURS}
    plans = [{**plan, "threads": 1, "processor": processor} for processor in processors]
    with ExitStack() as running:
        encoders = [
            running.enter_context(
                subprocess.Popen(
                    [*command, json.dumps(wanted)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for wanted in [*plans, {**plan, "threads": 2}]
        ]
        for encoder in encoders:
            _answer(encoder)  # it is ready
        arms = encoders[:1], encoders[2:], encoders[:2]
        turns = [[_turn(arm) for arm in arms] for _ in range(_TURNS)]
    one, threads, processes = (statistics.median(arm) for arm in zip(*turns, strict=True))
    return one / threads, len(processors) * one / processes


def _turn(encoders: list[subprocess.Popen[str]]) -> float:
    """Seconds of the slowest, all at once."""
    for encoder in encoders:
        assert encoder.stdin
        encoder.stdin.write("\n")
        encoder.stdin.flush()
    return max(_answer(encoder) for encoder in encoders)


def _answer(encoder: subprocess.Popen[str]) -> float:
    assert encoder.stdout
    if not (line := encoder.stdout.readline()):
        raise InputError(f"an encoder ended with {encoder.wait()} while it was measured.")
    return float(line)


def _decoding_rows(job: dict[str, Any], size: int, rounds: int) -> Iterator[dict[str, Any]]:
    for form in ("array", "list"):
        for name in (OURS, "tiktoken"):
            if name == OURS or (form == "list" and _installed(name)):
                plan = {"task": "decode", "form": form, "threads": 1, "subject": name}
                runs = [_run({**job, **plan}) for _ in range(1 if name in _SLOW else rounds)]
                rates = [size / 1e6 / min(run["warm"]) for run in runs]
                case = f"{job['pattern']}, decoding {'an array' if form == 'array' else 'a list'}"
                yield row(case, name, "warm", "MB/s", rates, higher=True)


def _training_rows(path: Path, documents: list[bytes], *, quick: bool) -> Iterator[dict[str, Any]]:
    names = [OURS, *filter(_installed, _TRAINERS)]
    for size, vocab_size in _TRAINING[2:] if quick else _TRAINING:
        chosen = b"".join(documents)[:size].decode(errors="ignore").encode()
        pieces = [chosen[at : at + _DOCUMENT] for at in range(0, len(chosen), _DOCUMENT)]
        texts = [piece.decode(errors="ignore") for piece in pieces]
        path.write_bytes("\0".join(texts).encode())
        job = {"texts": str(path), "task": "train", "vocab_size": vocab_size, "threads": 2}
        case = f"training {vocab_size:,} on {len(chosen) / 1e6:.3g} MB"
        runs: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(1 if quick else 3):
            for name in names:
                runs[name].append(_run({**job, "subject": name})["cold"])
        for name, seconds in runs.items():
            yield row(case, name, "time", "s", seconds, higher=False)


def _run(job: dict[str, Any]) -> dict[str, Any]:
    threads = str(job["threads"])
    environment = {**os.environ, "RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
    command = [sys.executable, "-m", "groundup.bench.tokenizer_subject", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise InputError(f"{job['subject']} failed: {last}.")
    return json.loads(done.stdout)


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _limits() -> list[dict[str, Any]]:
    """Copying bytes, and making a list of small numbers that exist: what no encoder can beat."""
    source = np.zeros(64 << 20, dtype=np.uint8)
    target = np.ones_like(source)
    numbers = tuple(range(50_000)) * 20
    copies, lists = [], []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        copies.append(time.perf_counter() - start)
        start = time.perf_counter()
        list(numbers)
        lists.append(time.perf_counter() - start)
    return [
        {"name": "copying bytes", "value": len(source) / 1e6 / min(copies), "unit": "MB/s"},
        {"name": "filling a list", "value": len(numbers) / 1e6 / min(lists), "unit": "M ids/s"},
    ]
