"""Which ways to lay a training over many GPUs fit, and how fast each would be, by the costs of
`scaling.cluster`."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from groundup.core.errors import InputError
from groundup.models import Decoder
from groundup.models.llama import llama
from groundup.scaling.accelerators import Accelerator
from groundup.scaling.cluster import Composition, Estimate, check, estimate, size_of

_DAY = 86_400
_SHORTEST_PIECE = 4096  # tokens of a sequence that a GPU has in context parallel
_USABLE = 0.92  # of a GPU's memory: the rest is the driver's, the libraries' and fragments


def compositions(
    model: Decoder, tokens: int, gpus: int, accelerator: Accelerator, sequences: int
) -> Iterator[Composition]:
    """The ways to lay a step of so many sequences over the GPUs, in powers of two. Tensor parallel
    within a machine; context parallel down to pieces of a sequence that keep attention busy."""
    for tensor, pipeline, context in itertools.product(
        _powers(accelerator.per_machine), _powers(64), _powers(max(1, tokens // _SHORTEST_PIECE))
    ):
        readers, rest = divmod(gpus, tensor * pipeline * context)
        if rest or not readers or sequences % readers:
            continue
        own = sequences // readers
        for replicas, rows, recompute in itertools.product(
            _powers(readers), _powers(16), ("nothing", "half", "blocks")
        ):
            if readers % replicas:
                continue
            micro_batches, rest = divmod(own, rows)
            if rest or (pipeline > 1 and micro_batches < pipeline):
                continue
            for interleaved in (1, 2) if pipeline > 1 else (1,):
                composition = Composition(
                    shard=readers // replicas,
                    replicas=replicas,
                    tensor=tensor,
                    pipeline=pipeline,
                    context=context,
                    interleaved=interleaved,
                    micro_batches=micro_batches,
                    rows=rows,
                    recompute=recompute,
                )
                try:
                    check(model, tokens, composition)
                except InputError:
                    continue
                yield composition


def plan_cluster(
    model: Decoder,
    tokens: int,
    gpus: int,
    accelerator: Accelerator,
    *,
    sequences: int,
    eight_bits: bool = False,
    fixed: Mapping[str, int | str] | None = None,
) -> list[Estimate]:
    """All compositions that fit in memory, fastest first.

    tokens: of a sequence. sequences: of a step. fixed: fields of `Composition` that are not to be
    chosen. Raises `InputError` where none fits.
    """
    fixed = fixed or {}
    found = [
        estimate(model, tokens, replace(c, eight_bits=eight_bits), accelerator)
        for c in compositions(model, tokens, gpus, accelerator, sequences)
        if all(getattr(c, name) == value for name, value in fixed.items())
    ]
    if not found:
        told = ", ".join(f"{name}={value}" for name, value in fixed.items()) or "any way"
        raise InputError(
            f"{sequences} sequences of {tokens} tokens cannot be laid over {gpus} GPUs with "
            f"{told}: choose sizes that divide them."
        )
    fitting = [e for e in found if e.memory.total <= _USABLE * accelerator.memory]
    if not fitting:
        least = min(e.memory.total for e in found)
        raise InputError(
            f"nothing fits: of {len(found)} ways to lay {sequences} sequences of {tokens} tokens "
            f"over {gpus} GPUs the smallest takes {least / 1e9:.0f} GB of each, which has "
            f"{accelerator.memory / 1e9:.0f}: give more GPUs, or another number of sequences."
        )
    return sorted(fitting, key=lambda e: e.seconds.total)


def summarize(
    model: Decoder, plans: list[Estimate], accelerator: Accelerator, tokens: float | None
) -> dict[str, Any]:
    """As JSON. tokens: of the whole training, where its days are asked for."""
    return {
        "weights": size_of(model),
        "layers": model.depth,
        "width": model.width,
        "gpu": asdict(accelerator),
        "plans": [
            {
                **asdict(plan),
                "gpus": plan.composition.gpus,
                "step_seconds": plan.seconds.total,
                "memory_bytes": plan.memory.total,
                "here": plan.composition.here,
                "tokens_per_second_per_gpu": plan.tokens_per_second,
                "days": tokens and tokens / plan.tokens * plan.seconds.total / _DAY,
            }
            for plan in plans
        ],
    }


def llama_of(parameters: float) -> Decoder:
    """A decoder with about so many weights, at least 5e8, and nearly the proportions of Llama 3:
    of the widths with a depth that gives that many, the one that is nearest to 115 times it."""
    found = []
    for width in range(512, 65_537, 256):
        heads = width // 128
        model = llama(
            vocab_size=128_256,
            context=8192,
            width=width,
            depth=1,
            heads=heads,
            kv_heads=math.gcd(heads, 8),
            hidden=round(3.5 * width / 256) * 256,
        )
        outside = 2 * width * model.vocab_size
        depth = round((parameters - outside) / (size_of(model) - outside))
        if depth >= 2:
            found.append((abs(math.log(width / depth / 115)), replace(model, depth=depth)))
    return min(found, key=lambda pair: pair[0])[1]


def _powers(most: int) -> Iterator[int]:
    return (2**i for i in range(most.bit_length()) if 2**i <= most)
