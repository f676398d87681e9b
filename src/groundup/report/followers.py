"""Records of a training for the dashboards of others: each new one is passed on, once.

Both are extras; the training itself knows nothing of them, so they can be begun late, or again.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from groundup.core.errors import MissingExtraError


class Follower(Protocol):
    """Takes records in their order."""

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in `directory`. Raises `MissingExtraError` where tensorboard is not installed."""

    def __init__(self, directory: Path):
        try:
            module = importlib.import_module("torch.utils.tensorboard")
        except ImportError as error:
            raise MissingExtraError("Writing for TensorBoard", "tensorboard") from error
        self._writer = module.SummaryWriter(str(directory))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run of `project`; its own environment variables say where and whether it is sent.

    Raises `MissingExtraError` where wandb is not installed.
    """

    def __init__(self, project: str, name: str):
        try:
            module = importlib.import_module("wandb")
        except ImportError as error:
            raise MissingExtraError("Writing for Weights & Biases", "wandb") from error
        self._run = module.init(project=project, name=name)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


def pass_on(follower: Follower, records: Sequence[dict[str, Any]], done: int) -> int:
    """Give a follower the records after the first `done`; returns how many it has now.

    A resumed training's record may be shorter than before: what it does again is given again.
    """
    for record in records[min(done, len(records)) :]:
        values = {
            key: float(value)
            for key, value in record.items()
            if key != "step" and isinstance(value, int | float)
        }
        follower.write(record["step"], values)
    return len(records)
