"""How much memory a cache may take, and how many positions that holds."""

import torch

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.core.memory import available_bytes
from groundup.infer.cache import PAGE, position_bytes
from groundup.layers import GatedDelta, Mamba2
from groundup.models import DecoderModel

_SHARE = 4  # of the memory that is free, a cache takes one part of so many at the most


def cache_memory(device: Device) -> int:
    """A quarter of what is free, in bytes; 1 GiB where that is not told."""
    if device.device.type == "cuda":
        return torch.cuda.mem_get_info(device.device)[0] // _SHARE
    return (available_bytes() or _SHARE << 30) // _SHARE


def one_context(model: DecoderModel, device: Device) -> int:
    """Bytes of the keys and values of one text as long as the context."""
    return model.config.context * position_bytes(model.config, device.compute_dtype)


def affordable_rows(model: DecoderModel, device: Device, rows: int, memory: int | None) -> int:
    """How many texts may be computed together, at most `rows`: where layers carry a state, those of
    all of them may take half of a cache's memory. Raises `InputError` where not one fits."""
    each = state_bytes(model)
    if not each:
        return rows
    most = (cache_memory(device) if memory is None else memory) // (2 * each)
    if most < 1:
        raise InputError(
            f"the state of one text takes {each:,} bytes, and may take half of a cache's memory: "
            "give it more."
        )
    return min(rows, most)


def state_bytes(model: DecoderModel) -> int:
    """Of a text's states, in float32 at the most."""
    mixers = (model.config.attention_of(layer) for layer in range(model.config.depth))
    return sum(4 * m.carried for m in mixers if isinstance(m, Mamba2 | GatedDelta))


def cache_positions(model: DecoderModel, device: Device, rows: int, memory: int | None) -> int:
    """How many positions a cache of so many bytes holds, for so many texts, beside their states;
    None: of a quarter of what is free. Raises `InputError` where that is less than one text."""
    config = model.config
    all_of_them = rows * -(-config.context // PAGE) * PAGE
    each, states = position_bytes(config, device.compute_dtype), rows * state_bytes(model)
    if memory is None:
        memory = cache_memory(device) - states
    elif (memory := memory - states) < one_context(model, device):
        raise InputError(
            f"a cache of {memory:,} bytes does not hold one text as long as the context, which "
            f"takes {one_context(model, device):,}: give it more."
        )
    return min(all_of_them, memory // each) if each else all_of_them
