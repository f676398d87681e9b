"""Whether a device has kernels in Triton to run."""

from importlib.util import find_spec

import torch


def has_kernels(device: torch.device) -> bool:
    """On a GPU, where Triton is installed; on Linux PyTorch's builds for CUDA bring it along."""
    return device.type == "cuda" and find_spec("triton") is not None
