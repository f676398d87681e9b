"""What a training would take on many GPUs: memory, communication and time of a step, from a model's
config and how it is laid over the GPUs. Nothing is run.

A GPU's time is that of its operations one after the other, each at the rate that large ones attain:

    matrix products      FLOPs over the matrix rate: forward, twice that backward, and what is
                         computed anew
    attention            FLOPs of the pairs that are seen, at rates of its own
    the rest             bytes read and written over the memory's rate (`_Passes`)
    optimizer            28 bytes a weight of its share (Adam's: weight, gradient, two moments)

and of what it waits for:

    tensor parallel      four gathers or scatters of a block's activations forward, and four
                         backward (Korthikanti et al. 2022, section 4.2.2); nothing hides them
    sharded weights      gathered before a block's forward and backward pass, gradients summed after
                         it (`parallel.fully_sharded`), as far as the block's own work is shorter;
                         in a pipeline once a step
    pipeline             (p − 1)/(v · m) of the rest: p stages, v of each GPU's, m micro-batches
                         (Narayanan et al. 2021, "Efficient large-scale language model training on
                         GPU clusters", section 2.2)
    replicas             a sum of gradients, once a step; nothing hides it
    what is passed on    keys and values that go round, and what stages give each other: hidden,
                         where a device can send while it computes

Rings are as fast as a GPU's slowest link in them. Checked against published measurements in
docs/benchmarks/cluster.md.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from groundup.core.errors import InputError
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, training_flops
from groundup.models.flops import matrix_parameters
from groundup.scaling.accelerators import Accelerator

Recomputed = Literal["nothing", "half", "blocks"]

_FLOAT32 = 4
_ADAM_STEP = 28  # bytes read and written for a weight


@dataclass(frozen=True, kw_only=True)
class Composition:
    """How a training is laid over shard · tensor · pipeline · context · replicas GPUs.

    shard: processes that keep a share of weights, gradients and optimizer each (ZeRO-3). replicas:
    of all that, whose gradients are summed. interleaved: stages that a GPU has of the pipeline.
    micro_batches: of a step, in each pipeline. rows: sequences of a micro-batch. recompute: of a
    block's forward pass in the backward pass; "half" keeps the results of attention and of every
    other matrix product.
    compiled: element-wise operations are fused. eight_bits: products of the blocks' matrices.
    """

    shard: int = 1
    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    replicas: int = 1
    interleaved: int = 1
    micro_batches: int = 1
    rows: int = 1
    recompute: Recomputed = "nothing"
    compiled: bool = True
    eight_bits: bool = False

    @property
    def gpus(self) -> int:
        return self.sharing * self.tensor * self.pipeline * self.replicas

    @property
    def sharing(self) -> int:
        """GPUs that have a share each of the same weights: context parallel ones, too."""
        return self.shard * self.context

    @property
    def here(self) -> bool:
        """Whether `groundup train` can lay a training so."""
        shares = self.sharing > 1
        whole = self.pipeline == self.replicas == 1
        theirs = self.eight_bits or self.interleaved > 1 or self.recompute == "half"
        return (whole or not shares) and not theirs


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """Of a step, in the GPU that takes longest."""

    matrices: float
    attention: float
    elementwise: float
    optimizer: float
    tensor: float
    shard: float
    replicas: float
    passed_on: float
    pipeline: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Bytes that a GPU sends in a step, by what they are for; on rings, by one in the middle of a
    pipeline. The embedding's and the head's, which are few, are not among those of tensor."""

    tensor: float
    shard: float
    context: float
    pipeline: float
    replicas: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())


