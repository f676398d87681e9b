"""Tensors in a file: safetensors, written atomically. No pickle is read or written."""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from groundup.core.files import atomic_file

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def write_tensors(
    path: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    durable: bool = True,
) -> None:
    """Replace `path` by the tensors; an operating-system error stays one and names the file.

    durable: as in `core.files.atomic_file`.
    """
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with atomic_file(path, durable=durable) as file:
        try:
            save_file(whole, file.name, metadata=dict(metadata) if metadata else None)
        except SafetensorError as error:
            if not (number := _OS_ERROR.search(str(error))):
                raise
            raise OSError(int(number[1]), str(error), str(path)) from error
