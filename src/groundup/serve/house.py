"""What a server holds: its models, each with an engine and the thread in which that runs."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fastapi import FastAPI

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.infer import Engine
from groundup.infer.grammar import Grammars
from groundup.infer.memory import cache_memory, one_context
from groundup.infer.weights import Weights
from groundup.loading import Served, load_drafter
from groundup.serve.answers import Asked
from groundup.serve.errors import ApiError
from groundup.serve.metrics import Metrics, ModelMetrics
from groundup.serve.worker import Delta, Worker
from groundup.tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Limits:
    """body: bytes of a request. requests: that are open at the same time, and texts of all
    requests together; more are told to come again. rows, at_once: see `Engine`. memory: of keys
    and values of each model, in bytes."""

    body: int = 1 << 20
    requests: int = 512
    texts: int = 4096
    rows: int = 256
    at_once: int = 512
    memory: int | None = None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What is served beside the API. tokenizers: that can be looked at, beside the models' own.
    runs: a folder whose curves are shown, or None."""

    tokenizers: Mapping[str, Tokenizer] = field(default_factory=dict)
    runs: Path | None = None


class Room:
    """One model's."""

    def __init__(self, served: Served, engine: Engine, metrics: ModelMetrics):
        self.served, self.engine, self.metrics = served, engine, metrics
        self.size = served.model.config.vocab_size
        self.grammars = Grammars(served.tokenizer, self.size, served.ends)
        self.worker: Worker | None = None

    def begin(self, asked: Asked) -> AsyncGenerator[Delta]:
        """Let the engine write; when the deltas are given up, so is the work.

        Raises `ApiError`, `InputError` or `StoppedError` for what cannot be begun.
        """
        assert self.worker is not None
        if any(token >= self.size for token, _ in asked.sampling.logit_bias):
            message = f"logit_bias: tokens are below {self.size:,}."
            raise ApiError(400, message, param="logit_bias")
        request = self.worker.begin(asked.prompts, asked.n, asked.sampling, asked.stop)
        self.metrics.requests.inc()
        self.metrics.prompt_tokens.inc(sum(map(len, asked.prompts)))
        return self._timed(self.worker.follow(request))

    async def _timed(self, deltas: AsyncGenerator[Delta]) -> AsyncGenerator[Delta]:
        start, first = time.perf_counter(), True
        async with aclosing(deltas):
            async for delta in deltas:
                if first:
                    self.metrics.first_token.observe(time.perf_counter() - start)
                    first = False
                yield delta
        self.metrics.whole.observe(time.perf_counter() - start)


class House:
    """All models, by name, and the requests that are open."""

    def __init__(self, rooms: Sequence[Room], metrics: Metrics, limits: Limits, offer: Offer):
        self.rooms = {room.served.name: room for room in rooms}
        if len(self.rooms) < len(rooms):
            raise InputError("two models have the same name: rename one of their folders.")
        self.metrics, self.limits, self.offer = metrics, limits, offer
        own = {name: room.served.tokenizer for name, room in self.rooms.items()}
        for name in own.keys() & offer.tokenizers.keys():
            raise InputError(f"a tokenizer is called {name!r}, as a model is: rename its folder.")
        self.tokenizers: dict[str, Tokenizer] = {**own, **offer.tokenizers}
        self.since = int(time.time())

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """The workers live as long as the server."""
        for room in self.rooms.values():
            room.worker = Worker(room.engine, room.served.tokenizer, room.metrics)
            room.worker.start()
        try:
            yield
        finally:
            for room in self.rooms.values():
                if room.worker is not None:
                    room.worker.stop()

    @property
    def alive(self) -> bool:
        """Whether every engine runs."""
        return all(
            room.worker is not None and room.worker.is_alive() for room in self.rooms.values()
        )

    def named(self, model: str | None) -> Room:
        """The model that a client asks for; the first where it names none."""
        if model is None:
            return next(iter(self.rooms.values()))
        if model not in self.rooms:
            message = f"there is no model {model!r} here: {', '.join(self.rooms)} can be asked for."
            raise ApiError(404, message, param="model", code="model_not_found")
        return self.rooms[model]

    def tokenizer(self, name: str | None) -> Tokenizer:
        """One that can be looked at."""
        if name is None or name not in self.tokenizers:
            return self.named(name).served.tokenizer
        return self.tokenizers[name]

    def welcome(self, model: str | None) -> Room:
        """The model that is asked for, before any work on the request; `ApiError` where too many
        are open."""
        workers = [room.worker for room in self.rooms.values() if room.worker is not None]
        if sum(worker.open for worker in workers) >= self.limits.requests:
            message = f"{self.limits.requests} requests are open already: try again later."
            raise ApiError(429, message, code="too_many_requests")
        if sum(worker.texts for worker in workers) >= self.limits.texts:
            message = f"{self.limits.texts} texts are being written already: try again later."
            raise ApiError(429, message, code="too_many_requests")
        return self.named(model)


def build_house(
    models: Sequence[Served],
    device: Device,
    *,
    limits: Limits,
    offer: Offer,
    weights: Weights,
    draft: str | None,
) -> House:
    """An engine for each model. draft: see `load_drafter`."""
    metrics = Metrics()
    rooms = []
    for served in models:
        share = max(cache_memory(device) // len(models), one_context(served.model, device))
        engine = Engine(
            served.model,
            device,
            stop=served.ends,
            never=served.silent,
            rows=limits.rows,
            at_once=limits.at_once,
            memory=limits.memory or share,
            weights=weights,
            drafter=None if draft is None else load_drafter(draft, served, device, limits.rows),
        )
        # The engine has its own copy: the one that was loaded need not stay.
        served = replace(served, model=engine.model)
        rooms.append(Room(served, engine, metrics.of(served.name)))
    return House(rooms, metrics, limits, offer)