@dataclass(frozen=True, kw_only=True)
class Bytes:
    """Of the memory of a GPU. gathered: whole weights of the blocks that compute, and gradients."""

    weights: float
    gradients: float
    optimizer: float
    gathered: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Of a step. tokens: of all GPUs together. utilisation: the share of the time that the useful
    FLOPs would take at the rate of matrix products."""

    composition: Composition
    seconds: Seconds
    sent: Sent
    memory: Bytes
    tokens: int
    utilisation: float

    @property
    def tokens_per_second(self) -> float:
        """Of one GPU."""
        return self.tokens / self.seconds.total / self.composition.gpus


class _Passes(NamedTuple):
    """Bytes that element-wise operations move for each channel of the residual stream, and for each
    inner unit of the MLP, of a token in a block; in bfloat16."""

    channel: float
    unit: float


# Forward: two norms and residual additions, the rotation of queries and keys, the gate. Operation
# by operation, norms and rotations go through float32 (24 bytes a norm); compiled, each group reads
# its inputs and writes its outputs once. Backward is about twice as much.
_PLAIN = (_Passes(93, 10), _Passes(186, 20))
_FUSED = (_Passes(21, 6), _Passes(25, 10))
# Scaling to 8 bits: an operand is read for its largest number, read again, and written.
_EIGHT_BITS = (_Passes(15, 5), _Passes(15, 10))
_LOGIT_BYTES = {False: 30, True: 14}  # that the loss moves for each logit; compiled


def estimate(
    model: Decoder, tokens: int, composition: Composition, accelerator: Accelerator
) -> Estimate:
    """What a step takes on sequences of `tokens` tokens.

    Raises `InputError` where the composition does not fit the model.
    """
    check(model, tokens, composition)
    c, gpu = composition, accelerator
    block, head = _block(model, tokens, c, gpu), _head(model, tokens, c, gpu)
    depth = math.ceil(model.depth / c.pipeline)
    per_micro_batch = {
        part: depth * getattr(block, part) + getattr(head, part)
        for part in ("matrices", "attention", "elementwise", "tensor", "shard")
    }
    work = {part: seconds * c.micro_batches for part, seconds in per_micro_batch.items()}
    if c.pipeline > 1:  # gathered and summed once
        work["shard"] /= c.micro_batches
    stage = sum(work.values())
    idle = stage * (c.pipeline - 1) / (c.interleaved * c.micro_batches)
    weights = size_of(model) / (c.tensor * c.pipeline)
    optimizer = weights / c.sharing * _ADAM_STEP / gpu.bandwidth
    sent = _sent(model, tokens, c, gpu)
    rate = gpu.link if c.gpus <= gpu.per_machine else gpu.network
    seconds = Seconds(
        **work,
        optimizer=optimizer,
        replicas=sent.replicas / rate,
        passed_on=0.0 if gpu.overlaps else (sent.context + sent.pipeline) / rate,
        pipeline=idle,
    )
    sequences = c.rows * c.micro_batches * c.shard * c.replicas
    step_tokens = sequences * tokens
    return Estimate(
        composition=c,
        seconds=seconds,
        sent=sent,
        memory=_memory(model, tokens, c, gpu),
        tokens=step_tokens,
        utilisation=_useful_seconds(model, tokens, c, gpu) * sequences / c.gpus / seconds.total,
    )


def check(model: Decoder, tokens: int, composition: Composition) -> None:
    """Raises `InputError` where a model cannot be laid out so."""
    c = composition
    attention = model.attention_of(0)
    if not isinstance(attention, GroupedQuery) or not isinstance(model.mlp_of(0), GLU):
        raise InputError("only decoders with grouped-query attention and a gated MLP are planned.")
    parts = {
        f"{attention.heads} heads": (attention.heads, c.tensor),
        f"a sequence of {tokens} tokens": (tokens, c.context * c.tensor),
    }
    for what, (size, gpus) in parts.items():
        if size % gpus:
            raise InputError(f"{what} cannot be shared by {gpus} GPUs: choose a divisor of {size}.")
    if c.pipeline * c.interleaved > model.depth:
        raise InputError(
            f"{c.pipeline * c.interleaved} stages are more than the model's {model.depth} layers."
        )


class _Part(NamedTuple):
    """Seconds of a micro-batch: of one block, or of what stands above the last."""

    matrices: float
    attention: float
    elementwise: float
    tensor: float
    shard: float


def _block(model: Decoder, tokens: int, c: Composition, gpu: Accelerator) -> _Part:
    D, own = model.width, c.rows * tokens / c.context / c.tensor  # its share of the micro-batch
    weights = (matrix_parameters(model) - D * model.vocab_size) / model.depth
    anew = {"nothing": 0.0, "half": 0.5, "blocks": 1.0}[c.recompute]

    product = 2 * weights * own / (gpu.matrix8 if c.eight_bits else gpu.matrix)
    # The fused operation computes its scores anew in the backward pass: 5 products where it was 2.
    scores = model.attention_of(0).mixing_flops(tokens, causal=True) / tokens * own
    attention = scores * (1 + (c.recompute == "blocks")) / gpu.attention
    attention += 2.5 * scores / gpu.attention_backward

    forward, backward = (_elementwise(model, c, passes) * own / gpu.bandwidth for passes in (0, 1))
    elementwise = forward * (1 + (c.recompute != "nothing")) + backward

    first = product + scores / gpu.attention + forward
    second = (2 + anew) * product + attention - scores / gpu.attention + elementwise - forward
    return _Part(
        matrices=(3 + anew) * product,
        attention=attention,
        elementwise=elementwise,
        tensor=_tensor_bytes(model, tokens, c, gpu) / gpu.link,
        shard=_exposed(weights / c.tensor, first, second, c, gpu),
    )


def _elementwise(model: Decoder, c: Composition, backward: int) -> float:
    """Bytes that a token moves in a block, forward (0) or backward (1)."""
    mlp = model.mlp_of(0)
    assert isinstance(mlp, GLU)
    kinds = [(_FUSED if c.compiled else _PLAIN)[backward]]
    if c.eight_bits:
        kinds.append(_EIGHT_BITS[backward])
    return sum(kind.channel * model.width + kind.unit * mlp.hidden for kind in kinds)


def _exposed(
    weights: float, forward: float, backward: float, c: Composition, gpu: Accelerator
) -> float:
    """What a block's own work of so many seconds does not hide of its weights' way.

    In a pipeline nothing is hidden: they come before the first micro-batch, and gradients go after
    the last one.
    """
    rate = gpu.link if c.sharing * c.tensor <= gpu.per_machine else gpu.network
    ring = _ring(c.sharing) / rate
    gather, scatter = ring * weights * gpu.number, ring * weights * _FLOAT32
    if c.pipeline > 1:
        return gather + scatter
    if not gpu.overlaps:
        return 2 * gather + scatter
    return max(0.0, gather - forward) + max(0.0, gather + scatter - backward)


def _ring(members: int) -> float:
    """The share of an array that a GPU sends while its parts go round once."""
    return (members - 1) / members


def _tensor_bytes(model: Decoder, tokens: int, c: Composition, gpu: Accelerator) -> float:
    """Of a block, in a micro-batch: gathers and scatters of its activations."""
    activations = c.rows * tokens / c.context * model.width * gpu.number
    exchanges = 8 + 4 * (c.recompute == "blocks")
    return exchanges * _ring(c.tensor) * activations


def _sent(model: Decoder, tokens: int, c: Composition, gpu: Accelerator) -> Sent:
    depth = math.ceil(model.depth / c.pipeline)
    weights = size_of(model) / (c.tensor * c.pipeline)
    passes = 1 if c.pipeline > 1 else c.micro_batches
    gathers = 1 if c.pipeline > 1 else 2
    attention = model.attention_of(0)
    assert isinstance(attention, GroupedQuery)
    own = c.rows * tokens / c.context
    numbers = own * 2 * attention.kv_heads / c.tensor * attention.head_width
    round_once = (c.context - 1) * numbers * gpu.number
    gradients = c.context * numbers * _FLOAT32 if c.context > 1 else 0.0
    again = 1 + (c.recompute == "blocks")
    stream = own / c.tensor * model.width * gpu.number
    return Sent(
        tensor=depth * c.micro_batches * _tensor_bytes(model, tokens, c, gpu),
        shard=passes * _ring(c.sharing) * weights * (gathers * gpu.number + _FLOAT32),
        context=depth * c.micro_batches * ((1 + again) * round_once + gradients),
        pipeline=2 * c.interleaved * c.micro_batches * stream if c.pipeline > 1 else 0.0,
        replicas=2 * _ring(c.replicas) * weights / c.sharing * _FLOAT32,
    )


def _head(model: Decoder, tokens: int, c: Composition, gpu: Accelerator) -> _Part:
    """Of the head and the loss, which the last stage has."""
    logits = model.vocab_size * c.rows * tokens / c.context / c.tensor
    matrices = 6 * model.width * logits / gpu.matrix
    return _Part(matrices, 0.0, _LOGIT_BYTES[c.compiled] * logits / gpu.bandwidth, 0.0, 0.0)


def _useful_seconds(model: Decoder, tokens: int, c: Composition, gpu: Accelerator) -> float:
    """Of a sequence on one GPU, if it did nothing but products, each once."""
    blocks = matrix_parameters(model) - model.width * model.vocab_size
    fast = 6 * blocks * tokens
    rest = training_flops(model, tokens) - fast
    return fast / (gpu.matrix8 if c.eight_bits else gpu.matrix) + rest / gpu.matrix


def _memory(model: Decoder, tokens: int, c: Composition, gpu: Accelerator) -> Bytes:
    D, own = model.width, c.rows * tokens / c.context / c.tensor
    mlp = model.mlp_of(0)
    assert isinstance(mlp, GLU)
    everything = size_of(model) / (c.tensor * c.pipeline)
    share = everything / c.sharing
    depth = math.ceil(model.depth / c.pipeline)
    block = (matrix_parameters(model) - D * model.vocab_size) / model.depth / c.tensor
    # Of a token in a block: the residual stream twice, both norms' outputs, queries, keys and
    # values before and after rotation, what attention reads, and four arrays of inner units.
    whole = gpu.number * own * (8 * D + 4 * mlp.hidden)
    kept = {"nothing": whole, "half": whole / 2, "blocks": gpu.number * own * D}[c.recompute]
    in_flight = min(c.micro_batches, c.pipeline) * (1 + (c.interleaved > 1) / c.interleaved)
    # A pipeline keeps a stage's weights and the sums of its gradients whole for a step.
    gathered = everything if c.pipeline > 1 else 2 * block
    summed = everything if c.pipeline > 1 else block
    return Bytes(
        weights=_FLOAT32 * share,
        gradients=_FLOAT32 * share,
        optimizer=2 * _FLOAT32 * share,
        gathered=gpu.number * gathered + _FLOAT32 * summed if c.sharing > 1 else 0.0,
        activations=depth * kept * in_flight + (whole - kept),
        logits=12 * model.vocab_size * own,  # bfloat16, float32, and the gradients of both
    )


def size_of(model: Decoder) -> int:
    """Weights of matrices, the embedding's among them; the rest is nothing beside them."""
    return matrix_parameters(model) + (0 if model.tied else model.width * model.vocab_size)
