"""A subcommand of `groundup`, run in this process."""

import sys
from pathlib import Path

import pytest

from groundup.cli import main


class Shell:
    """Returns exit code, output and errors."""

    def __init__(
        self,
        command: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ):
        self._command, self._monkeypatch, self._capsys = command, monkeypatch, capsys

    def __call__(self, *arguments: str | Path) -> tuple[object, str, str]:
        line = ["groundup", *self._command.split(), *map(str, arguments)]
        self._monkeypatch.setattr(sys, "argv", line)
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return code, *self._capsys.readouterr()
