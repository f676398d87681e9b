"""Shared fixtures: real text that every machine has."""

import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from groundup.train import Journal


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
