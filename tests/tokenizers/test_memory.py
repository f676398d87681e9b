"""Encoding takes as much memory as it says, under a limit that the operating system enforces."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from groundup.core.native import core

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the limit is read from /proc"),
    pytest.mark.skipif(core is None, reason="the compiled core is not installed"),
]

_LIMITED = """
import itertools, resource, sys
from groundup.tokenizers import train_bpe

def megabytes(field):
    status = dict(line.split(":") for line in open("/proc/self/status"))
    return int(status[field].split()[0]) / 1024

def again(path):
    while True:
        yield from open(path, encoding="utf-8")

path, text = sys.argv[1], open(sys.argv[1], encoding="utf-8").read()
tokenizer = train_bpe([text], vocab_size=2000)
"""

_ITERATION = """
once = text.count("\\n")
stream = tokenizer.encode_iterable(again(path))
for ids in itertools.islice(stream, 2 * once):
    pass
del text
allowed = int((megabytes("VmSize") + 1) * 2**20)
resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
before, tokens = megabytes("VmRSS"), 0
for line, ids in enumerate(itertools.islice(stream, 60 * once)):
    tokens += len(ids)
    if line % 1000 == 0:
        assert megabytes("VmRSS") - before < 1, (line, megabytes("VmRSS"), before)
print(tokens)
"""

_LONG_TEXT = """
text = text * (20_000_000 // len(text))
tokenizer.encode_ordinary("warm")
before = megabytes("VmRSS")
resource.setrlimit(resource.RLIMIT_AS, (int((megabytes("VmSize") + 150) * 2**20),) * 2)
ids, _ = tokenizer.encode_to_numpy([text], threads=2)
grown = megabytes("VmHWM") - before
assert grown < 64, grown
print(len(ids))
"""

_NO_MORE_THREADS = """
text = text * (500_000 // len(text))
ids, _ = tokenizer.encode_to_numpy([text] * 3, threads=3)
assert ids.tolist() == 3 * tokenizer.encode_ordinary(text)
print(len(ids))
"""


def run(script: str, path: Path, under: tuple[str, ...] = ()) -> int:
    done = subprocess.run(
        [*under, sys.executable, "-c", _LIMITED + script, str(path)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.fixture
def file(source_files: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(source_files) + "naïve 北京 🙂\n", encoding="utf-8")
    return path


def test_iterating_over_a_file_of_any_size_takes_less_than_a_megabyte_more(file: Path) -> None:
    assert run(_ITERATION, file) > 1_000_000


def test_a_long_text_takes_less_than_64_megabytes_with_its_ids(file: Path) -> None:
    assert run(_LONG_TEXT, file) > 3_000_000


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_where_the_system_gives_no_more_threads_one_does_the_work(file: Path) -> None:
    # the stack of a thread would be as large as all addresses that there are
    assert run(_NO_MORE_THREADS, file, ("prlimit", f"--stack={2**47}")) > 300_000
