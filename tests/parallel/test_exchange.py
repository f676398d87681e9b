"""Gradients that some processes have and others lack, against PyTorch's own data parallelism; the
bytes that are sent, against what the kernel counts; and processes that are gone."""

import statistics
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from groundup.bench.sent import COUNTED, bytes_sent, bytes_since
from groundup.core.errors import LostProcessError
from groundup.core.processes import Group
from groundup.core.spawn import Workers
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.optim import AdamW
from groundup.parallel.parallelism import Parallelism, Shard

PLANS = {
    "one by one": Parallelism(averaging="one by one"),
    "flat": Parallelism(averaging="flat"),
    "bucketed": Parallelism(bucket_megabytes=1e-4),
    "optimizer": Parallelism(shard="optimizer", bucket_megabytes=1e-4),
    "gradients": Parallelism(shard="gradients", bucket_megabytes=1e-4),
    "weights": Parallelism(shard="weights"),
}


LARGE = {
    "one by one": Parallelism(averaging="one by one"),
    "flat": Parallelism(averaging="flat"),
    "bucketed": Parallelism(bucket_megabytes=0.2),
    "optimizer": Parallelism(shard="optimizer", bucket_megabytes=0.2),
    "gradients": Parallelism(shard="gradients", bucket_megabytes=0.2),
    "weights": Parallelism(shard="weights"),
}
WIDE = Decoder(
    vocab_size=700,
    context=8,
    width=128,
    depth=3,
    attention=GroupedQuery(heads=2, kv_heads=2, head_width=64),
    mlp=GLU(hidden=256),
)


