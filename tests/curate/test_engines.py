import os
import signal
from pathlib import Path

import pytest

from groundup.core.errors import InputError, LostProcessError, MissingExtraError
from groundup.curate.engines.engine import Engine
from groundup.curate.engines.local import Local
from groundup.curate.engines.ray import Ray
from groundup.curate.step import Task


def write(folder: Path, number: int) -> None:
    (folder / str(number)).write_text(str(os.getpid()))


def fail(number: int) -> None:
    raise MissingExtraError(f"Task {number}", "curate")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def unseen(amount: float = 1, note: str = "") -> None:
    """No progress is looked at."""


def check(engine: Engine, folder: Path) -> set[str]:
    """Every task is run once and told of, whichever fails is raised; the processes they ran in."""
    folder.mkdir()
    seen: list[float] = []

    def advance(amount: float = 1, note: str = "") -> None:
        seen.append(amount)
        assert not note

    engine.run([Task(write, (folder, n)) for n in range(20)], advance)
    assert sum(seen) == 20
    assert sorted(int(path.name) for path in folder.iterdir()) == list(range(20))
    with pytest.raises(MissingExtraError, match="Task 7 needs an optional dependency"):
        engine.run([Task(write, (folder, 20)), Task(fail, (7,))], advance)
    engine.run([], advance)
    return {path.read_text() for path in folder.iterdir()}


def test_one_process_is_this_one(tmp_path):
    with Local(1) as engine:
        assert check(engine, tmp_path / "files") == {str(os.getpid())}


def test_several_processes(tmp_path):
    with Local(2) as engine:
        assert str(os.getpid()) not in check(engine, tmp_path / "files")


def test_a_process_that_is_killed_is_told_and_the_next_run_has_others(tmp_path):
    with Local(2) as engine:
        with pytest.raises(LostProcessError, match="fewer --workers"):
            engine.run([Task(die, ())], unseen)
        check(engine, tmp_path / "files")


def test_a_cluster_that_is_not_there():
    with pytest.raises(InputError, match="no Ray cluster can be reached at 127.0.0.1:9"):
        Ray("127.0.0.1:9").__enter__()
