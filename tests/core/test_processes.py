"""Groups of processes: what they exchange, who comes first, and what a wrong environment says."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import Tensor

from groundup.core.errors import InputError, LostProcessError
from groundup.core.processes import ONE, Group, comes_first, joined, launched
from groundup.core.spawn import Workers

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(3) as workers:
        yield workers


def exchanges(group: Group) -> dict[str, Tensor]:
    """Each exchange, of numbers that tell the processes apart."""
    own = torch.arange(4.0) + 10 * group.rank
    parts = torch.arange(4.0 * group.size) * (group.rank + 1)
    total, part, whole, first = (
        own.clone(),
        torch.empty(4),
        torch.empty(group.size * 4),
        own.clone(),
    )
    even = [4] * group.size
    uneven = [2 * rank for rank in range(group.size)]  # the first has nothing
    some, rest = torch.empty(uneven[group.rank]), torch.empty(sum(uneven))
    waits = [
        group.sum(total),
        group.scatter_sums(part, parts, even),
        group.gather(whole, own, even),
        group.broadcast(first, 1 % group.size),
        group.scatter_sums(some, torch.arange(float(sum(uneven))), uneven),
        group.gather(rest, torch.full_like(some, group.rank), uneven),
    ]
    for wait in waits:
        wait()
    mean = torch.tensor(group.mean(float(group.rank)))
    flags = torch.tensor([group.any(group.rank == 1), group.any(False)])
    said = torch.tensor(group.of_first(group.rank + 5))
    return {
        "sum": total,
        "part": part,
        "all": whole,
        "first": first,
        "some": some,
        "rest": rest,
        "mean": mean,
        "any": flags,
        "said": said,
    }


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_is_exchanged(workers: Workers, size: int) -> None:
    ranks = torch.arange(size)
    owns = torch.arange(4.0) + 10 * ranks[:, None]
    parts = torch.arange(4.0 * size).view(size, 4)
    results = workers.run(exchanges, size=size) if size > 1 else [exchanges(ONE)]
    for rank, result in enumerate(results):
        assert torch.equal(result["sum"], owns.sum(0))
        assert torch.equal(result["part"], parts[rank] * float((ranks + 1).sum()))
        assert torch.equal(result["all"], owns.flatten())
        start = rank * (rank - 1)
        assert torch.equal(result["some"], size * torch.arange(start, start + 2.0 * rank))
        assert result["rest"].tolist() == [r for r in range(size) for _ in range(2 * r)]
        assert int(result["said"]) == 5
        assert torch.equal(result["first"], owns[1 % size])
        assert float(result["mean"]) == pytest.approx(float(ranks.float().mean()))
        assert result["any"].tolist() == [size > 1, False]


def look(group: Group, path: Path) -> str:
    with group.first_alone("look"):
        if group.rank == 0:
            time.sleep(0.5)
            path.write_text("made")
        return path.read_text()


def test_the_first_one_makes_what_the_others_find(workers: Workers, tmp_path: Path) -> None:
    assert workers.run(look, tmp_path / "file") == ["made"] * 3


def fail(group: Group) -> None:
    if group.rank == 1:
        raise InputError("this one cannot go on.")
    group.barrier()


def test_an_error_of_a_process_is_raised_here_and_not_its_consequence(workers: Workers) -> None:
    with pytest.raises(InputError, match=r"^this one cannot go on\.$"):
        workers.run(fail)


def test_a_process_alone_needs_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert not launched()
    assert comes_first()
    with joined(CPU) as group:
        assert (group.rank, group.size) == (0, 1)


def test_half_an_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert not comes_first()
    with pytest.raises(InputError, match="MASTER_ADDR is not: start the processes by torchrun"):
        joined(CPU).__enter__()


def test_others_that_do_not_come_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"RANK": 0, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(
        LostProcessError, match=r"^process 0 of 2 could not meet the others \("
    ) as e:
        joined(CPU, timedelta(seconds=1)).__enter__()
    assert "\n" not in str(e.value)


LEAVES = """
import torch
from pathlib import Path
from groundup.core.processes import joined

def threads():
    return sum("gloo" in name.read_text() for name in Path("/proc/self/task").glob("*/comm"))

with joined(torch.device("cpu")) as group:
    group.part([0, 1], "twin", twin=True).barrier()
    group.barrier()
    inside = threads()
print(inside, threads())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_no_thread_of_torch_is_left_to_the_end_of_the_interpreter() -> None:
    """One that is might want the interpreter's lock when there is none any more, and abort."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", LEAVES],
            env=os.environ | place | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in both:
        inside, left = map(int, process.communicate(timeout=120)[0].split())
        assert process.returncode == 0
        assert inside > 0
        assert left == 0
