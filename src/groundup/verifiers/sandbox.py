"""Run untrusted Python in a process of its own, with limits on time, memory, processes and output.

The process starts with a closed environment, an empty scratch folder and its own session; it sets
its limits before the untrusted program begins, and its whole process group is killed at the end.
It can neither write a byte to a file nor fork, but it can read what the user can read, and the
network is open: see docs/verifiers.md for what this holds back and what it does not.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from groundup.core.errors import InputError

_PROGRAM = "program.py"
_CHUNK = 1 << 16  # bytes: the capacity of a Linux pipe

# Runs first in the child. `argv` holds name=value limits; a name that the system lacks is skipped,
# and a limit that the host process is already under is never raised.
_BOOTSTRAP = f"""
import resource, sys
for argument in sys.argv[1:]:
    name, _, value = argument.partition("=")
    if hasattr(resource, name):
        limit = getattr(resource, name)
        ceiling = resource.getrlimit(limit)[1]
        value = int(value) if ceiling == resource.RLIM_INFINITY else min(int(value), ceiling)
        # One second after SIGXCPU, which a program may ignore, comes SIGKILL, which it may not.
        hard = value + 1 if name == "RLIMIT_CPU" and value != ceiling else value
        resource.setrlimit(limit, (value, hard))
del sys.argv[1:]
with open("{_PROGRAM}", encoding="utf-8", newline="") as file:
    source = file.read()
exec(compile(source, "{_PROGRAM}", "exec"), {{"__name__": "__main__"}})
"""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a program may use before it is stopped.

    cpu_seconds: processor time, whole seconds.
    wall_seconds: time by the clock, start of the process included.
    memory_bytes: address space; an empty Python takes about 20 MB of it.
    output_bytes: standard output and standard error together.
    """

    cpu_seconds: int = 2
    wall_seconds: float = 10.0
    memory_bytes: int = 512 << 20
    output_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended.

    status: "ok" (exit code 0), "error" (another exit code), "timeout" (processor or clock),
        "memory" (it ended with a MemoryError), "output" (it wrote more than it may), "killed" (by
        another signal: a crash of the interpreter, or the kernel, short of memory).
    exit_code: None unless the program ended by itself.
    stdout, stderr: what it wrote until then.
    """

    status: Literal["ok", "error", "timeout", "memory", "output", "killed"]
    exit_code: int | None
    stdout: bytes
    stderr: bytes


def run_python(source: str, *, stdin: bytes = b"", limits: Limits | None = None) -> Outcome:
    """Run `source` as a program of this Python's standard library alone, and say how it ended.

    The program never sees the host's environment, working folder, site packages or open files.
    Raises `InputError` on a system without POSIX limits (Windows), `UnicodeEncodeError` for a
    source that holds lone surrogates.
    """
    if os.name != "posix":
        raise InputError(
            "the sandbox needs the resource limits of a POSIX system: run this on Linux or macOS."
        )
    limits = limits or Limits()
    deadline = time.monotonic() + limits.wall_seconds
    # A program may leave files behind that cannot be removed at once; that must not end a run.
    with tempfile.TemporaryDirectory(prefix="groundup-", ignore_cleanup_errors=True) as scratch:
        Path(scratch, _PROGRAM).write_bytes(source.encode("utf-8"))
        process = _start(scratch, limits)
        try:
            stdout, stderr, stopped = _exchange(process, stdin, limits.output_bytes, deadline)
            if stopped is None:
                stopped = _wait(process, deadline)
        finally:
            _kill_group(process)
    return _outcome(process.returncode, bytes(stdout), bytes(stderr), stopped)


def _start(scratch: str, limits: Limits) -> subprocess.Popen[bytes]:
    resources = {
        "RLIMIT_CPU": limits.cpu_seconds,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_NPROC": 0,
    }
    # No preexec_fn: it would copy the host's page tables, and can deadlock under threads.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", _BOOTSTRAP]
        + [f"{name}={value}" for name, value in resources.items()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=scratch,
        env={},
        start_new_session=True,
    )


def _exchange(
    process: subprocess.Popen[bytes], stdin: bytes, output_bytes: int, deadline: float
) -> tuple[bytearray, bytearray, Literal["timeout", "output"] | None]:
    """Feed and read the process until it closes its outputs, or the reason why it must stop."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    outputs: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    remaining = memoryview(stdin)
    stopped: Literal["timeout", "output"] | None = None
    with selectors.DefaultSelector() as selector:
        for pipe in outputs:
            selector.register(pipe, selectors.EVENT_READ)
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        while stopped is None and any(pipe in selector.get_map() for pipe in outputs):
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                if key.fileobj is process.stdin:
                    remaining = _feed(process.stdin, remaining)
                    if not remaining:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                elif data := os.read(key.fd, _CHUNK):
                    outputs[key.fileobj] += data  # pyright: ignore[reportArgumentType] a pipe of ours
                else:
                    selector.unregister(key.fileobj)
            if sum(map(len, outputs.values())) > output_bytes:
                stopped = "output"
            elif time.monotonic() >= deadline:
                stopped = "timeout"
    stdout, stderr = outputs.values()
    return stdout, stderr, stopped


def _feed(pipe: IO[bytes], remaining: memoryview) -> memoryview:
    """What is left after one write; nothing where the program no longer reads."""
    try:
        return remaining[os.write(pipe.fileno(), remaining[:_CHUNK]) :]
    except BlockingIOError:
        return remaining
    except BrokenPipeError:
        return remaining[:0]


def _wait(process: subprocess.Popen[bytes], deadline: float) -> Literal["timeout"] | None:
    """Wait for a process that has closed its outputs; it may go on without them."""
    try:
        process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return "timeout"
    return None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all that it started, and close its pipes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _outcome(
    code: int, stdout: bytes, stderr: bytes, stopped: Literal["timeout", "output"] | None
) -> Outcome:
    if stopped is not None:
        return Outcome(stopped, None, stdout, stderr)
    if code == -signal.SIGXCPU:
        return Outcome("timeout", None, stdout, stderr)
    if code < 0:
        return Outcome("killed", None, stdout, stderr)
    if code == 0:
        return Outcome("ok", 0, stdout, stderr)
    last_line = stderr.rstrip().rpartition(b"\n")[2]
    return Outcome("memory" if last_line == b"MemoryError" else "error", code, stdout, stderr)
