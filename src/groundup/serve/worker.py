"""The thread in which the engine runs, and how requests reach it and texts come back.

    request (event loop) → inbox → engine, step by step (this thread) → deltas → request

A request that is given up, whatever the reason, leaves the engine before its next step.
"""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Literal

from groundup.infer import Engine, Sampling
from groundup.infer.sequence import Chosen
from groundup.infer.sequence import Sequence as Running
from groundup.infer.text import Writer
from groundup.serve.metrics import ModelMetrics
from groundup.tokenizers import Tokenizer

_PIECE = 1 / 20  # seconds between two pieces of a text, at the least

Reason = Literal["stop", "length"]


class StoppedError(Exception):
    """The server is shutting down, or the engine has failed. status: of HTTP."""

    def __init__(self, *, failed: bool):
        super().__init__(
            "the engine has failed: restart the server."
            if failed
            else "the server is stopping: try again later."
        )
        self.failed, self.status = failed, 500 if failed else 503


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
class Place:
    """Of a request among those that are open. left: texts that have not ended, as far as the client
    was told."""

    left: int


@dataclass(eq=False)
class Request:
    """prompts: of the texts, one each. streams: of draws. told: an empty list when the engine has
    taken it in, then deltas; or an error at the end."""

    place: Place
    prompts: Sequence[Sequence[int]]
    streams: Sequence[int]
    sampling: Sampling
    writers: list[Writer]
    told: asyncio.Queue[list[Delta] | Exception] = field(default_factory=asyncio.Queue)
    running: list[Running] = field(default_factory=list)


class Worker(threading.Thread):
    """One for each model that is served. open: requests that have not ended; texts: of them."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, metrics: ModelMetrics):
        super().__init__(name="engine", daemon=True)
        self.engine, self.tokenizer, self.metrics = engine, tokenizer, metrics
        self.open = self.texts = 0
        self._failed: bool | None = None  # when nothing more can be written; see `stopped`
        self._followed: set[Request] = set()  # in the event loop; the rest is the thread's
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._places: dict[Running, tuple[Request, int]] = {}
        self._drawn: list[tuple[Running, int]] = []  # what has not been told
        self._told_at = 0.0
        self._silent: set[Running] = set()  # of which nothing has been told

    @property
    def stopped(self) -> StoppedError | None:
        """Why nothing more can be written, if that is so: a new one each time, as an error that is
        raised keeps hold of all that it went through."""
        return None if self._failed is None else StoppedError(failed=self._failed)

    def reserve(self, texts: int) -> Place:
        """A place for a request of so many texts, before any work on it. As all that is not `run`,
        this is called in the event loop."""
        self.open += 1
        self.texts += texts
        return Place(texts)

    def release(self, place: Place, texts: int | None = None) -> None:
        """So many texts have ended; by default all that are left were given up."""
        ended = place.left if texts is None else min(texts, place.left)
        self.open -= 0 < place.left == ended
        self.texts -= ended
        place.left -= ended

    async def begin(
        self,
        place: Place,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        stop: Sequence[str],
    ) -> Request:
        """Let n texts be written for each prompt; those of the first have the first numbers.
        Returns when the engine has taken them in; they are written until `give_up` is called.

        Raises `StoppedError` where the engine stops, and what the engine raises.
        """
        request = Request(
            place,
            [prompt for prompt in prompts for _ in range(n)],
            [stream for _ in prompts for stream in range(n)],
            sampling,
            [Writer(self.tokenizer, stop) for _ in range(len(prompts) * n)],
        )
        self._followed.add(request)
        self._inbox.put(lambda: self._submit(request))
        try:
            stopped = self.stopped
            if stopped is not None:  # it may not have seen the request any more
                raise stopped
            await self._told(request)
        except BaseException:  # cancelled, too
            self.give_up(request)
            raise
        return request

    async def follow(self, request: Request) -> AsyncGenerator[Delta]:
        """What its texts become, as it is written.

        Raises `StoppedError` where the engine stops before they have ended.
        """
        while request.place.left or not request.told.empty():
            for delta in await self._told(request):
                yield delta

    async def _told(self, request: Request) -> list[Delta]:
        told = await request.told.get()
        if isinstance(told, Exception):
            raise told
        return told

    def give_up(self, request: Request) -> None:
        """Nobody listens any more; where its texts have ended, that changes nothing."""
        self._followed.discard(request)
        if request.place.left:
            self.release(request.place)
            self._inbox.put(lambda: self._cancel(request))

    def leave(self) -> None:
        """End all texts, and then the thread, for which this does not wait."""
        self._inbox.put(self._leave)

    def run(self) -> None:
        """Step while there is work; wait for it where there is none."""
        try:
            while self._failed is None:
                self._take_in(wait=not self._places)
                drawn = self.engine.step()
                self._drawn += drawn
                if self._due(drawn):
                    self._tell(self._drawn)
                    self._drawn, self._told_at = [], time.monotonic()
                self.metrics.stepped(self.engine, len(drawn))
        except BaseException:
            self._failed = True
            raise
        finally:  # whatever it was: no request may wait for a thread that is gone
            self._loop.call_soon_threadsafe(self._tell_all)
            for running in self._places:
                self.engine.cancel(running)

    def _tell_all(self) -> None:
        """In the event loop: nothing more comes, which every request is to know, also one that the
        thread has never seen."""
        for request in self._followed:
            stopped = self.stopped
            assert stopped is not None
            if request.place.left:
                request.told.put_nowait(stopped)

    def _take_in(self, *, wait: bool) -> None:
        """Do what has been asked for meanwhile."""
        try:
            while True:
                self._inbox.get(block=wait)()
                wait = False
        except Empty:
            return

    def _leave(self) -> None:
        self._failed = False

    def _submit(self, request: Request) -> None:
        for index, (prompt, stream) in enumerate(
            zip(request.prompts, request.streams, strict=True)
        ):
            try:
                running = self.engine.submit(prompt, request.sampling, stream)
            except Exception as error:  # such as a grammar that the model's tokens cannot spell
                self._fail(request, error)
                return
            request.running.append(running)
            self._places[running] = request, index
            self._silent.add(running)
        self._loop.call_soon_threadsafe(request.told.put_nowait, [])

    def _fail(self, request: Request, error: Exception) -> None:
        """Nothing more can be written for a request; its other texts end, too."""
        self._cancel(request)
        self._loop.call_soon_threadsafe(request.told.put_nowait, error)

    def _cancel(self, request: Request) -> None:
        for running in request.running:
            self._silent.discard(running)
            if self._places.pop(running, None) is not None:
                self.engine.cancel(running)

    def _due(self, drawn: Sequence[tuple[Running, int]]) -> bool:
        """Whether to tell what was drawn: at once where a text begins or ends, and else some times
        a second, as each piece takes from the engine what its way to the client takes."""
        if not self._drawn:
            return False
        if time.monotonic() - self._told_at >= _PIECE:
            return True
        return any(of.finish is not None or of in self._silent for of, _ in drawn)

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
            self._silent.discard(running)
            delta = self._delta(running, tokens, request.writers[index], index)
            if delta.finish is not None:
                del self._places[running]
                self.engine.cancel(running)  # where a string ended it
            deltas[request].append(delta)
        self._loop.call_soon_threadsafe(self._deliver, list(deltas.items()))

    def _deliver(self, told: Sequence[tuple[Request, list[Delta]]]) -> None:
        for request, deltas in told:
            request.told.put_nowait(deltas)
            self.release(request.place, sum(delta.finish is not None for delta in deltas))

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
