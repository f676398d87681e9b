"""How many of a step's rows are computed at once: as many as keep the device busy and fit into it.

A processor is busy with the rows that the planner takes. A GPU would wait between them: each of a
layer's kernels must be launched, whatever its size.
"""

import dataclasses

import torch

from groundup.core.device import Device
from groundup.core.memory import available_bytes
from groundup.models import Decoder, RecurrentLM
from groundup.models.memory import TrainingMemory, training_memory
from groundup.train.pretrain import Pretrain

# Tokens of a micro-batch from where on a GPU gains little.
_ENOUGH_TOKENS = 1 << 15
# The share of the free memory that a step is planned to take: beside what is predicted there are
# gradients of activations, workspaces, and pieces that do not fit.
_SHARE = 0.5


def predicted_memory(
    config: Pretrain, model: Decoder | RecurrentLM, device: Device
) -> TrainingMemory:
    """Of one micro-batch, by the config alone."""
    return training_memory(
        model,
        batch=config.batch,
        tokens=model.context,
        optimizer=config.whole_optimizer,
        dtype=device.compute_dtype,
        weights_dtype=config.weights_dtype,
        recompute=config.recompute,
        on_gpu=device.device.type == "cuda",
    )


def free_memory(device: Device) -> int | None:
    """Bytes; None where the system does not tell."""
    on_gpu = device.device.type == "cuda"
    return torch.cuda.mem_get_info(device.device)[0] if on_gpu else available_bytes()


def few_micro_batches(
    config: Pretrain, model: Decoder | RecurrentLM, device: Device, free: int | None
) -> Pretrain:
    """The same steps; on a GPU in fewer and larger micro-batches. free: bytes of its memory."""
    if device.device.type != "cuda" or free is None:
        return config
    while config.accumulation % 2 == 0 and config.batch * model.context < _ENOUGH_TOKENS:
        larger = dataclasses.replace(
            config, batch=2 * config.batch, accumulation=config.accumulation // 2
        )
        if predicted_memory(larger, model, device).total > _SHARE * free:
            break
        config = larger
    return config
