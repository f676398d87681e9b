"""The server: routes of the API, and what they share."""

import asyncio
import json
import secrets
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from groundup.core.device import Device
from groundup.core.errors import GroundupError
from groundup.infer.weights import Weights
from groundup.loading import Served
from groundup.serve import chat, completions
from groundup.serve.answers import Answer
from groundup.serve.errors import ErrorBody, error_body, install_errors
from groundup.serve.guard import HEADERS, Guard
from groundup.serve.house import House, Limits, Offer, Room, build_house
from groundup.serve.pages import install_pages
from groundup.serve.schema import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    TokenizeRequest,
)
from groundup.serve.worker import StoppedError

# An answer is one object, or a stream of them.
_TOLD: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "text/event-stream": {}}}
}


def create_app(
    models: Sequence[Served],
    device: Device,
    *,
    key: str | None = None,
    hosts: Collection[str] | None = None,
    limits: Limits | None = None,
    offer: Offer | None = None,
    weights: Weights = "compute",
    draft: str | None = None,
) -> FastAPI:
    """The app of some models. key: what every request must show. hosts: names by which alone the
    server may be called, beside addresses, where there is no key. weights: see `Engine`. draft: see
    `load_drafter`.

    `app.state.leave` ends what is still being written with an error that says so, which a server
    that stops does before it closes its connections.
    """
    limits, offer = limits or Limits(), offer or Offer()
    house = build_house(models, device, limits=limits, offer=offer, weights=weights, draft=draft)
    app = FastAPI(
        title="groundup",
        lifespan=house.lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
    )
    patience = limits.patience
    app.add_middleware(Guard, key=key, most=limits.body, hosts=hosts, patience=patience)
    app.state.leave = house.leave
    install_errors(app, HEADERS)
    _routes(app, house)
    install_pages(app, house)
    return app


def _routes(app: FastAPI, house: House) -> None:
    @app.get("/health")
    async def health() -> Response:
        stopped = house.stopped
        if stopped is None:
            return JSONResponse({"status": "ok"})
        status = "failed" if stopped.failed else "stopping"
        return JSONResponse({"status": status, "message": str(stopped)}, 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(house.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        data = [_model(room, house.since) for room in house.rooms.values()]
        return {"object": "list", "data": data}

    @app.get("/v1/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        return _model(house.named(name), house.since)

    @app.post("/v1/completions", response_model=None, responses=_TOLD)
    async def completion(body: CompletionRequest, request: Request) -> Response:
        return await _respond(house, request, body, completions)

    @app.post("/v1/chat/completions", response_model=None, responses=_TOLD)
    async def conversation(body: ChatRequest, request: Request) -> Response:
        return await _respond(house, request, body, chat)

    @app.post("/tokenize")
    def tokenize(body: TokenizeRequest) -> dict[str, Any]:
        tokenizer = house.tokenizer(body.model)
        allowed = "all" if body.special else frozenset()
        ids = tokenizer.encode(body.text, allowed_special=allowed, disallowed_special=())
        told: dict[str, Any] = {"tokens": ids, "count": len(ids)}
        if body.detail:
            told["bytes"] = [tokenizer.token_bytes(token).hex() for token in ids]
        return told

    @app.post("/detokenize")
    def detokenize(body: DetokenizeRequest) -> dict[str, Any]:
        return {"text": house.tokenizer(body.model).decode(body.tokens)}


async def _respond(house: House, request: Request, body: Any, kind: Any) -> Response:
    """kind: the module of the route, which knows the form of its answers."""
    since, room = time.perf_counter(), house.named(body.model)
    served, place = room.served, house.welcome(room, body.texts)
    try:
        # Templates, long texts and schemas take their time, in which others are not to wait.
        threads = house.forms if body.has_form else None
        asking = partial(kind.asked, body, served, room.grammars, _seed())
        asked = await asyncio.get_running_loop().run_in_executor(threads, asking)
        running = await room.begin(asked, place)
    except BaseException:  # cancelled, too
        room.worker.release(place)
        raise
    deltas, of = room.follow(running, since), Answer(asked, served.name)

    def done() -> None:
        room.worker.give_up(running)

    if body.stream:
        return _Stream(_events(kind.chunks(body, served, of, deltas)), done)
    try:
        return await _whole(request, kind.answer(body, served, of, deltas))
    finally:
        done()


class _Stream(StreamingResponse):
    """done: is called at the end, whether the client is still there, or was gone before the first
    of the events."""

    def __init__(self, events: AsyncIterator[str], done: Callable[[], None]):
        super().__init__(events, media_type="text/event-stream")
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._done()


async def _events(chunks: AsyncGenerator[dict[str, Any]]) -> AsyncIterator[str]:
    """Server-sent events (WHATWG HTML, section 9.2), and `[DONE]` at the end. An error is one, too,
    as the answer has begun."""
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
    except StoppedError as error:
        yield f"data: {json.dumps(error_body(error.status, str(error)))}\n\n"
    except GroundupError as error:
        yield f"data: {json.dumps(error_body(400, str(error)))}\n\n"
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


def _model(room: Room, since: int) -> dict[str, Any]:
    return {
        "id": room.served.name,
        "object": "model",
        "created": since,
        "owned_by": "groundup",
        "context": room.served.model.config.context,
        "converses": room.served.template is not None,
    }
