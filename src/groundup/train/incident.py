"""The batch of a refused step, kept for inspection."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from groundup.core.processes import Group
from groundup.core.tensors import write_tensors
from groundup.train.step import StepResult


def keep_batch(
    folder: Path, result: StepResult, micro_batches: Sequence[Any], group: Group
) -> Path:
    """Write every tensor of this process's micro-batches to `folder/step-N.safetensors`, by place
    and field, as in `0.tokens`; loss, gradient norm and step are in its metadata. The files of
    several processes have their ranks in their names."""
    rank = f"-rank-{group.rank}" if group.size > 1 else ""
    path = folder / f"step-{result.step:08d}{rank}.safetensors"
    facts = {"step": result.step, "loss": result.loss, "gradient_norm": result.gradient_norm}
    metadata = {name: str(value) for name, value in facts.items()}
    write_tensors(path, dict(_tensors(micro_batches)), metadata)
    return path


def _tensors(part: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(part, Tensor):
        yield name, part.detach().clone()  # two parts may share memory, which the format forbids
    for key, inner in _parts(part).items():
        yield from _tensors(inner, f"{name}.{key}" if name else str(key))


def _parts(part: Any) -> Mapping[Any, Any]:
    if dataclasses.is_dataclass(part):
        return vars(part)
    if isinstance(part, tuple) and hasattr(part, "_asdict"):  # a NamedTuple
        return part._asdict()  # pyright: ignore
    if isinstance(part, list | tuple):
        return dict(enumerate(part))
    return part if isinstance(part, Mapping) else {}
