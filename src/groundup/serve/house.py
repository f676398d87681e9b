"""What a server holds: its models, each with an engine and the thread in which that runs."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
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
from groundup.serve.worker import Delta, Place, Request, StoppedError, Worker
from groundup.tokenizers import Tokenizer

_FORMS = 4  # threads in which forms are made, or waited for


@dataclass(frozen=True, kw_only=True)
class Limits:
    """body: bytes of a request. requests: that are open at the same time, and texts of all
    requests together; more are told to come again. rows, at_once: see `Engine`. memory: of keys
    and values of all models, in bytes, the same for each. patience: see `Guard`, in seconds."""

    body: int = 1 << 20
    requests: int = 512
    texts: int = 4096
    rows: int = 256
    at_once: int = 512
    memory: int | None = None
    patience: float = 30.0


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
        self._worker: Worker | None = None

    @property
    def worker(self) -> Worker:
        """There is one while the server runs."""
        assert self._worker is not None
        return self._worker

    def open(self) -> None:
        """Let the engine run."""
        self._worker = Worker(self.engine, self.served.tokenizer, self.metrics)
        self._worker.start()

    async def begin(self, asked: Asked, place: Place) -> Request:
        """Let the engine write, until the worker is told to give up.

        Raises `ApiError`, `InputError` or `StoppedError` for what cannot be begun.
        """
        if any(token >= self.size for token, _ in asked.sampling.logit_bias):
            message = f"logit_bias: tokens are below {self.size:,}."
            raise ApiError(400, message, param="logit_bias")
        try:
            self.engine.check(asked.prompts)
        except InputError as error:
            code = "context_length_exceeded" if all(asked.prompts) else None  # or one is empty
            raise ApiError(400, str(error), param=asked.field, code=code) from error
        request = await self.worker.begin(place, asked.prompts, asked.n, asked.sampling, asked.stop)
        self.metrics.requests.inc()
        self.metrics.prompt_tokens.inc(sum(map(len, asked.prompts)))
        return request

    async def follow(self, request: Request, since: float) -> AsyncGenerator[Delta]:
        """What its texts become. since: when it was read, by `time.perf_counter`."""
        first = True
        async for delta in self.worker.follow(request):
            if first:
                self.metrics.first_token.observe(time.perf_counter() - since)
                first = False
            yield delta
        self.metrics.whole.observe(time.perf_counter() - since)


class House:
    """All models, by name, and the requests that are open."""

    def __init__(self, rooms: Sequence[Room], metrics: Metrics, limits: Limits, offer: Offer):
        self.rooms = {room.served.name: room for room in rooms}
        if len(self.rooms) < len(rooms):
            raise InputError("two models have the same name: rename one of their folders.")
        self.metrics, self.limits, self.offer = metrics, limits, offer
        own = {name: room.served.tokenizer for name, room in self.rooms.items()}
        for name in own.keys() & offer.tokenizers.keys():
            if own[name].fingerprint != offer.tokenizers[name].fingerprint:
                raise InputError(
                    f"a tokenizer is called {name!r}, as a model with another one is: rename its "
                    "folder."
                )
        self.tokenizers: dict[str, Tokenizer] = {**own, **offer.tokenizers}
        self.since = int(time.time())
        # Of requests with a form: those without are not to wait for a slow one.
        self.forms = ThreadPoolExecutor(_FORMS, "forms")

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """The workers live as long as the server."""
        for room in self.rooms.values():
            room.open()
        try:
            yield
        finally:
            self.leave()
            self.forms.shutdown(wait=False, cancel_futures=True)
            for room in self.rooms.values():
                await asyncio.to_thread(room.worker.join)

    def leave(self) -> None:
        """Let requests that are open end with an error that says so; others are refused from now
        on. Any thread may call this."""
        for room in self.rooms.values():
            room.worker.leave()

    @property
    def stopped(self) -> StoppedError | None:
        """Why one of the engines writes nothing more, if that is so."""
        found = (room.worker.stopped for room in self.rooms.values())
        return next((error for error in found if error is not None), None)

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

    def welcome(self, room: Room, texts: int) -> Place:
        """A place for a request of so many texts, before any work on it; `ApiError` where too many
        are open."""
        workers = [room.worker for room in self.rooms.values()]
        if sum(worker.open for worker in workers) >= self.limits.requests:
            message = f"{self.limits.requests} requests are open already: try again later."
            raise ApiError(429, message, code="too_many_requests")
        if sum(worker.texts for worker in workers) + texts > self.limits.texts:
            message = f"more than {self.limits.texts} texts would be open: try again later."
            raise ApiError(429, message, code="too_many_requests")
        return room.worker.reserve(texts)


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
        if limits.memory is None:
            memory = max(cache_memory(device) // len(models), one_context(served.model, device))
        else:
            memory = limits.memory // len(models)
        engine = Engine(
            served.model,
            device,
            stop=served.ends,
            never=served.silent,
            rows=limits.rows,
            at_once=limits.at_once,
            memory=memory,
            weights=weights,
            drafter=None if draft is None else load_drafter(draft, served, device, limits.rows),
        )
        # The engine has its own copy: the one that was loaded need not stay.
        served = replace(served, model=engine.model)
        rooms.append(Room(served, engine, metrics.of(served.name)))
    return House(rooms, metrics, limits, offer)
