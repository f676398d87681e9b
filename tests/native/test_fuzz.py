"""The compiled core on random input, under the address and undefined-behaviour sanitizers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = os.environ.get("GROUNDUP_FUZZ_SECONDS", "2")
COMPILER = shutil.which("g++") or shutil.which("clang++")


@pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")
def test_random_input_is_handled_within_bounds(tmp_path: Path) -> None:
    program = tmp_path / "fuzz"
    native = ROOT / "src" / "native"
    flags = ["-std=c++17", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [Path(__file__).with_name("fuzz.cpp"), native / "window.cpp"]
    built = subprocess.run(
        [str(COMPILER), *flags, "-pthread", f"-I{native}", *map(str, sources), "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot find -lasan" in built.stderr or "cannot find -lubsan" in built.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    classes = ROOT / "src" / "groundup" / "tokenizers" / "unicode_classes.txt"
    for seed in ("1", str(int.from_bytes(os.urandom(4)))):
        done = subprocess.run(
            [str(program), str(classes), SECONDS, seed], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"seed {seed}: {done.stderr[-4000:]}"
        assert int(done.stdout.split()[0]) > 0
