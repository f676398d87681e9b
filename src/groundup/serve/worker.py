"""The thread in which the engine runs, and how requests reach it and texts come back.

    request (event loop) → inbox → engine, step by step (this thread) → deltas → request

A request that is given up, whatever the reason, leaves the engine before its next step.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Literal

from groundup.core.errors import InputError
from groundup.infer import Engine, Sampling
from groundup.infer.sequence import Chosen
from groundup.infer.sequence import Sequence as Running
from groundup.infer.text import Writer
from groundup.serve.metrics import ModelMetrics
from groundup.tokenizers import Tokenizer

Reason = Literal["stop", "length"]


class StoppedError(Exception):
    """The server is shutting down, or the engine has failed."""


@dataclass(frozen=True)
class Delta:
    """What is new of a text. index: which of the request's. tokens: how many were drawn. finish:
    why it has ended, if it has."""

    index: int
    text: str
    tokens: int = 0
    chosen: Sequence[Chosen] = ()
    finish: Reason | None = None


@dataclass(eq=False)
class Request:
    """prompts: of the texts, one each. streams: of draws. told: deltas, or an error at the end.
    left: texts that have not ended, as far as the client was told."""

    prompts: Sequence[Sequence[int]]
    streams: Sequence[int]
    sampling: Sampling
    writers: list[Writer]
    left: int
    told: asyncio.Queue[list[Delta] | Exception] = field(default_factory=asyncio.Queue)
    running: list[Running] = field(default_factory=list)


class Worker(threading.Thread):
    """One for each model that is served. open: requests that have not ended; texts: of them."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, metrics: ModelMetrics):
        super().__init__(name="engine", daemon=True)
        self.engine, self.tokenizer, self.metrics = engine, tokenizer, metrics
        self.open = self.texts = 0
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._places: dict[Running, tuple[Request, int]] = {}
        self._leaving = False

    def begin(
        self, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling, stop: Sequence[str]
    ) -> Request:
        """Let n texts be written for each prompt; those of the first have the first numbers.

        Raises `InputError` for a prompt that does not fit, `StoppedError` where the engine stops.
        """
        self.engine.check(prompts)
        count = len(prompts) * n
        request = Request(
            [prompt for prompt in prompts for _ in range(n)],
            [stream for _ in prompts for stream in range(n)],
            sampling,
            [Writer(self.tokenizer, stop) for _ in range(count)],
            count,
        )
        self._inbox.put(lambda: self._submit(request))
        if self._leaving or not self.is_alive():  # it may not have seen the request any more
            raise StoppedError
        self.open += 1
        self.texts += count
        return request

    async def follow(self, request: Request) -> AsyncGenerator[Delta]:
        """What its texts become, as it is written; who stops listening gives them up.

        Raises `StoppedError` where the engine stops before they have ended.
        """
        try:
            while request.left or not request.told.empty():
                told = await request.told.get()
                if isinstance(told, Exception):
                    raise told
                for delta in told:
                    yield delta
        finally:
            if request.left:
                self._ended(request, request.left)
                self._inbox.put(lambda: self._cancel(request))

    def _ended(self, request: Request, texts: int) -> None:
        """In the event loop: so many of a request's texts have ended, or were given up."""
        self.open -= 0 < request.left <= texts
        ended = min(texts, request.left)
        self.texts -= ended
        request.left -= ended

    def stop(self) -> None:
        """End all texts, and the thread."""
        self._inbox.put(self._leave)
        self.join()

    def run(self) -> None:
        """Step while there is work; wait for it where there is none."""
        try:
            while not self._leaving:
                self._take_in(wait=not self._places)
                told = self.engine.step()
                if told:
                    self._tell(told)
                self.metrics.stepped(self.engine, len(told))
        finally:  # whatever it was: no request may wait for a thread that is gone
            self._leaving = True
            self._take_in(wait=False)
            error = StoppedError()
            for request in {request for request, _ in self._places.values()}:
                self._loop.call_soon_threadsafe(request.told.put_nowait, error)
            for running in self._places:
                self.engine.cancel(running)

    def _take_in(self, *, wait: bool) -> None:
        """Do what has been asked for meanwhile."""
        try:
            while True:
                self._inbox.get(block=wait)()
                wait = False
        except Empty:
            return

    def _leave(self) -> None:
        self._leaving = True

    def _submit(self, request: Request) -> None:
        for index, (prompt, stream) in enumerate(
            zip(request.prompts, request.streams, strict=True)
        ):
            try:
                running = self.engine.submit(prompt, request.sampling, stream)
            except InputError as error:  # a grammar that the model's tokens cannot spell
                self._fail(request, error)
                return
            request.running.append(running)
            self._places[running] = request, index

    def _fail(self, request: Request, error: Exception) -> None:
        """Nothing more can be written for a request; its other texts end, too."""
        self._cancel(request)
        self._loop.call_soon_threadsafe(request.told.put_nowait, error)

    def _cancel(self, request: Request) -> None:
        for running in request.running:
            if self._places.pop(running, None) is not None:
                self.engine.cancel(running)

    def _tell(self, drawn: Sequence[tuple[Running, int]]) -> None:
        """Turn tokens into text, and tell the requests, all at once."""
        deltas: dict[Request, list[Delta]] = defaultdict(list)
        new: dict[Running, list[int]] = defaultdict(list)
        for running, token in drawn:
            new[running].append(token)
        for running, tokens in new.items():
            if running not in self._places:  # its request has failed just now
                continue
            request, index = self._places[running]
            if running.error is not None:
                self._fail(request, running.error)
                continue
            delta = self._delta(running, tokens, request.writers[index], index)
            if delta.finish is not None:
                del self._places[running]
                self.engine.cancel(running)  # where a string ended it
            deltas[request].append(delta)
        self._loop.call_soon_threadsafe(self._deliver, list(deltas.items()))

    def _deliver(self, told: Sequence[tuple[Request, list[Delta]]]) -> None:
        for request, deltas in told:
            request.told.put_nowait(deltas)
            self._ended(request, sum(delta.finish is not None for delta in deltas))

    def _delta(self, running: Running, new: Sequence[int], writer: Writer, index: int) -> Delta:
        text, count, kept = "", 0, 0
        while count < len(new) and not writer.stopped:
            token = new[count]
            count += 1
            if token not in running.stop:
                text += writer.push(token)
                kept += 1
        finish: Reason | None = None
        if writer.stopped:
            finish = "stop"
        elif running.finish is not None:
            text += writer.finish()
            finish = "stop" if running.finish == "stop" or writer.stopped else "length"
        begin = len(running.written) - len(new)
        return Delta(index, text, count, running.chosen[begin : begin + kept], finish)
