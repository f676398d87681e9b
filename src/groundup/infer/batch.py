"""A file of prompts, answered in its order; a run that was killed goes on where it was.

Each line is an object. It comes back with what the model wrote:

    {"prompt": "def mean("}  →  {"prompt": "def mean(", "completion": "values):…", "finish": "stop"}

Where the form that is asked for turns out too large in the middle of one, "finish" is "failed",
"error" says why, and the others go on.

Answers stand in OUT.partial until all are there, in the order of the prompts: prompt i draws from
the stream (seed, i), so what has been written does not change what comes. OUT.partial.how says with
which model and options they were written.
"""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Tokens
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from groundup.core.errors import InputError
from groundup.core.files import naming, read_json, sync, write_json
from groundup.core.progress import Advance
from groundup.infer.engine import Engine
from groundup.infer.sampling import Sampling
from groundup.infer.sequence import Sequence
from groundup.infer.text import Writer
from groundup.tokenizers import Tokenizer

Record = dict[str, Any]
PARTIAL, HOW = ".partial", ".how"
_WRITTEN = {"completion", "finish", "error"}
_AHEAD = 2  # times the engine's rows: prompts that wait in memory
_SYNC = 2.0  # seconds between answers that a loss of power could take back


@dataclass(frozen=True)
class Answered:
    """prompts: of the file. resumed: that were answered before. failed: of which no answer could be
    made, as their lines say, and tokens: written, this time."""

    prompts: int
    resumed: int
    failed: int
    tokens: int
    seconds: float


def read_prompts(
    path: Path, encode: Callable[[Record], list[int]]
) -> Iterator[tuple[Record, list[int]]]:
    """Each line's object, and its tokens. Raises `InputError` for a line that is none."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise InputError("it is no JSON object")
                if taken := _WRITTEN & record.keys():
                    raise InputError(f"{min(taken)!r} is what the answer is called: rename it")
                yield record, encode(record)
            except (ValueError, RecursionError, InputError) as error:
                raise InputError(f"{path}, line {number}: {error}") from error


def answer_file(
    engine: Engine,
    tokenizer: Tokenizer,
    prompts: Path,
    out: Path,
    encode: Callable[[Record], list[int]],
    sampling: Sampling,
    *,
    how: Record,
    stop: Tokens[str] = (),
    advance: Advance | None = None,
) -> Answered:
    """Answer all prompts of a file. encode: the tokens of a line's object. how: all that decides
    what is written, beside the prompts.

    All lines are read before any is answered, so that a wrong one costs nothing. Raises
    `InputError` for such a line, where `out` exists, and where it was begun with other prompts or
    in another way, or may have been.
    """

    def checked(record: Record) -> list[int]:
        tokens = encode(record)
        engine.check([tokens])
        return tokens

    if out.exists():
        raise InputError(f"{out} exists already: choose another file, or delete it.")
    count = sum(1 for _ in read_prompts(prompts, checked))
    partial = out.with_name(out.name + PARTIAL)
    partial.parent.mkdir(parents=True, exist_ok=True)
    _begun_alike(partial, how)
    start = time.perf_counter()
    with naming(partial), partial.open("ab+") as file:
        resumed = _resume(file, partial, prompts, encode)
        if advance is not None:
            advance(resumed)
        answering = _Answering(engine, tokenizer, file, sampling, stop, advance)
        try:
            for index, (record, tokens) in enumerate(read_prompts(prompts, encode)):
                if index >= resumed:
                    answering.add(record, tokens, index)
            answering.finish()
        finally:
            answering.leave()
    partial.rename(out)
    _how(partial).unlink()
    sync(out.parent)
    seconds = time.perf_counter() - start
    return Answered(count, resumed, answering.failed, answering.tokens, seconds)


def _how(partial: Path) -> Path:
    return partial.with_name(partial.name + HOW)


def _begun_alike(partial: Path, how: Record) -> None:
    """Note how the answers are written, or see that it is as before."""
    how = json.loads(json.dumps(how))
    begun = partial.exists() and partial.stat().st_size > 0
    if begun and not _how(partial).exists():
        raise InputError(
            f"{_how(partial)} is gone, which says how {partial} was begun: delete that, too, or "
            "choose another file."
        )
    if begun:
        before = read_json(_how(partial))
        for name in sorted(how.keys() | before.keys()):
            if how.get(name) != before.get(name):
                raise InputError(
                    f"{partial} was begun with another {name}: give what was given then, delete "
                    "it, or choose another file."
                )
    else:
        write_json(_how(partial), how)


def _resume(
    file: BinaryIO, partial: Path, prompts: Path, encode: Callable[[Record], list[int]]
) -> int:
    """How many answers there are already; half a line at the end is taken away."""
    file.seek(0)
    end = count = 0
    given = read_prompts(prompts, encode)
    for line in file:
        if not line.endswith(b"\n"):
            break
        record, _ = next(given, ({}, []))
        if not record or not line.startswith(json.dumps(record).encode()[:-1]):
            raise InputError(
                f"{partial} was begun with other prompts (line {count + 1} differs): delete it, or "
                "choose another file."
            )
        end += len(line)
        count += 1
    file.truncate(end)
    file.seek(end)
    return count


class _Answering:
    """Prompts that are in the engine, and answers that wait for those before them."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        file: BinaryIO,
        sampling: Sampling,
        stop: Tokens[str],
        advance: Advance | None,
    ):
        self._engine, self._tokenizer, self._file = engine, tokenizer, file
        self._sampling, self._stop, self._advance = sampling, stop, advance
        self._open: deque[tuple[Record, Sequence]] = deque()
        self._writers: dict[Sequence, tuple[Writer, list[str]]] = {}
        self._synced = time.monotonic()
        self.tokens = self.failed = 0

    def add(self, record: Record, tokens: list[int], index: int) -> None:
        sequence = self._engine.submit(tokens, self._sampling, index)
        self._open.append((record, sequence))
        self._writers[sequence] = Writer(self._tokenizer, self._stop), []
        while len(self._open) >= _AHEAD * self._engine.cache.rows:
            self._step()

    def finish(self) -> None:
        while self._open:
            self._step()
        self._sync()

    def leave(self) -> None:
        """The engine is free for others, however it ended."""
        for _, sequence in self._open:
            self._engine.cancel(sequence)

    def _step(self) -> None:
        for sequence, token in self._engine.step():
            self.tokens += 1
            writer, text = self._writers[sequence]
            if token not in sequence.stop:
                text.append(writer.push(token))
            if writer.stopped:
                self._engine.cancel(sequence)
        while self._open and self._open[0][1].finish is not None:
            record, sequence = self._open.popleft()
            writer, text = self._writers.pop(sequence)
            text.append(writer.finish())
            finish = "stop" if writer.stopped else sequence.finish
            answer = {**record, "completion": "".join(text), "finish": finish}
            if finish == "failed":
                answer["error"] = str(sequence.error)
                self.failed += 1
            self._file.write(json.dumps(answer).encode() + b"\n")
            if self._advance is not None:
                self._advance()
        if time.monotonic() - self._synced > _SYNC:
            self._sync()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()
