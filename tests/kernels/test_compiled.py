"""Every kernel compiles for a GPU, though no test here runs on one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

KERNELS = {
    "rms_norm._forward",
    "rms_norm._backward",
    "rms_norm._sum_rows",
    "swiglu._forward",
    "swiglu._backward",
    "rotary._kernel",
    "linear_cross_entropy._losses",
    "linear_cross_entropy._gradients",
    "grouped._linear",
    "grouped._outer",
    "flash_attention.forward",
    "flash_attention.delta",
    "flash_attention.backward_keys",
    "flash_attention.backward_queries",
    "paged_attention._read",
    "paged_attention._join",
    "matvec._matvec",
    "take_in._take_in",
}
# Of single tokens' attention the products are too small for the units of a whole warp group.
PRODUCTS = {name for name in KERNELS if name.startswith(("grouped", "flash"))} - {
    "flash_attention.delta"
}
SHARED_BYTES = 227 * 1024  # of an H100's multiprocessor, as much as a program may have


def test_kernels_compile_for_an_h100_fit_it_and_use_its_matrix_units(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, Path(__file__).parent / "compile_for_h100.py"],
        env={**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert {name for name, _, _ in lines} == KERNELS
    assert all(int(shared) <= SHARED_BYTES for _, shared, _ in lines)
    assert {name for name, _, products in lines if int(products)} == PRODUCTS
