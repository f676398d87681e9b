"""The command line: help with examples, one sentence on bad input, exit codes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from groundup.cli import cli


def groundup(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundup", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def commands(group: click.Group, above: str = "") -> Iterator[str]:
    """Those below it, without the groups."""
    context = click.Context(group)
    for name in group.list_commands(context):
        below = group.get_command(context, name)
        if isinstance(below, click.Group):
            yield from commands(below, f"{above}{name} ")
        else:
            yield f"{above}{name}"


@pytest.mark.parametrize("command", list(commands(cli)))
def test_every_command_has_an_example(command: str) -> None:
    done = groundup(*command.split(), "--help")
    assert done.returncode == 0
    assert f"groundup {command}" in done.stdout.partition("Example")[2]


def test_help_does_not_wait_for_torch() -> None:
    program = (
        "import sys\n"
        "from groundup.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_curation_does_not_wait_for_torch(tmp_path: Path) -> None:
    readme = Path(__file__).parents[2] / "README.md"
    write(tmp_path / "data", a__md=readme.read_bytes())
    runs = f"'--runs', '{tmp_path}/runs', '--workers', '1'"
    data = f"'--data', '{tmp_path}/data'"
    program = (
        "import sys\n"
        "from groundup.cli import cli\n"
        f"cli.main(['curate', 'run', 'basic', {data}, {runs}], standalone_mode=False)\n"
        "assert not {'torch', 'matplotlib', 'pyarrow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def quickstart_on(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    runs = folder.parent / "runs"
    return groundup(
        "quickstart", "--data", str(folder), "--runs", str(runs), "--budget", "1e11", *more
    )


def write(folder: Path, **files: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "no"),
        ({"a__bin": b"\0\1\2" * 100}, "no"),
        ({"a__txt": b"\xff\xfe\xfa" * 1000}, ""),
        ({"a__txt": b"x" * 3_000_000}, ""),
        ({"a__txt": b"two short words\n" * 3}, ""),
        ({"a__txt": b""}, ""),
    ],
    ids=["empty folder", "binary", "invalid UTF-8", "one enormous line", "tiny", "empty file"],
)
def test_unusable_documents_are_one_sentence(
    tmp_path: Path, files: dict[str, bytes], sentence: str
) -> None:
    done = quickstart_on(write(tmp_path / "documents", **files), "--quiet")
    assert done.returncode == 2
    assert done.stderr.startswith("groundup: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
    assert not list((tmp_path / "runs").rglob("*.partial"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--budget", "5"], "is not a budget|has no unit"),
        (["--set", "tokenizer.vocab_sise=5"], "did you mean 'tokenizer.vocab_size'"),
        (["--set", "seed=x"], "seed is 'x': it must be of type int"),
        (["--data", "no-such-folder"], "no-such-folder"),
        (["--config", "none.json"], "none.json does not exist"),
        (["--chat", "none.jsonl"], "none.jsonl does not exist"),
        (["--verifier", "none.py:f"], "none.py"),
        (["--verifier", "math:sqrt", "--data", "."], "--verifier needs --chat"),
        (["--data", "/"], "lies inside --data"),
        (["--frobnicate"], "No such option"),
    ],
)
def test_wrong_arguments_exit_with_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = groundup("quickstart", "--runs", str(tmp_path), *arguments)
    assert done.returncode == 2
    assert any(part in done.stderr for part in sentence.split("|"))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", [["chat", "none"], ["generate", "none", "x"], ["report", "none"]]
)
def test_a_missing_run_is_one_sentence(tmp_path: Path, command: list[str]) -> None:
    done = groundup(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert "none" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_in_the_way_of_the_run_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    folder = write(tmp_path / "documents", a__txt=b"some words\n" * 100)
    done = quickstart_on(folder)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_exits_with_130(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "groundup", "quickstart", "--runs", str(tmp_path), "--quiet"],
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell's background job ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and not list(tmp_path.glob("*/corpus/manifest.json")):
        time.sleep(0.1)  # until it is in the middle of the first stages
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr.decode().strip() == (
        "groundup: interrupted; run the same command again to go on."
    )
