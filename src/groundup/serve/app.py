"""The server: routes, and what they share."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from groundup.core.device import Device
from groundup.infer import Engine
from groundup.infer.engine import cache_memory, one_context
from groundup.infer.weights import Weights
from groundup.loading import Served
from groundup.serve import chat, completions
from groundup.serve.answers import Answer, Asked
from groundup.serve.errors import ApiError, error_body, install_errors
from groundup.serve.guard import Guard
from groundup.serve.metrics import Metrics
from groundup.serve.schema import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    TokenizeRequest,
)
from groundup.serve.worker import Delta, StoppedError, Worker


@dataclass(frozen=True, kw_only=True)
class Limits:
    """body: bytes of a request. requests: that are open at the same time; more are told to come
    again. rows, at_once, memory: see `Engine`."""

    body: int = 1 << 20
    requests: int = 512
    rows: int = 256
    at_once: int = 512
    memory: int | None = None


def create_app(
    served: Served,
    device: Device,
    *,
    key: str | None = None,
    limits: Limits = Limits(),
    weights: Weights = "compute",
) -> FastAPI:
    """The app of one model. key: what every request must show."""
    engine = Engine(
        served.model,
        device,
        stop=served.ends,
        never=served.silent,
        rows=limits.rows,
        at_once=limits.at_once,
        memory=limits.memory or max(cache_memory(device), one_context(served.model, device)),
        weights=weights,
    )
    house = House(served, engine, limits)
    app = FastAPI(
        title="groundup",
        lifespan=house.lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.add_middleware(Guard, key=key, most=limits.body)
    install_errors(app)
    _routes(app, house)
    return app


class House:
    """The model that is served, its worker, and the requests that are open."""

    def __init__(self, served: Served, engine: Engine, limits: Limits):
        self.served, self.engine, self.limits = served, engine, limits
        self.metrics = Metrics()
        self.worker: Worker | None = None
        self.since = int(time.time())

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """The worker lives as long as the server."""
        self.worker = Worker(self.engine, self.served.tokenizer, self.metrics)
        self.worker.start()
        try:
            yield
        finally:
            self.worker.stop()

    def named(self, model: str | None) -> Served:
        """The model that a client asks for."""
        if model is not None and model != self.served.name:
            message = f"there is no model {model!r} here: {self.served.name!r} is served."
            raise ApiError(404, message, param="model", code="model_not_found")
        return self.served

    def welcome(self, model: str | None) -> Served:
        """The model that is asked for, before any work on the request; `ApiError` where too many
        are open."""
        if self.worker is None or self.worker.open >= self.limits.requests:
            message = f"{self.limits.requests} requests are open already: try again later."
            raise ApiError(429, message, code="too_many_requests")
        return self.named(model)

    def begin(self, asked: Asked) -> AsyncGenerator[Delta]:
        """Let the engine write; when the deltas are given up, so is the work.

        Raises `ApiError`, `InputError` or `StoppedError` for what cannot be begun.
        """
        assert self.worker is not None
        size = self.served.model.config.vocab_size
        if any(token >= size for token, _ in asked.sampling.logit_bias):
            raise ApiError(400, f"logit_bias: tokens are below {size:,}.", param="logit_bias")
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


def _routes(app: FastAPI, house: House) -> None:
    @app.get("/health")
    async def health() -> Response:
        alive = house.worker is not None and house.worker.is_alive()
        return JSONResponse({"status": "ok" if alive else "failed"}, 200 if alive else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(house.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(house)]}

    @app.get("/v1/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        house.named(name)
        return _model(house)

    @app.post("/v1/completions", response_model=None)
    async def completion(body: CompletionRequest, request: Request) -> Response:
        served = house.welcome(body.model)
        asked = completions.asked(body, served, _seed())
        return await _respond(house, request, body.stream, asked, body, completions)

    @app.post("/v1/chat/completions", response_model=None)
    async def conversation(body: ChatRequest, request: Request) -> Response:
        served = house.welcome(body.model)
        asked = chat.asked(body, served, _seed())
        return await _respond(house, request, body.stream, asked, body, chat)

    @app.post("/tokenize")
    async def tokenize(body: TokenizeRequest) -> dict[str, Any]:
        tokenizer = house.named(body.model).tokenizer
        allowed = "all" if body.special else frozenset()
        ids = tokenizer.encode(body.text, allowed_special=allowed, disallowed_special=())
        return {"tokens": ids, "count": len(ids)}

    @app.post("/detokenize")
    async def detokenize(body: DetokenizeRequest) -> dict[str, Any]:
        return {"text": house.named(body.model).tokenizer.decode(body.tokens)}


async def _respond(
    house: House, request: Request, stream: bool, asked: Asked, body: Any, kind: Any
) -> Response:
    """kind: the module of the route, which knows the form of its answers."""
    deltas, of = house.begin(asked), Answer(asked, house.served.name)
    if stream:
        told = _events(kind.chunks(body, house.served, of, deltas))
        return StreamingResponse(told, media_type="text/event-stream")
    return await _whole(request, kind.answer(body, house.served, of, deltas))


async def _events(chunks: AsyncGenerator[dict[str, Any]]) -> AsyncIterator[str]:
    """Server-sent events (WHATWG HTML, section 9.2), and `[DONE]` at the end. An error is one, too,
    as the answer has begun."""
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
    except StoppedError:
        yield f"data: {json.dumps(error_body(503, 'the server is stopping.'))}\n\n"
    yield "data: [DONE]\n\n"


async def _whole(request: Request, answer: Coroutine[Any, Any, dict[str, Any]]) -> Response:
    """The answer; where the client goes before it is there, the work is given up."""
    work, gone = asyncio.create_task(answer), asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return Response(status_code=499)  # nobody reads it
        return JSONResponse(work.result())
    finally:
        for task in (work, gone):
            task.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _seed() -> int:
    """Of a request that gives none."""
    return secrets.randbits(63)


def _model(house: House) -> dict[str, Any]:
    return {
        "id": house.served.name,
        "object": "model",
        "created": house.since,
        "owned_by": "groundup",
        "context": house.served.model.config.context,
        "converses": house.served.template is not None,
    }
