"""The server under load: what it costs beside the bare engine, how long many clients wait, and what
thousands of requests leave behind.

Clients are another process, which takes its share of the processors, as they would on one machine.
"""

import asyncio
import json
import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from groundup.bench.result import OURS, announce, machine_is_idle, row, versions
from groundup.core.device import Device, select_device, tune_cpu
from groundup.core.errors import GroundupError, MissingExtraError
from groundup.core.memory import resident_bytes
from groundup.core.progress import make_console
from groundup.infer import Engine, Sampling
from groundup.layers import GLU, GroupedQuery
from groundup.loading import Served
from groundup.models import Decoder
from groundup.tokenizers import BPE
from groundup.train.probe import machine_description

_STREAMS, _CLIENTS = 32, 200
_CACHE = 1 << 28  # bytes: it fills with what was read and may be read again, and no further


@dataclass(frozen=True)
class Told:
    """Of one request: seconds to its first piece of text and to its end; pieces; its status."""

    first: float
    whole: float
    pieces: int
    status: int


def bench_serving(*, quick: bool) -> dict[str, Any]:
    """The result: tokens/s of the engine alone and behind the server, seconds that clients wait,
    requests that failed, and memory that is not given back."""
    tune_cpu()
    device, idle, console = select_device(), machine_is_idle(), make_console()
    rounds, new, many = (1, 32, 500) if quick else (3, 128, 10_000)
    rows: list[dict[str, Any]] = []

    def add(*values: Any, higher: bool) -> None:
        rows.append(row(*values, higher=higher))
        announce(console, rows[-1])

    large = _served(width=768, depth=12, heads=12)
    engine = Engine(large.model, device, stop=[])
    prompts = [_prompt(i) for i in range(_STREAMS)]
    case = f"{_STREAMS} streams of {new} tokens, 97 M weights"
    sampling = Sampling(max_tokens=new, temperature=0)
    alone, behind = [], []
    with _serving(large, device) as address, _clients() as pool:
        for turn in range(rounds + 1):
            start = time.perf_counter()
            engine.generate([large.prompt(text) for text in prompts], sampling)
            bare = time.perf_counter() - start
            told = pool.submit(load, address, [_body(t, new) for t in prompts], _STREAMS).result()
            if turn:
                alone.append(_STREAMS * new / bare)
                behind.append(_STREAMS * new / max(one.whole for one in told))
    add(case, "groundup's engine alone", "rate", "tokens/s", alone, higher=True)
    add(case, OURS, "rate", "tokens/s", behind, higher=True)
    small = _served(width=256, depth=4, heads=4)
    case = f"{_CLIENTS} clients at once, 64 tokens each, 7 M weights"
    with _serving(small, device) as address, _clients() as pool:
        bodies = [_body(_prompt(i), 64) for i in range(_CLIENTS)]
        told = pool.submit(load, address, bodies, _CLIENTS).result()
        first = _answered(told)
        add(case, OURS, "first token, median", "s", [first[len(first) // 2]], higher=False)
        add(case, OURS, "first token, 99 %", "s", [first[len(first) * 99 // 100]], higher=False)
        add(case, OURS, "failed", "", [sum(one.status != 200 for one in told)], higher=False)
        case = f"{many:,} requests of 4 tokens, 32 at once"
        bodies = [_body(_prompt(i), 4) for i in range(many)]
        pool.submit(load, address, bodies[: many // 5], _STREAMS).result()
        before = resident_bytes() or 0
        start = time.perf_counter()
        told = pool.submit(load, address, bodies, _STREAMS).result()
        seconds = time.perf_counter() - start
        grown = ((resident_bytes() or 0) - before) / 1e6
        add(case, OURS, "rate", "requests/s", [many / seconds], higher=True)
        add(case, OURS, "failed", "", [sum(one.status != 200 for one in told)], higher=False)
        add(case, OURS, "memory that stays", "MB", [grown], higher=False)
    return {
        "bench": "serving",
        "machine": machine_description(device),
        "versions": versions("groundup", "torch", "fastapi", "uvicorn"),
        "idle": idle,
        "rows": rows,
        "limits": [],
    }


def _served(*, width: int, depth: int, heads: int) -> Served:
    """Random weights, and a vocabulary of 16,384: bytes, and pairs of them."""
    pairs = [(a, b) for a in range(256) for b in range(63)]
    tokenizer = BPE.learned(pairs, "gpt2")
    attention = GroupedQuery(
        heads=heads, kv_heads=heads, head_width=width // heads, query_key_norm=None
    )
    config = Decoder(
        vocab_size=tokenizer.vocab_size,
        context=2048,
        width=width,
        depth=depth,
        attention=attention,
        mlp=GLU(hidden=width * 8 // 3),
        tied=True,
    )
    return Served("bench", config.build(0), tokenizer, [0], [], None)


def _prompt(index: int) -> str:
    """Some 32 tokens, of each another text."""
    return f"{index:05d} " + "The quick brown fox jumps. " * 2


def _body(prompt: str, tokens: int) -> dict[str, Any]:
    asked = {"model": "bench", "prompt": prompt, "max_tokens": tokens}
    return {**asked, "temperature": 0, "stream": True}


def _answered(told: Sequence[Told]) -> list[float]:
    """Seconds to the first piece of text, in order; a request that failed waits for none."""
    first = sorted(one.first for one in told if one.status == 200)
    if not first:
        raise GroundupError("no request was answered: look at what the server has said above.")
    return first


@contextmanager
def _serving(served: Served, device: Device) -> Iterator[str]:
    try:
        import uvicorn

        from groundup.serve import Limits, create_app
    except ImportError as error:
        raise MissingExtraError("Serving", "serve") from error
    app = create_app([served], device, limits=Limits(memory=_CACHE))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise GroundupError("the server did not start: look at what it has said above.")
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def _clients() -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        yield pool


def load(address: str, bodies: Sequence[dict[str, Any]], at_once: int) -> list[Told]:
    """Ask for streams, so many at once, in order."""
    return asyncio.run(_load(address, bodies, at_once))


async def _load(address: str, bodies: Sequence[dict[str, Any]], at_once: int) -> list[Told]:
    """By hand: what a client library takes of the processors would be the server's loss."""
    gate, begun = asyncio.Semaphore(at_once), time.perf_counter()
    host, _, port = address.removeprefix("http://").partition(":")

    async def ask(body: dict[str, Any]) -> Told:
        async with gate:
            start = time.perf_counter() if at_once < len(bodies) else begun
            first, told = 0.0, b""
            reader, writer = await asyncio.open_connection(host, int(port))
            content = json.dumps(body).encode()
            head = (
                f"POST /v1/completions HTTP/1.1\r\nHost: {address[7:]}\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            )
            writer.write(head.encode() + content)
            while received := await reader.read(1 << 16):
                told += received
                if not first and b"data: {" in told:
                    first = time.perf_counter() - start
            writer.close()
            pieces = told.count(b"data: {")
            status = int(told[9:12]) if told.endswith(b"0\r\n\r\n") else 0
            return Told(first, time.perf_counter() - start, pieces, status)

    return list(await asyncio.gather(*(ask(body) for body in bodies)))