class Branches(nn.Module):
    """A layer that all use, one that the first process uses alone, and one that nobody does."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shared, self.some, self.none = (nn.Linear(6, 6) for _ in range(3))

    def forward(self, x: Tensor, *, some: bool) -> Tensor:
        y = self.shared(x)
        return (self.some(y) if some else y).square().mean()


def rows(rank: int) -> Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(rank))


def gradients_of_branches(group: Group, plan: Parallelism) -> dict[str, Tensor | None]:
    model = Branches()
    exchange, _ = plan.apply(plan.divide(model, group), AdamW(lr=0.1))
    exchange.backward(model(rows(group.rank), some=group.rank == 0) / group.size, last=True)
    whole = {name: p.grad for name, p in model.named_parameters()}
    if plan.shard == "nothing":
        return whole
    assert not any(grad is not None for grad in whole.values())  # each has its share alone
    return {name: rows.grad for name, rows in exchange.members[0].optimizer._own.items()}  # pyright: ignore


def gradients_of_ddp(group: Group) -> dict[str, Tensor | None]:  # noqa: ARG001
    model = Branches()
    wrapped = DistributedDataParallel(model, find_unused_parameters=True)
    rank = torch.distributed.get_rank()
    wrapped(rows(rank), some=rank == 0).backward()
    return {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_gradients_are_those_of_ddp(workers: Workers, plan: Parallelism) -> None:
    expected = workers.run(gradients_of_ddp, size=3)[0]
    found: dict[str, list[tuple[int, Tensor]]] = {}
    for result in workers.run(gradients_of_branches, plan, size=3):
        for name, grad in result.items():
            base, _, part = name.partition("[")
            if grad is not None:
                found.setdefault(base, []).append((int(part.split(":")[0] or 0), grad))
    assert found.keys() == {name for name, grad in expected.items() if grad is not None}
    assert found.keys() == {"shared.weight", "shared.bias", "some.weight", "some.bias"}
    for name, parts in found.items():
        whole = dict(parts) if plan.shard != "nothing" else {0: parts[0][1]}
        joined = torch.cat([whole[first] for first in sorted(whole)])
        torch.testing.assert_close(joined, expected[name], rtol=1e-6, atol=1e-7)


def bytes_of_a_step(group: Group, plan: Parallelism) -> tuple[int, float]:
    """What a step of two passes sends: counted by the kernel, and by the formula."""
    model = WIDE.build(seed=0)
    exchange, optimizer = plan.apply(plan.divide(model, group), AdamW(lr=0.1))
    tokens = torch.zeros(2, 8, dtype=torch.long)

    def step() -> None:
        for last in (False, True):
            exchange.backward(model.losses(tokens, tokens).mean() / group.size, last=last)
        optimizer.step(1.0)
        exchange.clear()

    step()  # opens the connections
    sent = []
    for _ in range(3):
        before = bytes_sent()
        step()
        group.barrier()  # until what was sent has left
        sent.append(bytes_since(before))
    return statistics.median(sent), exchange.volume(passes=2)


@pytest.mark.skipif(not COUNTED, reason="the kernel does not count a socket's bytes")
@pytest.mark.parametrize("plan", LARGE.values(), ids=LARGE)
def test_a_step_sends_the_bytes_of_the_formula(workers: Workers, plan: Parallelism) -> None:
    results = workers.run(bytes_of_a_step, plan)
    size = len(results)
    sent = sum(counted for counted, _ in results) / size
    n = 4 * sum(p.numel() for p in WIDE.build(seed=0).parameters())
    passes = {"nothing": 2, "optimizer": 2, "gradients": 3, "weights": 6}[plan.shard]
    assert sent == pytest.approx(results[0][1], rel=0.02)  # heads of messages
    # what stays is gathered once, and padding is sent, too
    assert results[0][1] == pytest.approx(passes * (size - 1) / size * n, rel=0.35)


def memory_of_a_step(group: Group, plan: Parallelism) -> tuple[int, int, int]:
    """Bytes of optimizer state, of gradients before they are used, and of weights between steps."""
    model = WIDE.build(seed=0)
    exchange, optimizer = plan.apply(plan.divide(model, group), AdamW(lr=0.1))
    tokens = torch.zeros(2, 8, dtype=torch.long)
    exchange.backward(model.losses(tokens, tokens).mean() / group.size, last=True)
    parameters = list(model.parameters())
    held = {id(t): t for t in [*exchange.held(), *parameters]}.values()
    gradients = sum(t.grad.nbytes for t in held if t.grad is not None)
    optimizer.step(1.0)
    weights = sum(p.untyped_storage().nbytes() for p in parameters)
    if plan.shard == "weights":
        weights += sum(rows.nbytes for rows in exchange.held())
    return sum(t.nbytes for t in optimizer.tensors().values() if t.ndim), gradients, weights


@pytest.mark.parametrize("plan", LARGE.values(), ids=LARGE)
def test_a_process_keeps_its_share(workers: Workers, plan: Parallelism) -> None:
    n = 4 * sum(p.numel() for p in WIDE.build(seed=0).parameters())
    kinds = ("optimizer", "gradients", "weights")
    shared = kinds[: 1 + kinds.index(plan.shard)] if plan.shard != "nothing" else ()
    if "optimizer" in shared:  # the last pass leaves the sums of a share in either case
        shared = (*shared, "gradients")
    of_processes = workers.run(memory_of_a_step, plan)
    size = len(of_processes)
    for kind, sizes, whole in zip(
        kinds, zip(*of_processes, strict=True), (2 * n, n, n), strict=True
    ):
        if kind in shared:
            assert sum(sizes) == whole
            assert max(sizes) == pytest.approx(whole / size, rel=0.02)  # a row of each cut
        else:
            assert set(sizes) == {whole}


class Stack(nn.Module):
    """Four blocks, one of whose layers the first process does not use."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(
            nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)]) for _ in "1234"
        )
        for block in self.blocks:
            block.forward = partial(_of_block, block)  # pyright: ignore[reportAttributeAccessIssue]

    def forward(self, x: Tensor, *, some: bool) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = block(x, both=some or index != 2)
        return x.square().mean()


def _of_block(block: nn.ModuleList, x: Tensor, *, both: bool) -> Tensor:
    x = torch.tanh(block[0](x))
    return block[1](x) if both else x


def gradients_of_stack(group: Group, plan: Parallelism) -> dict[str, Tensor]:
    model = Stack()
    exchange, _ = plan.apply(plan.divide(model, group), AdamW(lr=0.1))
    for last in (False, True):
        loss = model(rows(group.rank), some=group.rank > 0) / group.size
        exchange.backward(loss, last=last)
    if plan.shard == "nothing":
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    own = exchange.members[0].optimizer._own  # pyright: ignore
    return {name: rows.grad for name, rows in own.items() if rows.grad is not None}


