"""Speculation: several tokens in one pass (Leviathan et al. 2023, "Fast inference from transformers
via speculative decoding").

A drafter guesses what comes next; the model computes the guesses together, in hardly more time than
one token takes, and what it draws itself is compared with them. Every token is drawn by the model,
from its own stream of uniform numbers, so a text is the same to the token with any drafter and with
none, as far as passes of other sizes round alike; only how many passes it takes depends on the
guesses. (That a sample is shared between both models in place of being refused is Daliri et al.
2025, "Coupling without communication and drafter-invariant speculative decoding".)
"""

from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakKeyDictionary

import torch

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.infer.cache import PAGE, PagedCache, Part
from groundup.infer.fused import serve
from groundup.infer.memory import cache_positions
from groundup.infer.passes import Pass
from groundup.infer.sampling import sample
from groundup.infer.sequence import Sequence
from groundup.models import DecoderModel

_CHUNK = 512  # tokens of a long text that are read at once


class Drafter(Protocol):
    """Guesses what comes next."""

    def draft(self, sequences: Tokens[Sequence], most: int) -> None:
        """Fill `drafted` of sequences that each wait for their next token, so that there are at
        most so many tokens to compute, their own ones included."""
        ...


def _each(sequences: Tokens[Sequence], most: int, longest: int) -> int:
    """How many tokens may be drafted for each."""
    return min(longest, most // len(sequences) - 1) if sequences else 0


class PromptLookup:
    """What followed the last time that the text's last tokens stood in it (Saxena 2023, "Prompt
    lookup decoding"): for code that is edited, and documents that are quoted. Costs no model.

    longest: the most tokens that are guessed. sizes: of the last tokens that are looked for, in
    order. Where guesses turn out wrong, fewer are made.
    """

    def __init__(self, longest: int = 8, sizes: tuple[int, ...] = (4, 2)):
        self.longest, self.sizes = longest, sizes
        self._read: WeakKeyDictionary[Sequence, _Read] = WeakKeyDictionary()

    def draft(self, sequences: Tokens[Sequence], most: int) -> None:
        each = _each(sequences, most, self.longest)
        for sequence in sequences:
            if sequence not in self._read:
                self._read[sequence] = _Read(self.sizes, self.longest)
            read = self._read[sequence]
            read.take(sequence.inside(len(read.tokens), sequence.length))
            sequence.drafted = read.guess(min(each, sequence.left - 1))


@dataclass
class _Read:
    """A text so far, and what follows its pieces. trust: how many tokens to guess next."""

    sizes: tuple[int, ...]
    longest: int
    tokens: list[int] = field(default_factory=list)
    after: dict[tuple[int, ...], int] = field(default_factory=dict)
    guessed: list[int] = field(default_factory=list)
    trust: int = 1

    def take(self, new: Tokens[int]) -> None:
        """Read on; and see how good the last guess was."""
        right = 0
        for guess, token in zip(self.guessed, new, strict=False):
            if guess != token:
                break
            right += 1
        if right < len(self.guessed):
            self.trust = right + 1
        elif self.guessed:
            self.trust = min(self.longest, 2 * self.trust + 1)
        for token in new:
            for size in self.sizes:
                if len(self.tokens) >= size:
                    self.after[tuple(self.tokens[-size:])] = len(self.tokens)
            self.tokens.append(token)

    def guess(self, most: int) -> list[int]:
        """So many tokens at the most. What ends before that begins again, as a period would."""
        found = (self.after.get(tuple(self.tokens[-size:])) for size in self.sizes)
        begin = next((at for at in found if at is not None), None)
        count = max(0, min(most, self.trust))
        self.guessed = []
        if begin is not None:
            period = len(self.tokens) - begin
            self.guessed = [self.tokens[begin + i % period] for i in range(count)]
        return list(self.guessed)


class DraftModel:
    """What a smaller model of the same vocabulary would write, drawn by the same numbers."""

    def __init__(self, model: DecoderModel, device: Device, *, rows: int, longest: int = 4):
        """rows: of the engine that it drafts for. longest: the most tokens that are guessed at
        once. For texts that its cache has no room for, nothing is guessed."""
        self.model = model.with_plain_head().to(device.device, device.compute_dtype).eval()
        serve(self.model, "compute")
        self.device, self.longest = device, longest
        self.cache = PagedCache(
            self.model.config,
            rows=rows,
            positions=cache_positions(self.model, device, rows, None),
            at_once=self.model.config.context,
            dtype=device.compute_dtype,
            device=device.device,
            frugal=device.device.type == "cpu",
        )
        if not self.cache.shares:
            raise InputError("a model with a state cannot take tokens back: draft with another.")
        self._kept: dict[Sequence, list[int]] = {}  # its row, and how many positions are there

    @torch.inference_mode()
    def draft(self, sequences: Tokens[Sequence], most: int) -> None:
        each = _each(sequences, most, self.longest)
        for gone in self._kept.keys() - set(sequences):
            self.cache.release(self._kept.pop(gone)[0])
        drafting = [s for s in sequences if min(each, s.left - 1) > 0 and self._has_room(s, each)]
        for sequence in drafting:
            self._catch_up(sequence)
        for ahead in range(each):
            drafting = [s for s in drafting if s.left - 1 > ahead]
            if drafting:
                self._guess(drafting, ahead)

    def _has_room(self, sequence: Sequence, each: int) -> bool:
        """Whether the text and the guesses fit; what is there of it is known then."""
        if sequence.length + each > self.model.config.context:
            return False
        kept = self._kept.get(sequence)
        if kept is None:
            names, length = sequence.names, sequence.length
            kept = [*self.cache.admit(names[: length // PAGE], length, shareable=length)]
            self._kept[sequence] = kept
        else:
            self._take_back(kept, sequence)
        return self.cache.extend(kept[0], sequence.length + each)

    def _take_back(self, kept: list[int], sequence: Sequence) -> None:
        """Forget guesses that were wrong. A model that shifts its keys needs those of the position
        before, which is read once more for that."""
        row, computed = kept[0], min(kept[1], sequence.length - 1)
        self.cache.computed(row, computed, sequence.inside)
        self.cache.keep(row, computed)
        kept[1] = max(0, computed - self.cache.shifts)

    def _catch_up(self, sequence: Sequence) -> None:
        """Read a long text up to its last tokens, in chunks."""
        row, computed = self._kept[sequence]
        while sequence.length - computed > _CHUNK:
            reading = Pass(self.cache, [Part(row, computed, computed + _CHUNK)])
            ids = torch.tensor([sequence.inside(computed, computed + _CHUNK)])
            self.model.hidden(
                ids.to(self.device.device), positions=reading.positions, cache=reading
            )
            reading.settle([0])
            computed += _CHUNK
        self._kept[sequence][1] = computed

    def _guess(self, sequences: Tokens[Sequence], ahead: int) -> None:
        """One more token for each."""
        rows = {self._kept[s][0]: s for s in sequences}
        parts = []
        for s in sequences:
            row, computed = self._kept[s]
            parts.append(Part(row, computed, s.length + len(s.drafted)))
        reading = Pass(self.cache, parts)
        order = [rows[part.row] for part in reading.parts]
        tokens: list[int] = []
        for sequence, part in zip(order, reading.parts, strict=True):
            tokens += sequence.inside(part.start, part.stop)
        ids = torch.tensor([tokens], device=self.device.device)
        hidden = self.model.hidden(ids, positions=reading.positions, cache=reading)
        reading.settle([0] * len(order))
        logits = self.model.readout(hidden[:, reading.last])[0].float()
        for i, sequence in enumerate(order):
            uniform = 0.0 if sequence.sampling.temperature == 0 else sequence.uniform(ahead)
            number = torch.tensor([uniform], dtype=torch.float64, device=logits.device)
            sequence.drafted.append(int(sample(logits[i : i + 1], sequence.sampling, number)))
            kept = self._kept[sequence]
            kept[1] = reading.parts[i].stop
