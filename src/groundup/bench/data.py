"""Data loading: opening a billion tokens, reading batches of them, and what that costs a step.

The tokens are sparse files that are made for the purpose and read once before, so that they are in
the system's cache: no disk is measured. nanoGPT's way is written out here: a new memory map a
batch, and windows at random places of it, some of them twice before others once. torch's
DataLoader reads the windows that ours reads, in the order of a permutation that it holds in memory.
"""

import dataclasses
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from groundup.bench.result import OURS, machine_is_idle, row, versions
from groundup.core.device import Device, select_device, tune_cpu
from groundup.core.files import write_json
from groundup.data.batches import Batches, Samples
from groundup.data.mixture import Mixture, Source
from groundup.data.prefetch import prefetched
from groundup.data.shards import FORMAT, TokenShards
from groundup.data.windows import Windows
from groundup.models import LanguageModel
from groundup.recipes.experiment import ablation
from groundup.train.compile import worth_compiling
from groundup.train.pretrain import MicroBatch, micro_batches, start_training
from groundup.train.probe import machine_description
from groundup.train.step import steps

_TOKENS, _SHARD, _DOCUMENT = 10**9, 10**8, 1000
_BATCH, _CONTEXT = 16, 1024
_AIM = 0.01  # of a training step
_MIXED = (0.7, 0.2, 0.1)
_NANOGPT, _LOADER = "nanoGPT's get_batch", "torch DataLoader"
_AT_ONCE = 1 << 24  # bytes


def bench_data(*, quick: bool) -> dict[str, Any]:
    """The result: seconds and memory of opening, batches/s of reading, and shares of a step of the
    recipe `ablation`, which is not compiled where it is quick."""
    tune_cpu()
    device, idle, rounds = select_device(), machine_is_idle(), 1 if quick else 5
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write_store(folder / "large", _TOKENS, _SHARD)
        one_file = folder / "large.bin"
        _write_sparse(one_file, _TOKENS)
        for path in (*folder.glob("large/*.bin"), one_file):
            _cache(path)
        rows = [
            *_opening(folder / "large", one_file, rounds),
            *_reading(TokenShards(folder / "large", ""), one_file, rounds, 20 if quick else 200),
            *_training(folder, one_file, device, 6 if quick else 40, compiled=not quick),
        ]
    copied = _copy_rate() / (_BATCH * (_CONTEXT + 1) * (2 + 8))  # uint16 read, int64 written
    return {
        "bench": "data",
        "machine": machine_description(device),
        "versions": versions("groundup", "numpy", "torch"),
        "idle": idle,
        "rows": rows,
        "limits": [
            {"name": "copying a batch's bytes in memory", "value": copied, "unit": "batches/s"},
            {"name": "what a step may spend on its data, as a share", "value": _AIM, "unit": ""},
        ],
    }


def _opening(store: Path, one_file: Path, rounds: int) -> list[dict[str, Any]]:
    ways: dict[str, Callable[[], Any]] = {
        OURS: lambda: TokenShards(store, ""),
        _NANOGPT: lambda: np.memmap(one_file, dtype=np.uint16, mode="r"),
    }
    case, rows = f"opening {_TOKENS / 1e9:.0f} billion tokens", []
    for subject, way in ways.items():
        times = [1e3 * _seconds(way) for _ in range(rounds)]
        tracemalloc.start()
        opened = way()
        memory = tracemalloc.get_traced_memory()[0] / 1e6
        tracemalloc.stop()
        del opened
        rows += [
            row(case, subject, "time", "ms", times, higher=False),
            row(case, subject, "memory that it keeps", "MB", [memory], higher=False),
        ]
    return rows


def _reading(
    shards: TokenShards, one_file: Path, rounds: int, batches: int
) -> list[dict[str, Any]]:
    """Batches/s of each way, the ways in turns."""
    windows = Windows(shards=shards, context=_CONTEXT, seed=0)
    sources = tuple(Source(shards=shards, weight=weight) for weight in _MIXED)
    mixture = Mixture(sources=sources, context=_CONTEXT, seed=0)
    case, workers = f"batches of {_BATCH} × {_CONTEXT}", min(2, torch.get_num_threads())
    ways: dict[tuple[str, str], Iterator[Any]] = {
        (case, OURS): _ours(windows),
        (case, _NANOGPT): _nanogpt(one_file, _BATCH, _CONTEXT),
        (case, _LOADER): iter(_loader(windows, workers=0)),
        (case, f"{_LOADER}, workers: {workers}"): iter(_loader(windows, workers=workers)),
        (f"{case}, of a mixture of {len(_MIXED)}", OURS): _ours(mixture),
        (f"{case}, with their documents", OURS): _ours(windows, documents=True),
    }
    with prefetched(_ours(windows)) as ahead:
        ways[f"{case}, read ahead by a thread", OURS] = ahead
        rates: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
        for iterator in ways.values():
            next(iterator)  # a loader's permutation, and the start of workers
        for _ in range(rounds):
            for way, iterator in ways.items():
                rates[way].append(batches / _seconds(lambda it=iterator: _exhaust(it, batches)))
    return [
        row(name, subject, "rate", "batches/s", found, higher=True)
        for (name, subject), found in rates.items()
    ]


