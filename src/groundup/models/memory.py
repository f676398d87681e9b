"""How much memory a model's training takes, without a byte of it: the model is built, and run
forward, with tensors that have shapes and formats but no numbers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from groundup.kernels.cpu import without_core
from groundup.layers import GLU, Implementation, MoE
from groundup.models.bert import BERTModel
from groundup.models.decoder import Decoder, in_turn
from groundup.models.encoder_decoder import EncoderDecoderModel
from groundup.models.families import Architecture, Model, module_of
from groundup.models.recompute import Recompute
from groundup.models.seq2seq import Seq2SeqModel


class OptimizerConfig(Protocol):
    """What builds an optimizer's state, as the configs of `groundup.optim` do."""

    def build(self, parameters: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class TrainingMemory:
    """In bytes. weights, gradients: float32, whatever the activations are, or what is asked for.

    activations: what the forward pass keeps for the backward pass, under autocast with the weights
    in its format.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All at once, as at the end of a forward pass after the first step."""
        return self.weights + self.gradients + self.optimizer + self.activations


def parameter_count(config: Architecture) -> int:
    """Number of weights, a tied matrix counted once; of any size, in milliseconds."""
    with torch.device("meta"):
        model = module_of(config)
    return sum(parameter.numel() for parameter in model.parameters())


def training_memory(
    config: Architecture,
    *,
    batch: int,
    tokens: int,
    source_tokens: int | None = None,
    optimizer: OptimizerConfig,
    dtype: torch.dtype = torch.float32,
    weights_dtype: torch.dtype = torch.float32,
    recompute: Recompute = "nothing",
    on_gpu: bool = False,
) -> TrainingMemory:
    """The memory of training on `batch` sequences of `tokens` tokens each, not compiled.

    source_tokens: of each source, for models that read one beside the target. dtype: of autocast;
    with float32 there is none. weights_dtype: of weights and gradients. recompute: what the
    backward pass of a language model computes anew. on_gpu: with the operations that training takes
    there, not those that it takes on a CPU. Of BERT's tokens 15 % are masked. Where experts are,
    each is counted as if it had its even share of the tokens: the load decides, and it is not known
    beforehand.
    """
    autocast = dtype != torch.float32
    attention: Implementation = "sdpa" if on_gpu else "blockwise"
    with torch.device("meta"), _default_dtype(weights_dtype):
        model = module_of(config)
        state = optimizer.build(dict(model.named_parameters())).tensors()
    # The meta device knows no autocast. Tensors that only pretend to be on the CPU do, but their
    # operations take ten times as long.
    with (
        FakeTensorMode() if autocast else torch.device("meta"),
        without_core() if on_gpu else nullcontext(),
    ):
        with _default_dtype(weights_dtype):
            model = module_of(_dense(config, autocast=autocast))
        with torch.autocast("cpu", dtype, enabled=autocast):
            activations = bytes_saved(
                model, lambda: _loss(model, batch, tokens, source_tokens, recompute, attention)
            )
    weights = weights_dtype.itemsize * parameter_count(config)
    return TrainingMemory(
        weights=weights,
        gradients=weights,
        optimizer=sum(tensor.numel() * tensor.element_size() for tensor in state.values()),
        activations=activations,
    )


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """A context in which modules are made with weights of this format."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def bytes_saved(model: nn.Module, forward: Callable[[], object]) -> int:
    """Bytes of what autograd saves in a forward pass of the model, each storage once, the
    parameters left out."""
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    saved: dict[int, int] = {}
    alive: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            saved[storage._cdata] = storage.nbytes()
            alive.append(tensor)  # or another storage could take its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    return sum(saved.values())


def _loss(
    model: Model,
    batch: int,
    tokens: int,
    source_tokens: int | None,
    recompute: Recompute,
    attention: Implementation,
) -> Tensor:
    ids = torch.zeros(batch, tokens, dtype=torch.int64)
    if isinstance(model, BERTModel):
        predictions = model(ids, implementation=attention)
        masked = max(1, round(0.15 * ids.numel()))  # which they are, does not matter here
        logits = predictions.tokens.flatten(0, 1)[:masked]
        return F.cross_entropy(logits.float(), ids.flatten()[:masked])
    if isinstance(model, EncoderDecoderModel | Seq2SeqModel):
        if source_tokens is None:
            raise ValueError("source_tokens must be given for a model that reads a source")
        source = torch.zeros(batch, source_tokens, dtype=torch.int64)
        if isinstance(model, Seq2SeqModel):
            return model.losses(source, ids).sum()
        return model.losses(source, ids, implementation=attention).sum()
    return model.losses(ids, ids, implementation=attention, recompute=recompute).sum()


def _dense(config: Architecture, *, autocast: bool) -> Architecture:
    """The config with a plain MLP of as many active units in place of each mixture. Without
    autocast, the residual stream is in the model's format anyway."""
    if not isinstance(config, Decoder):
        return config
    layers = [config.mlp_of(layer) for layer in range(config.depth)]
    dense = [
        GLU(hidden=mlp.active * mlp.hidden + mlp.shared) if isinstance(mlp, MoE) else mlp
        for mlp in layers
    ]
    residual = config.residual if autocast else "float32"
    return replace(config, mlp=in_turn(dense), residual=residual)
