"""How much memory a cache may take, and how many positions that holds."""

import torch

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.core.memory import available_bytes
from groundup.infer.cache import PAGE, position_bytes
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


def cache_positions(model: DecoderModel, device: Device, rows: int, memory: int | None) -> int:
    """How many positions a cache of so many bytes holds, for so many texts; None: of a quarter of
    what is free. Raises `InputError` where that is less than one text."""
    config = model.config
    all_of_them = rows * -(-config.context // PAGE) * PAGE
    each = position_bytes(config, device.compute_dtype)
    if memory is None:
        memory = cache_memory(device)
    elif memory < one_context(model, device):
        raise InputError(
            f"a cache of {memory:,} bytes does not hold one text as long as the context, which "
            f"takes {one_context(model, device):,}: give it more."
        )
    return min(all_of_them, memory // each) if each else all_of_them
