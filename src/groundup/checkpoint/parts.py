"""Tensors in parts: every process of a training writes what it alone holds, and reads what it
needs, by the names of `parallel.share`.

    optimizer.safetensors                   of one process
    optimizer-00002-of-00004.safetensors    of the second of four

A tensor is named as in one process, and a part of one with its rows, as in
`first.embedding.weight[0:512]`. Since the names say which rows they are, it does not matter how
many processes wrote them.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from groundup.core.errors import ArtifactError

_ROWS = re.compile(r"(.*)\[(\d+):\d+\]")


def part_file(stem: str, rank: int, size: int) -> str:
    """The name of what a process writes. stem: `optimizer`, or `model`. size: how many write."""
    return f"{stem}{'' if size == 1 else f'-{rank + 1:05d}-of-{size:05d}'}.safetensors"


def read_parts(
    directory: Path, stem: str, wanted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], set[str]]:
    """The saved values of `wanted`, as far as all their rows are there; and the names of all whole
    tensors that were saved.

    wanted: live tensors by name. Raises `ArtifactError` where there are none, or a file cannot be
    read.
    """
    paths = sorted(directory.glob(f"{stem}*.safetensors"))
    if not paths:
        path = directory / part_file(stem, 0, 1)
        raise ArtifactError(f"{path} does not exist: this model was not saved to go on.")
    saved: dict[str, list[_Saved]] = defaultdict(list)
    with ExitStack() as stack:
        for path in paths:
            try:
                file = stack.enter_context(safe_open(path, framework="pt"))
            except SafetensorError as error:
                raise ArtifactError(
                    f"{path} is not a readable safetensors file ({error})."
                ) from error
            for key in file.keys():  # noqa: SIM118
                name, first = _split(key)
                saved[name].append(_Saved(first, key, file))
        found = {key: _assembled(key, tensor, saved) for key, tensor in wanted.items()}
    return {key: tensor for key, tensor in found.items() if tensor is not None}, set(saved)


class _Saved(NamedTuple):
    """A tensor of a file that begins with row `first` of the whole one."""

    first: int
    key: str
    file: Any


def _split(key: str) -> tuple[str, int]:
    """The name of the whole tensor, and which row of it a part begins with."""
    match = _ROWS.fullmatch(key)
    return (match[1], int(match[2])) if match else (key, 0)


def _assembled(key: str, like: Tensor, saved: Mapping[str, list[_Saved]]) -> Tensor | None:
    """The rows of `like`, which is named `key`, from the parts that have them."""
    name, first = _split(key)
    for part in saved.get(name, ()):
        if part.key == key:
            return part.file.get_tensor(key)
    if not like.ndim:
        return None
    rows, missing = torch.empty_like(like, device="cpu"), len(like)
    for part in saved.get(name, ()):
        stored = part.file.get_slice(part.key)
        count, *shape = stored.get_shape()
        begin, end = max(first, part.first), min(first + len(like), part.first + count)
        if begin < end and shape == list(like.shape[1:]):
            rows[begin - first : end - first] = stored[begin - part.first : end - part.first]
            missing -= end - begin
    return None if missing else rows
