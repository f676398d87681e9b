"""How much memory a model's training takes, without a byte of it: the model is built, and run
forward, on torch's "meta" device, where tensors have shapes and formats but no numbers.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from groundup.layers import GLU, MoE
from groundup.models.decoder import Decoder, in_turn
from groundup.models.families import Architecture, module_of
from groundup.models.recurrent import RecurrentLM


class OptimizerConfig(Protocol):
    """What builds an optimizer's state, as the configs of `groundup.optim` do."""

    def build(self, parameters: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class TrainingMemory:
    """In bytes. weights, gradients, optimizer: float32, whatever the activations are.

    activations: what the forward pass keeps for the backward pass.
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
    config: Decoder | RecurrentLM,
    *,
    batch: int,
    tokens: int,
    optimizer: OptimizerConfig,
    dtype: torch.dtype = torch.float32,
) -> TrainingMemory:
    """The memory of training on `batch` sequences of `tokens` tokens each, not compiled.

    dtype: of the activations; with another one than float32, autocast keeps a copy of the weights
    in it, which is counted with them. Where experts are, each is counted as if it had its even
    share of the tokens: the load decides, and it is not known beforehand.
    """
    with torch.device("meta"):
        model = module_of(_dense(config))
        state = optimizer.build(dict(module_of(config).named_parameters())).tensors()
    model = model.to(dtype)
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
            alive.append(tensor)  # or another storage could take its place
        return tensor

    alive: list[Tensor] = []
    ids = torch.zeros(batch, tokens, dtype=torch.int64, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.losses(ids, ids, implementation="blockwise").sum()  # pyright: ignore
    weights = 4 * parameter_count(config)
    copies = 0 if dtype == torch.float32 else dtype.itemsize * parameter_count(config)
    return TrainingMemory(
        weights=weights,
        gradients=weights,
        optimizer=sum(tensor.numel() * tensor.element_size() for tensor in state.values()),
        activations=sum(kept.values()) + copies,
    )


def _dense(config: Decoder | RecurrentLM) -> Decoder | RecurrentLM:
    """The config with a plain MLP of as many active units in place of each mixture. The residual
    stream is left in the model's format: on this device there is no autocast to ask."""
    if isinstance(config, RecurrentLM):
        return config
    layers = [config.mlp_of(layer) for layer in range(config.depth)]
    dense = [
        GLU(hidden=mlp.active * mlp.hidden + mlp.shared) if isinstance(mlp, MoE) else mlp
        for mlp in layers
    ]
    return replace(config, mlp=in_turn(dense), residual="float32")
