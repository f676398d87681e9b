"""The engine: prompts in, completions out; all that evaluation, alignment and the chat see.

Prefill reads all prompts in one pass; decoding then feeds one token a row, and a row that is done
leaves the batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.core.seeds import derive_seed
from groundup.infer.cache import BatchCache
from groundup.infer.sampling import Sampling, sample
from groundup.models import DecoderModel


@dataclass(frozen=True)
class Completion:
    """tokens: what was generated, without the stop token. finish: why it ended.

    "length": at `max_tokens`, or where the model's context is full.
    """

    tokens: list[int]
    finish: Literal["stop", "length"]


class Engine:
    """Generates with a frozen copy of a model, its weights held in the compute format."""

    def __init__(self, model: DecoderModel, device: Device, *, stop: Sequence[int]):
        """stop: tokens that end a completion."""
        self.model = model.with_plain_head().to(device.device, device.compute_dtype).eval()
        self.device = device
        self.stop = frozenset(stop)

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        """A completion for each prompt, in order. Prompt i draws from the stream (seed, i)."""
        self._check(prompts)
        tokens: list[list[int]] = [[] for _ in prompts]
        finish: list[Literal["stop", "length"]] = ["length"] * len(prompts)
        for row, token in self._decode(prompts, sampling):
            if token in self.stop:
                finish[row] = "stop"
            else:
                tokens[row].append(token)
        return [Completion(*pair) for pair in zip(tokens, finish, strict=True)]

    def stream(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[int]:
        """The tokens of one completion as they are drawn, without the stop token. A prompt that is
        too long is refused at once, and not when the first token is asked for."""
        self._check([prompt])
        return (token for _, token in self._decode([prompt], sampling) if token not in self.stop)

    @torch.inference_mode()
    def _decode(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling
    ) -> Iterator[tuple[int, int]]:
        """(prompt index, token) for every token drawn, stop tokens included."""
        config = self.model.config
        longest = max(map(len, prompts))
        columns = min(longest + sampling.max_tokens, config.context)
        padding = torch.tensor([longest - len(p) for p in prompts], device=self.device.device)
        cache = BatchCache(config, padding, columns, self.device.compute_dtype)
        block = torch.tensor(
            [[0] * (longest - len(p)) + list(p) for p in prompts], device=self.device.device
        )
        uniform = _uniform_draws(len(prompts), columns - longest, sampling.seed)
        rows = list(range(len(prompts)))
        for step in range(columns - longest):
            logits = self._forward(block, cache)
            drawn = sample(logits, sampling, uniform[rows, step].to(self.device.device)).tolist()
            yield from zip(rows, drawn, strict=True)
            alive = [i for i, token in enumerate(drawn) if token not in self.stop]
            if not alive:
                return
            if len(alive) < len(rows):
                cache.keep(torch.tensor(alive, device=self.device.device))
                rows = [rows[i] for i in alive]
            block = torch.tensor([[drawn[i]] for i in alive], device=self.device.device)

    def _forward(self, block: Tensor, cache: BatchCache) -> Tensor:
        """Logits after the last column of `block`: float32 [rows, V]."""
        columns = block.shape[1]
        hidden = self.model.hidden(
            block, positions=cache.positions(columns), mask=cache.mask(columns), cache=cache
        )
        cache.advance(columns)
        return self.model.readout(hidden[:, -1:])[:, 0].float()

    def _check(self, prompts: Sequence[Sequence[int]]) -> None:
        context = self.model.config.context
        for prompt in prompts:
            if not prompt:
                raise InputError("a prompt is empty: give at least one token.")
            if len(prompt) >= context:
                raise InputError(
                    f"a prompt has {len(prompt)} tokens, and the model's context holds {context}: "
                    "shorten it."
                )


def _uniform_draws(rows: int, columns: int, seed: int) -> Tensor:
    """Uniform numbers [rows, columns], each row a stream of its own (seed, row)."""
    generators = (torch.Generator().manual_seed(derive_seed(seed, row)) for row in range(rows))
    draws = [torch.rand(columns, dtype=torch.float64, generator=g) for g in generators]
    return torch.stack(draws) if draws else torch.empty(0, columns, dtype=torch.float64)