def _training(
    folder: Path, one_file: Path, device: Device, repeats: int, *, compiled: bool
) -> list[dict[str, Any]]:
    """Shares of the ablation recipe's step: of reading its batch, and of the wait for one that was
    read ahead, in a real training."""
    experiment = ablation()
    model = experiment.model
    config = dataclasses.replace(
        experiment.pretrain,
        steps=repeats + 3,
        compile=compiled and worth_compiling(model, device),
    )
    B, T = config.batch, model.context
    _write_store(folder / "small", 10**7, 10**7, vocabulary=model.vocab_size)
    small, large = (TokenShards(folder / name, "") for name in ("small", "large"))
    windows = Windows(shards=small, context=T, seed=0)
    training = start_training(config, model, device)
    waits: list[float] = []
    marks: list[float] = []

    def loss_of(network: LanguageModel, batch: MicroBatch) -> tuple[Tensor, dict[str, float]]:
        losses = network.losses(*batch[:2], implementation=config.attention)
        return losses.mean(), {}

    batches = Batches(samples=windows, batch=B)
    with prefetched(micro_batches(config, batches, 0, device)) as loaded:
        for _ in steps(training, _timed(loaded, waits), loss_of):
            marks.append(time.perf_counter())
    step = float(np.median(np.diff(marks[2:])))  # the first compile, and fill the allocator
    case = f"a step of {B} × {T}, {'compiled' if config.compile else 'not compiled'}"
    ours = _ours(Windows(shards=large, context=T, seed=0), batch=B)
    reads = {OURS: ours, _NANOGPT: _nanogpt(one_file, B, T)}
    rows = [row(case, OURS, "step", "s", [step], higher=False)]
    for subject, iterator in reads.items():
        times = [_seconds(lambda it=iterator: next(it)) / step for _ in range(repeats)]
        rows.append(row(case, subject, "reading, share of a step", "", times, higher=False))
    shares = [wait / step for wait in waits[3:]]
    rows.append(row(case, OURS, "waiting, share of a step", "", shares, higher=False))
    return rows


def _ours(samples: Samples, *, batch: int = _BATCH, documents: bool = False) -> Iterator[Any]:
    batches, step = Batches(samples=samples, batch=batch, documents=documents), 0
    while True:
        yield [torch.from_numpy(part) for part in batches.read(step) if part is not None]
        step += 1


def _nanogpt(path: Path, batch: int, context: int) -> Iterator[Any]:
    """As nanoGPT's `get_batch` reads: a new memory map a batch, and windows at random places."""
    while True:
        tokens = np.memmap(path, dtype=np.uint16, mode="r")
        starts = torch.randint(len(tokens) - context, (batch,)).tolist()
        yield [
            torch.from_numpy(np.stack([tokens[at : at + context] for at in places], dtype=np.int64))
            for places in (starts, [start + 1 for start in starts])
        ]


class _Rows(Dataset[Tensor]):
    """The windows of the first epoch, for torch's loader: tokens and the one after them."""

    def __init__(self, windows: Windows):
        self._shards, self._windows = windows.shards, windows

    def __len__(self) -> int:
        return self._windows.windows

    def __getitem__(self, index: int) -> Tensor:
        count = self._windows.context + 1
        return torch.from_numpy(self._shards.read(index * (count - 1), count).astype(np.int64))


def _loader(windows: Windows, *, workers: int) -> Iterable[Any]:
    return DataLoader(_Rows(windows), batch_size=_BATCH, shuffle=True, num_workers=workers)


def _timed(items: Iterator[Any], waits: list[float]) -> Iterator[Any]:
    """The items; how long each was waited for goes to `waits`."""
    start = time.perf_counter()
    for item in items:
        waits.append(time.perf_counter() - start)
        yield item
        start = time.perf_counter()


def _exhaust(items: Iterator[Any], count: int) -> None:
    for _ in islice(items, count):
        pass


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _copy_rate(size: int = 1 << 27) -> float:
    """Bytes that are read and written a second by the best copy of many."""
    source, target = np.ones(size, np.uint8), np.empty(size, np.uint8)
    return 2 * size / min(_seconds(lambda: np.copyto(target, source)) for _ in range(8))


def _write_store(folder: Path, tokens: int, shard: int, *, vocabulary: int | None = None) -> None:
    """Token shards of documents of 1,000 tokens: random below `vocabulary`, or a sparse file."""
    folder.mkdir()
    names = [f"tokens-{number:05d}" for number in range(tokens // shard)]
    index = np.full((shard // _DOCUMENT, 2), _DOCUMENT, dtype="<u8")
    index[:, 0] = np.arange(1, len(index) + 1) * _DOCUMENT
    for name in names:
        index.tofile(folder / f"{name}.idx")
        if vocabulary is None:
            _write_sparse(folder / f"{name}.bin", shard)
        else:
            ids = np.random.default_rng(0).integers(vocabulary, size=shard, dtype="<u2")
            ids.tofile(folder / f"{name}.bin")
    shards = [{"name": name, "tokens": shard, "documents": len(index)} for name in names]
    info = {"format": FORMAT, "dtype": "<u2", "tokenizer": "", "shards": shards}
    write_json(folder / "shards.json", info)


def _cache(path: Path) -> None:
    with open(path, "rb") as file:
        while file.read(_AT_ONCE):
            pass


def _write_sparse(path: Path, tokens: int) -> None:
    with open(path, "wb") as file:
        file.truncate(2 * tokens)
