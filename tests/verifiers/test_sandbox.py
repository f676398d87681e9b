import gc
import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

from groundup.verifiers.sandbox import Limits, run_python

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the sandbox needs POSIX limits")


@pytest.fixture(autouse=True)
def _leaves_no_scratch_folder(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def test_a_program_reads_its_input_and_writes_its_output():
    outcome = run_python("import sys; print(sys.stdin.read()[::-1])", stdin=b"abc")
    assert (outcome.status, outcome.exit_code, outcome.stdout, outcome.stderr) == (
        ("ok", 0, b"cba\n", b"")
    )


def test_input_larger_than_a_pipe_passes_both_ways():
    data = bytes(range(256)) * 40_000  # 10 MB
    outcome = run_python(
        "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())",
        stdin=data,
        limits=Limits(output_bytes=len(data)),
    )
    assert outcome.stdout == data


def test_a_program_that_ignores_its_input_ends_as_it_would():
    assert run_python("pass", stdin=b"x" * 5_000_000).status == "ok"


@pytest.mark.parametrize(
    ("source", "status", "exit_code"),
    [
        ("raise SystemExit(3)", "error", 3),
        ("1 / 0", "error", 1),
        ("def", "error", 1),
        ("bytearray(10**10)", "memory", 1),
        ("x = []\nwhile True: x.append(bytes(10**6))", "memory", 1),
        ("import os; os.abort()", "killed", None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed", None),
    ],
)
def test_how_a_program_ended(source, status, exit_code):
    outcome = run_python(source)
    assert (outcome.status, outcome.exit_code) == (status, exit_code)


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "import time; time.sleep(60)",
        "import os, time; os.close(1); os.close(2); time.sleep(60)",
        "import signal, time\nfor s in range(1, 20):\n  if s not in (9, 19): "
        "signal.signal(s, signal.SIG_IGN)\ntime.sleep(60)",
    ],
)
def test_time_is_limited_by_processor_and_by_clock(source):
    start = time.monotonic()
    outcome = run_python(source, limits=Limits(cpu_seconds=10, wall_seconds=0.3))
    assert outcome.status == "timeout"
    assert time.monotonic() - start < 5


def test_processor_time_alone_stops_a_program():
    assert run_python("while True: pass", limits=Limits(cpu_seconds=1)).status == "timeout"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_is_capped(stream):
    endless = f"import sys\nwhile True: sys.{stream}.write('x' * 10_000)"
    outcome = run_python(endless, limits=Limits(output_bytes=100_000))
    assert outcome.status == "output"
    assert len(outcome.stdout) + len(outcome.stderr) < 500_000


def test_no_byte_reaches_a_file(tmp_path):
    for target in (tmp_path / "out", Path("out")):
        write = f"f = open({str(target)!r}, 'w'); f.write('x'); f.flush()"
        assert b"File too large" in run_python(write).stderr
    assert not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size == 0


@pytest.mark.skipif(os.name == "posix" and os.getuid() == 0, reason="root may always fork")
def test_no_process_is_started():
    assert b"BlockingIOError" in run_python("import os; os.fork()").stderr


def test_what_a_program_started_is_killed_with_it(tmp_path):
    heartbeat = tmp_path / "alive"
    heartbeat.touch()
    source = f"""
import os, time
try:
    child = os.fork()
except OSError:
    child = 1
while child == 0:
    os.utime({str(heartbeat)!r})
    time.sleep(0.01)
"""
    run_python(source, limits=Limits(wall_seconds=0.3))
    last = heartbeat.stat().st_mtime_ns
    time.sleep(0.1)
    assert heartbeat.stat().st_mtime_ns == last


def test_a_program_sees_neither_environment_nor_packages_nor_folder(monkeypatch):
    monkeypatch.setenv("SECRET", "token")
    source = """
import os, sys
print("SECRET" in os.environ, os.listdir(), sys.argv[1:])
print(any("site-packages" in path for path in sys.path), sys.flags.isolated)
"""
    outcome = run_python(source)
    assert outcome.stdout == b"False ['program.py'] []\nFalse 1\n"


def test_a_program_sees_no_open_file_of_the_host(tmp_path):
    with open(tmp_path / "secret", "w") as file:
        os.set_inheritable(file.fileno(), True)
        outcome = run_python(f"import os; os.fstat({file.fileno()})")
    assert b"Bad file descriptor" in outcome.stderr


def test_nothing_stays_open_in_the_host():
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 pathlib would hold one more open

    if not sys.platform.startswith("linux"):
        pytest.skip("counts descriptors in /proc")
    gc.collect()
    before = descriptors()
    for source in ("pass", "1 / 0", "while True: print(0)"):
        run_python(source, limits=Limits(output_bytes=1000))
    assert descriptors() == before
