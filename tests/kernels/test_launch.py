"""Launches are looked up, and never guessed at run time."""

import subprocess
import sys

import pytest

pytest.importorskip("triton")
from groundup.kernels.launch import of_length, power_of_two

TABLE = {1024: (2, 8, 4), 4096: (1, 4, 1)}


@pytest.mark.parametrize(
    ("length", "launch"),
    [(1024, (2, 8, 4)), (256, (8, 8, 4)), (1, (2048, 8, 4)), (4096, (1, 4, 1)), (8192, (1, 4, 1))],
)
def test_rows_shorter_and_longer_than_the_table_knows(length: int, launch: tuple[int, ...]) -> None:
    assert of_length(TABLE, length) == launch


def test_lengths_are_powers_of_two() -> None:
    assert [power_of_two(size) for size in (1, 2, 3, 4, 1000, 1025)] == [1, 2, 4, 4, 1024, 2048]


def test_without_triton_a_sentence_names_the_extra() -> None:
    lacking = (
        "import sys; sys.modules['triton'] = None; from groundup.core.errors import GroundupError\n"
        "try: import groundup.kernels.swiglu\n"
        "except GroundupError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", lacking], capture_output=True, text=True)
    assert done.stdout.strip() == (
        "A kernel needs an optional dependency: run pip install 'groundup[triton]'."
    ), done.stderr
