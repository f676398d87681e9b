"""Shared fixtures, above all real text that every machine has; and what workers share."""

import os
from pathlib import Path

if not Path("/dev/nvidia0").exists():  # no GPU: kernels are interpreted
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before PyTorch imports Triton

import sysconfig
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, settings

from groundup.train import Journal

# No test fails by the clock, which other work on the machine moves.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Where several workers run tests, each keeps to its share of the processors, and so do the
    commands that it starts: PyTorch's threads wait for each other, and crawl where they share."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        share = processors[int(worker.removeprefix("gw")) % len(processors) :: count]
        os.sched_setaffinity(0, share)
        torch.set_num_threads(len(share))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole commands first, which stand beside the folders: they take the longest, and at the end
    one worker would wait for the other. (`--no-loadscope-reorder` keeps the order.)"""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture(scope="session")
def source_files() -> list[str]:
    """Some modules of the running Python's standard library, as text."""
    library = Path(sysconfig.get_path("stdlib"))
    names = ["textwrap", "heapq", "bisect", "string", "fnmatch", "shlex", "sched", "queue"]
    return [(library / f"{name}.py").read_text(encoding="utf-8") for name in names]


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory, source_files: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    for number, text in enumerate(source_files):
        (folder / f"{number}.py").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object], int], None]:
    """Run a training that dies right after the checkpoint of the given step."""
    save = Journal.save

    def run(training: Callable[[], object], step: int) -> None:
        def die(journal: Journal, *, force: bool) -> None:
            save(journal, force=force)
            if journal._training.step == step:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "save", die)
            with pytest.raises(KeyboardInterrupt):
                training()

    return run
