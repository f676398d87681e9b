"""Matrices that are cut over processes are updated as whole ones are, to the bit."""

from typing import Any

import pytest
import torch
from torch import Tensor

from groundup.core.processes import Group
from groundup.core.regions import Region, bounds
from groundup.core.spawn import Workers
from groundup.optim import EMA, SOAP, AdamW, ByRole, Muon
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.assembled import Assembled

SHAPES = {
    "blocks.rows": ((8, 6), 0),
    "blocks.columns": ((6, 12), 1),
    "blocks.stack": ((3, 8, 6), 1),
    "blocks.vector": ((8,), 0),
    "embedding.rows": ((16, 3), 0),
    "blocks.whole": ((5, 7), None),
}
REST = AdamW(lr=0.01)
OPTIMIZERS = {
    "Muon": ByRole(matrices=Muon(lr=0.02), embedding=REST, rest=REST),
    "SOAP": ByRole(matrices=SOAP(lr=0.02, frequency=2), embedding=REST, rest=REST),
    "AdamW": REST,
    "EMA": EMA(decay=0.5).around(ByRole(matrices=Muon(lr=0.02), embedding=REST, rest=REST)),
}


def values(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {name: torch.randn(shape, generator=generator) for name, (shape, _) in SHAPES.items()}


def updated(group: Group, config: OptimizerConfig) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """This process's parts after some steps, and its optimizer's state."""

    def part(name: str, whole: Tensor) -> tuple[str, Tensor]:
        axis = SHAPES[name][1]
        if axis is None:
            return name, whole.clone()
        first, last = bounds(whole.shape[axis], group.size, group.rank)
        region = Region(name).cut(axis, first, last, whole.shape[axis])
        return region.key, whole.narrow(axis, first, last - first).clone()

    torch.set_num_threads(1)
    parameters = dict(part(*item) for item in values(0).items())
    cuts = {name: axis for name, (_, axis) in SHAPES.items() if axis is not None}
    optimizer = Assembled(config, group, cuts).build(parameters)
    for step in range(1, 5):
        for key, gradient in (part(*item) for item in values(step).items()):
            used = step % 2 or "columns" not in key  # one of them is not used in each step
            parameters[key].grad = gradient if used else None
        optimizer.step(1.0)
    with optimizer.averaged():
        return {key: p.clone() for key, p in parameters.items()}, optimizer.tensors()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("size", [2, 4])
def test_parts_are_updated_as_the_whole(workers: Workers, name: str, size: int) -> None:
    config: Any = OPTIMIZERS[name]
    threads = torch.get_num_threads()
    expected, state = updated(Group(), config)
    torch.set_num_threads(threads)
    results = workers.run(updated, config, size=size)
    for parts, _ in results:
        for key, found in parts.items():
            region = Region.parse(key)
            box = tuple(slice(*r) if r else slice(None) for r in region.ranges)
            assert torch.equal(found, expected[region.name][box]), key
    states = {key: tensor for _, tensors in results for key, tensor in tensors.items()}
    if name == "Muon":  # every matrix has its state in one place, whole
        of_matrices = [key for _, tensors in results for key in tensors if "momentum" in key]
        whole = {key for key in state if "momentum" in key}
        assert set(of_matrices) == whole
        assert all(torch.equal(states[key], state[key]) for key in whole)
