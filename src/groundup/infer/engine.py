"""The engine: prompts in, completions out; all that evaluation, alignment and serving see.

    submit → step, step, … → each sequence's tokens as they are drawn

`generate`, `stream` and `loglikelihood` do that for those who have all their prompts at hand.
"""

from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence as Tokens
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.core.progress import Advance
from groundup.infer.cache import PagedCache, Part
from groundup.infer.draft import Drafter
from groundup.infer.drawing import draw, reported
from groundup.infer.fused import serve
from groundup.infer.memory import affordable_rows, cache_positions
from groundup.infer.passes import Pass
from groundup.infer.recorded import Recordings, can_record
from groundup.infer.sampling import Sampling
from groundup.infer.scheduler import Scheduler
from groundup.infer.sequence import Chosen, Completion, Sequence
from groundup.infer.weights import Weights
from groundup.models import DecoderModel

ROWS = 256
AT_ONCE = 2048
DRAFTED = 64  # tokens of a pass, those that are drafted and those before them: for so many a pass
# takes hardly longer than for one


@dataclass(frozen=True)
class Likelihood:
    """logprob: of all tokens of a continuation, in nats. greedy: whether each was the likeliest."""

    logprob: float
    greedy: bool


class Engine:
    """Generates with a frozen copy of a model, its weights held in the compute format."""

    def __init__(
        self,
        model: DecoderModel,
        device: Device,
        *,
        stop: Tokens[int],
        never: Tokens[int] = (),
        rows: int = ROWS,
        at_once: int = AT_ONCE,
        memory: int | None = None,
        weights: Weights = "compute",
        drafter: Drafter | None = None,
    ):
        """stop: tokens that end a completion. never: tokens that are not drawn.
        rows: the most sequences that are computed together; fewer, where their states would not
        fit into memory.
        at_once: the most tokens of a pass; fewer let running sequences wait less for long prompts.
        memory: of keys and values, in bytes, all of which may fill with pages that are kept for
        texts that begin alike. By default it is a quarter of what is free at the most, and on a CPU
        no more is touched than twice what sequences take together. weights: in what matrices are
        held, the compute format or eight bits a number. drafter: guesses what comes next, so that
        several tokens are drawn in a pass, and the same ones as without; not for models with a
        state."""
        self.model = model.with_plain_head().to(device.device, device.compute_dtype).eval()
        serve(self.model, weights)
        self.device, self.weights = device, weights
        self.stop = frozenset(stop)
        self._never = torch.tensor([*never], dtype=torch.int64, device=device.device)
        config = self.model.config
        rows = affordable_rows(self.model, device, rows, memory)
        self.cache = PagedCache(
            config,
            rows=rows,
            positions=cache_positions(self.model, device, rows, memory),
            at_once=at_once,
            dtype=device.compute_dtype,
            device=device.device,
            frugal=memory is None and device.device.type == "cpu",
        )
        recordable = can_record(config, device.device)
        self._recordings = Recordings(self.model, self.cache) if recordable else None
        self._scheduler = Scheduler(self.cache, at_once)
        if drafter is not None and not self.cache.shares:
            raise InputError("a model with a state cannot take tokens back: draft none for it.")
        self._drafter = drafter
        self._ended = 0  # sequences, of whoever

    def generate(
        self,
        prompts: Tokens[Tokens[int]],
        sampling: Sampling,
        *,
        advance: Advance | None = None,
    ) -> list[Completion]:
        """A completion for each prompt, in order. Prompt i draws from the stream (seed, i).

        advance: is told of each completion that is finished.
        """
        self.check(prompts)
        sequences: list[Sequence] = []
        try:
            for i, prompt in enumerate(prompts):
                sequences.append(self.submit(prompt, sampling, i))
            self._finish(sequences, advance)
        finally:  # where that fails, none of them stays
            for sequence in sequences:
                self.cancel(sequence)
        return [sequence.completion() for sequence in sequences]

    def stream(self, prompt: Tokens[int], sampling: Sampling) -> Iterator[int]:
        """The tokens of one completion as they are drawn, without the stop token. A prompt that is
        too long is refused at once, and not when the first token is asked for."""
        self.check([prompt])
        return self._stream(prompt, sampling)

    def _stream(self, prompt: Tokens[int], sampling: Sampling) -> Iterator[int]:
        sequence = self.submit(prompt, sampling)
        try:
            told = 0
            while True:
                end = sequence.kept  # others' steps may draw for this one, too
                yield from sequence.written[told:end]
                told = end
                if sequence.finish is None:
                    self.step()
                elif told == sequence.kept:
                    break
            if sequence.error is not None:
                raise sequence.error
        finally:
            self.cancel(sequence)

    def loglikelihood(
        self,
        pairs: Tokens[tuple[Tokens[int], Tokens[int]]],
        *,
        advance: Advance | None = None,
    ) -> list[Likelihood]:
        """How likely each continuation is after its context, of pairs of the two, in order.

        A context needs one token at the least: the one that texts begin with, where it is empty.
        What contexts have in common is computed once.
        """
        for context, continuation in pairs:
            if not context or not continuation:
                raise InputError("a context or a continuation is empty: give one token at least.")
            self._check_length(len(context) + len(continuation) - 1)
        sequences = [
            Sequence([*context, *continuation], Sampling(), most=0, scored=len(context))
            for context, continuation in pairs
        ]
        for sequence in sequences:
            self._scheduler.add(sequence)
        try:
            self._finish(sequences, advance)
        finally:
            for sequence in sequences:
                self.cancel(sequence)
        return [
            Likelihood(
                sum(chosen.logprob for chosen in sequence.chosen),
                all(chosen.token == chosen.likeliest[0][0] for chosen in sequence.chosen),
            )
            for sequence in sequences
        ]

    def submit(self, prompt: Tokens[int], sampling: Sampling, stream: int = 0) -> Sequence:
        """Let a prompt be continued in the steps to come. stream: of draws; see `Sampling.seed`.

        Raises `InputError` for a prompt that is empty or does not fit into the context, and for a
        grammar that cannot be written in the model's tokens.
        """
        self.check([prompt])
        most = min(sampling.max_tokens, self.model.config.context - len(prompt))
        sequence = Sequence(prompt, sampling, most, self.stop, stream)
        self._scheduler.add(sequence)
        return sequence

    def cancel(self, sequence: Sequence) -> None:
        """End a sequence where it is; its place is free at once."""
        if sequence.finish is None:
            sequence.finish = "cancelled"
            self._scheduler.remove(sequence)

    @property
    def waiting(self) -> int:
        """Sequences that have no place yet."""
        return len(self._scheduler.waiting)

    @property
    def running(self) -> int:
        """Sequences that are computed."""
        return len(self._scheduler.running)

    @property
    def filled(self) -> tuple[int, int]:
        """Positions in the pages of sequences that are computed, and how many of them there are."""
        rooms = [(s.computed, self.cache.room(s.row)) for s in self._scheduler.running]
        return sum(min(pair) for pair in rooms), sum(room for _, room in rooms)

    @property
    def preempted(self) -> int:
        """How often a sequence gave back its place because pages had run out."""
        return self._scheduler.preempted

    @torch.inference_mode()
    def step(self) -> list[tuple[Sequence, int]]:
        """One pass. Returns the tokens that were drawn, stop tokens included, and whose they are;
        those that are `finish`ed have left."""
        if self._drafter is not None:
            writing = self._scheduler.writing
            for sequence in writing:  # a guess for which there was no room
                sequence.drafted.clear()
            self._drafter.draft(writing, min(DRAFTED, self._scheduler.at_once))
        planned = self._scheduler.plan()
        if not planned:
            return []
        parts = [Part(s.row, s.computed, stop) for s, stop in planned.items()]
        if self._recordings is not None and all(map(_writes_next, planned, parts)):
            return self._play(self._recordings, [*planned], parts)
        of_row = {sequence.row: sequence for sequence in planned}
        ahead = Pass(self.cache, parts)
        order = [of_row[part.row] for part in ahead.parts]
        tokens: list[int] = []
        for sequence, part in zip(order, ahead.parts, strict=True):
            tokens += sequence.inside(part.start, part.stop)
        hidden = self.model.hidden(
            torch.tensor([tokens], device=self.device.device),
            positions=ahead.positions,
            cache=ahead,
        )[0]
        written = self._write(order, ahead, hidden)
        self._score(order, ahead, hidden)
        stops = [s.reached(part.stop) for s, part in zip(order, ahead.parts, strict=True)]
        ahead.settle([part.stop - stop for stop, part in zip(stops, ahead.parts, strict=True)])
        self._went_on(order, stops)
        return written

    def _play(
        self, recordings: Recordings, order: Tokens[Sequence], parts: Tokens[Part]
    ) -> list[tuple[Sequence, int]]:
        """The pass of sequences that all write their next token."""
        newest = [s.inside(p.start, p.stop)[0] for s, p in zip(order, parts, strict=True)]
        logits = recordings.logits(parts, newest)
        written = self._draw(logits, [(sequence, i) for i, sequence in enumerate(order)])
        self._went_on(order, [part.stop for part in parts])
        return written

    def _went_on(self, order: Tokens[Sequence], stops: Tokens[int]) -> None:
        """Positions up to a stop are there, of each sequence."""
        for sequence, stop in zip(order, stops, strict=True):
            self._scheduler.computed(sequence, stop)
            if sequence.finish is not None:
                self._scheduler.remove(sequence)
                self._ended += 1

    def _write(
        self, order: Tokens[Sequence], ahead: Pass, hidden: Tensor
    ) -> list[tuple[Sequence, int]]:
        """Draw a token for each sequence that has been read to its end; one more behind each
        drafted token that is the one that was drawn. hidden: [N, D]."""
        rows: list[int] = []
        writing: list[tuple[Sequence, int]] = []  # and which of the rows is next
        for sequence, part, end in zip(order, ahead.parts, ahead.ends, strict=True):
            drafted = part.stop - sequence.length
            if sequence.scored is None and drafted >= 0:
                del sequence.drafted[drafted:]
                writing.append((sequence, len(rows)))
                rows += range(end - drafted - 1, end)
        if not writing:
            return []
        logits = self._logits(hidden if len(rows) == len(hidden) else hidden[rows])
        return self._draw(logits, writing)

    def _draw(
        self, logits: Tensor, writing: list[tuple[Sequence, int]]
    ) -> list[tuple[Sequence, int]]:
        """logits: float32 [rows, V]. writing: sequences, and which of the rows is each one's next;
        those behind it are of its drafted tokens."""
        if len(self._never):
            logits = logits.index_fill(1, self._never, float("-inf"))
        told: list[tuple[Sequence, int]] = []
        while writing:
            at = [row for _, row in writing]
            some = logits if len(at) == len(logits) else logits[at]
            sequences = [sequence for sequence, _ in writing]
            writing = []
            for i, token in enumerate(draw(some, sequences)):
                sequence = sequences[i]
                if sequence.sampling.logprobs is not None:
                    sequence.chosen.append(reported(some[i], token, sequence.sampling.logprobs))
                sequence.write(token)
                told.append((sequence, token))
                if sequence.finish is None and sequence.drafted[:1] == [token]:
                    del sequence.drafted[0]
                    writing.append((sequence, at[i] + 1))
                else:
                    sequence.drafted.clear()
        return told

    def _score(self, order: Tokens[Sequence], ahead: Pass, hidden: Tensor) -> None:
        """The log-probabilities of tokens that are given. hidden: [N, D]."""
        begin = 0
        for sequence, (_, start, stop) in zip(order, ahead.parts, strict=True):
            end = begin + stop - start
            if sequence.scored is not None and stop >= sequence.scored:
                first = max(start, sequence.scored - 1)
                logprobs = self._logits(hidden[end - (stop - first) : end]).log_softmax(-1)
                given = sequence.inside(first + 1, stop + 1)
                told = logprobs.gather(1, _column(given, logprobs))[:, 0]
                best = logprobs.max(-1)
                columns = (told, best.indices, best.values)
                for token, *rest in zip(given, *(c.tolist() for c in columns), strict=True):
                    logprob, top, highest = rest
                    sequence.chosen.append(Chosen(token, logprob, ((top, highest),)))
                if stop == sequence.wanted:
                    sequence.finish = "length"
            begin = end

    def _logits(self, hidden: Tensor) -> Tensor:
        """Of hidden states [N, D]: float32 [N, V]."""
        return self.model.readout(hidden[None])[0].float()

    def _finish(self, sequences: Tokens[Sequence], advance: Advance | None) -> None:
        """Step until all are finished. Raises what one of them has failed of."""
        left, ended = deque(sequences), self._ended
        told = 0
        while left:
            self.step()
            while left and left[0].finish is not None:
                left.popleft()
            done = len(sequences) if not left else min(self._ended - ended, len(sequences) - 1)
            if advance is not None and done > told:
                advance(done - told)
            told = max(told, done)
        for sequence in sequences:
            if sequence.error is not None:
                raise sequence.error

    def check(self, prompts: Tokens[Tokens[int]]) -> None:
        """Raises `InputError` for a prompt that cannot be continued."""
        for prompt in prompts:
            if not prompt:
                raise InputError("a prompt is empty: give at least one token.")
            self._check_length(len(prompt), room=1)

    def _check_length(self, tokens: int, room: int = 0) -> None:
        context = self.model.config.context
        if tokens + room > context:
            raise InputError(
                f"a prompt has {tokens} tokens, and the model's context holds {context}: "
                "shorten it."
            )


def _writes_next(sequence: Sequence, part: Part) -> bool:
    """Whether a pass reads the last token of a sequence and nothing else."""
    alone = part.stop == part.start + 1 == sequence.length
    return alone and sequence.scored is None and not sequence.drafted


def _column(tokens: Tokens[int], like: Tensor) -> Tensor:
    return torch.tensor([*tokens], device=like.device)[:, None]
