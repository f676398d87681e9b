"""Tensors in parts: every process of a training writes what it alone holds, and reads what it
needs, by the names of `parallel.share`.

    optimizer.safetensors                   of one process
    optimizer-00002-of-00004.safetensors    of the second of four

A tensor is named as in one process, and a part of one with the box that it is, as in
`first.embedding.weight[0:512]` (see `core.regions`). Since the names say so, it does not matter how
many processes wrote them.
"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from groundup.core.errors import ArtifactError
from groundup.core.regions import Region


def part_file(stem: str, rank: int, size: int) -> str:
    """The name of what a process writes. stem: `optimizer`, or `model`. size: how many write."""
    return f"{stem}{'' if size == 1 else f'-{rank + 1:05d}-of-{size:05d}'}.safetensors"


def read_parts(
    directory: Path, stem: str, wanted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], set[str]]:
    """The saved values of `wanted`, as far as all of them is there; and the names of all whole
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
                region = Region.parse(key)
                saved[region.name].append(_Saved(region, key, file))
        found = {key: _assembled(key, tensor, saved) for key, tensor in wanted.items()}
    return {key: tensor for key, tensor in found.items() if tensor is not None}, set(saved)


class _Saved(NamedTuple):
    """A tensor of a file, and which box of the whole one it is."""

    region: Region
    key: str
    file: Any


def _assembled(key: str, like: Tensor, saved: Mapping[str, list[_Saved]]) -> Tensor | None:
    """The box of `like`, which is named `key`, from the parts that have some of it."""
    region = Region.parse(key)
    for part in saved.get(region.name, ()):
        if part.key == key:
            return part.file.get_tensor(key)
    if not like.ndim:
        return None
    box, missing = torch.empty_like(like, device="cpu"), like.numel()
    known = set()  # of two processes that wrote the same, one is read
    for part in saved.get(region.name, ()):
        stored = part.file.get_slice(part.key)
        shape = stored.get_shape()
        if len(shape) != like.ndim:
            continue
        sizes = zip(like.shape, shape, strict=True)
        shared = tuple(
            _intersection(region.begin(axis), size, part.region.begin(axis), stored_size)
            for axis, (size, stored_size) in enumerate(sizes)
        )
        if shared in known or any(first >= last for first, last in shared):
            continue
        known.add(shared)
        here, there = (
            tuple(
                slice(first - of.begin(axis), last - of.begin(axis))
                for axis, (first, last) in enumerate(shared)
            )
            for of in (region, part.region)
        )
        box[here] = stored[there]
        missing -= box[here].numel()
    return None if missing else box


def _intersection(begin: int, size: int, other_begin: int, other_size: int) -> tuple[int, int]:
    """First and last of what two ranges share, in the whole tensor."""
    return max(begin, other_begin), min(begin + size, other_begin + other_size)
