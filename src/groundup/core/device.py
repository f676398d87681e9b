"""Devices and number formats: chosen once, at the top, and passed down as arguments.

On a CPU three things outside of PyTorch decide how fast a training step is: the number of
threads, the allocator's habit of giving memory back to the kernel (every fresh page costs a
fault, which made large outputs 3 to 4 times slower where it was measured), and whether the
matrix units take bfloat16.
"""

import ctypes
import os
import sys
from dataclasses import dataclass
from typing import Literal

import torch

from groundup.core.errors import InputError

# glibc's mallopt parameters (malloc.h)
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


Format = Literal["auto", "float32", "tf32", "bfloat16", "float16"]

_FORMATS = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Device:
    """Where tensors live and what matrix products are computed in.

    compute_dtype: the format under autocast; weights and optimizer state stay in float32.
    """

    device: torch.device
    compute_dtype: torch.dtype

    def autocast(self) -> torch.autocast:
        """The context of a forward pass; with float32 it does nothing."""
        return torch.autocast(
            self.device.type,
            dtype=self.compute_dtype if self.compute_dtype != torch.float32 else torch.bfloat16,
            enabled=self.compute_dtype != torch.float32,
        )


def select_device(device: str = "auto", dtype: Format = "auto") -> Device:
    """Resolve `auto`: a GPU where there is one, bfloat16 where the hardware multiplies it.

    device: "auto", "cpu", "cuda", "cuda:1", "mps".
    dtype: of matrix products. "tf32" is float32 with products of 11 significant bits, on NVIDIA
    GPUs; that is a setting of the whole process. "float16" needs the loss to be scaled.
    Raises `InputError` for tf32 elsewhere, and for a GPU where there is none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{device} needs a GPU that CUDA knows, and there is none: choose cpu.")
    if chosen == torch.device("cuda") and "LOCAL_RANK" in os.environ:  # one of several processes
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    if dtype == "auto":
        dtype = "bfloat16" if _multiplies_bfloat16(chosen) else "float32"
    if chosen.type == "cuda":
        torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
    elif dtype == "tf32":
        raise InputError(f"tf32 is a format of NVIDIA GPUs, and {chosen} is none: choose float32.")
    return Device(chosen, _FORMATS[dtype])


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # Emulated bfloat16 is slower than float32; AMX and AVX512-BF16 are the units that pay.
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return False


def tune_cpu(threads: int | None = None) -> None:
    """Keep freed memory in the process (glibc only), and set PyTorch's thread count.

    threads: None takes the number of processors that this process may run on, shared with those
    that `torchrun` launched beside it.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(_M_MMAP_MAX, 0)
            libc.mallopt(_M_TRIM_THRESHOLD, -1)
            libc.mallopt(_M_TOP_PAD, 64 << 20)
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if threads is None and hasattr(os, "sched_getaffinity"):
        threads = max(1, len(os.sched_getaffinity(0)) // beside)
    torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) // beside))
