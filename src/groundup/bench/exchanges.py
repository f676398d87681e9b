"""The exchanges that a step is made of, over sizes, beside torch's own and beside what two sockets
carry: at which rate a process sends what it must.

    sums in each process   2 · (p − 1)/p of the array's bytes   (data parallel)
    parts of the sums          (p − 1)/p                        (sharded gradients)
    parts from all             (p − 1)/p                        (sharded weights, ahead of a layer)
    to the next one                    1                        (pipeline, context parallel)

each of p processes sends so much at the least (Patarasuk and Yuan 2009, section 2).
"""

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from groundup.bench.race import race
from groundup.bench.result import OURS
from groundup.bench.turns import rate_rows
from groundup.core.processes import Group
from groundup.core.spawn import Workers

_SUMS, _PARTS = "sums in each process", "parts of the sums"
_GATHERED, _NEXT = "parts from all", "to the next one"
LIMIT = "two sockets"
_TORCH = "torch"
_SIZES = tuple(1 << power for power in range(14, 27, 2))  # bytes: 16 KiB to 64 MiB
_CHUNK = 1 << 20  # bytes that a socket is given at once

Exchange = Callable[[], object]

# Their names from PyTorch 2.13 on, and before.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


def bench_exchanges(workers: Workers, *, quick: bool) -> list[dict[str, Any]]:
    """Rows, one a size for each exchange and subject; see `bench.curves`."""
    sizes = _SIZES[::3] if quick else _SIZES
    rows: list[dict[str, Any]] = []
    for size in sizes:
        of_processes = workers.run(_race, size, 3 if quick else 15)
        names = dict.fromkeys(name for name, _ in of_processes[0])
        for name in names:
            share = _shares(workers.count)[name]
            # An exchange is over when the last process has what it is to have.
            subjects = [subject for operation, subject in of_processes[0] if operation == name]
            times = {s: [process[name, s] for process in of_processes] for s in subjects}
            last = {s: [max(t) for t in zip(*taken, strict=True)] for s, taken in times.items()}
            case = f"{name}, {_binary(size)}, {workers.count} processes"
            place = {"operation": name, "size": size, "axis": "bytes of the array"}
            rows += rate_rows(case, last, share * size, "GB/s", **place)
    return rows


def limits(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best rate of the sockets."""
    rates = [row["value"] for row in rows if row["subject"] == LIMIT]
    return [{"name": LIMIT, "value": max(rates), "unit": "GB/s"}]


def sum_rate(rows: Sequence[dict[str, Any]]) -> float:
    """Bytes a second that a process sends while the largest array is summed up."""
    ours = [row for row in rows if (row["operation"], row["subject"]) == (_SUMS, OURS)]
    return 1e9 * max(ours, key=lambda row: row["size"])["value"]


def _shares(processes: int) -> dict[str, float]:
    """Of an array's bytes, those that each process must send."""
    ring = (processes - 1) / processes
    return {_SUMS: 2 * ring, _PARTS: ring, _GATHERED: ring, _NEXT: 1.0}


def _race(group: Group, size: int, rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of each exchange in this process. size: of the array, in bytes."""
    count = size // 4 // group.size
    whole, part = torch.zeros(count * group.size), torch.zeros(count)
    sizes = [count] * group.size
    with _Ring(group) as ring:
        steps: dict[tuple[str, str], Exchange] = {
            (_SUMS, OURS): lambda: group.sum(whole)(),
            (_SUMS, _TORCH): lambda: dist.all_reduce(whole),
            (_PARTS, OURS): lambda: group.scatter_sums(part, whole, sizes)(),
            (_PARTS, _TORCH): lambda: _reduce_scatter(part, whole),
            (_GATHERED, OURS): lambda: group.gather(whole, part, sizes)(),
            (_GATHERED, _TORCH): lambda: _all_gather(whole, part),
            (_NEXT, OURS): partial(_pass_on, group, torch.zeros_like(whole), whole),
        }
        for name, share in _shares(group.size).items():
            steps[name, LIMIT] = partial(ring.pass_on, round(share * size))
        return {name: seconds for name, (seconds, _) in race(group, steps, rounds).items()}


def _pass_on(group: Group, received: Tensor, sent: Tensor) -> None:
    group.pass_on(received, sent)()


class _Ring:
    """A TCP connection from each process to the next one, without anything above it. A context."""

    def __init__(self, group: Group):
        listener = socket.create_server(("127.0.0.1", 0))
        ports = torch.zeros(group.size, dtype=torch.int64)
        ports[group.rank] = listener.getsockname()[1]
        group.sum(ports)()
        after = int(ports[(group.rank + 1) % group.size])
        self._to = socket.create_connection(("127.0.0.1", after))
        self._to.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._source, _ = listener.accept()
        listener.close()
        self._sent, self._received = memoryview(bytes(_CHUNK)), bytearray(_CHUNK)
        self._sender = ThreadPoolExecutor(1)
        self._sender.submit(int).result()  # the thread is there

    def pass_on(self, size: int) -> None:
        """Send so many bytes to the next process, and receive as many."""
        sending = self._sender.submit(self._send, size)
        left = size
        while left:
            received = self._source.recv_into(self._received, min(left, _CHUNK))
            if not received:
                raise ConnectionError("the process before has gone")
            left -= received
        sending.result()

    def _send(self, size: int) -> None:
        for begin in range(0, size, _CHUNK):
            self._to.sendall(self._sent[: min(_CHUNK, size - begin)])

    def __enter__(self) -> "_Ring":
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.shutdown()
        self._to.close()
        self._source.close()


def _binary(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