@pytest.mark.parametrize("shard", ["gradients", "weights"])
def test_blocks_need_not_be_used_alike(workers: Workers, shard: Shard) -> None:
    expected = workers.run(gradients_of_stack, Parallelism(), size=2)[0]
    found: dict[str, dict[int, Tensor]] = {}
    for result in workers.run(gradients_of_stack, Parallelism(shard=shard), size=2):
        for name, grad in result.items():
            base, _, part = name.partition("[")
            found.setdefault(base, {})[int(part.split(":")[0] or 0)] = grad
    assert found.keys() == expected.keys()
    for name, parts in found.items():
        joined = torch.cat([parts[first] for first in sorted(parts)])
        torch.testing.assert_close(joined, expected[name], rtol=1e-6, atol=1e-7)


DEEP = replace(WIDE, depth=6)
LENDING = replace(
    WIDE,
    depth=8,
    attention=(
        GroupedQuery(heads=2, kv_heads=2, head_width=64),
        *(GroupedQuery(heads=2, kv_heads=2, head_width=64, borrow=True) for _ in range(3)),
    ),
)


def memory_on_the_way(group: Group, plan: Parallelism, config: Decoder) -> tuple[int, int]:
    """The most bytes of gradients that wait to be sent or summed, and those of weights that are
    there between steps."""
    model = config.build(seed=0)
    exchange, _ = plan.apply(plan.divide(model, group), AdamW(lr=0.1))
    shares, most = exchange.members[0].optimizer._shares, 0  # pyright: ignore

    def look(parameter: Tensor) -> None:  # noqa: ARG001
        nonlocal most
        waiting = (share._sections for share in shares)
        most = max(most, sum(sections.nbytes for sections in waiting if sections is not None))

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(look)
    tokens = torch.zeros(2, 8, dtype=torch.long)
    exchange.backward(model.losses(tokens, tokens).mean() / group.size, last=True)
    return most, sum(p.untyped_storage().nbytes() for p in model.parameters())


@pytest.mark.parametrize("plan", [LARGE["gradients"], LARGE["weights"]], ids=lambda p: p.shard)
@pytest.mark.parametrize("config", [DEEP, LENDING], ids=["plain", "lending"])
def test_what_is_on_the_way_does_not_add_up(
    workers: Workers, plan: Parallelism, config: Decoder
) -> None:
    model = config.build(seed=0)
    whole = sum(p.nbytes for p in model.parameters())
    of_blocks = [sum(p.nbytes for p in block.parameters()) for block in model.blocks]
    # Two are on their way and one is being filled; what is around the blocks fills all the time.
    around, largest = whole - sum(of_blocks), max(of_blocks)
    bound = around + 3 * largest if plan.shard == "weights" else 3 * 4 * 700 * 128
    for most, there in workers.run(memory_on_the_way, plan, config, size=2):
        assert most <= 1.03 * bound < whole
        assert there == (0 if plan.shard == "weights" else whole)


def leave(group: Group) -> str:
    """The last process ends before the sum that all others wait for."""
    if group.rank == group.size - 1:
        return "gone"
    try:
        group.sum(torch.ones(3))()
    except LostProcessError as error:
        return str(error)
    return "no error"


def stand_still(group: Group, done: str) -> str:
    """The last process lives, and takes no part in the sum that all others wait for."""
    if group.rank < group.size - 1:
        try:
            group.sum(torch.ones(3))()
        except LostProcessError as error:
            return str(error)
        finally:
            Path(done).touch()
        return "no error"
    while not Path(done).exists():
        time.sleep(0.05)
    return "here"


def test_nobody_waits_for_ever(workers: Workers, tmp_path: Path) -> None:
    workers.run(leave, size=2)  # the processes have begun
    begin, patience = time.monotonic(), timedelta(seconds=10)
    lost, still = workers.run(stand_still, str(tmp_path / "done"), size=2, patience=patience)
    assert still == "here"
    assert lost.startswith("process 0 of 2 lost another one (")
    assert time.monotonic() - begin < 60


def test_a_process_that_is_gone_is_an_error_of_the_others(workers: Workers) -> None:
    *others, last = workers.run(leave, size=3, patience=timedelta(minutes=1))
    assert last == "gone"
    for rank, sentence in enumerate(others):
        assert sentence.startswith(f"process {rank} of 3 lost another one (")
        assert "\n" not in sentence
