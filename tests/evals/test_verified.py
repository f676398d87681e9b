"""Wilson's interval against scipy's values, and compressors against the programs."""

import gzip
import lzma
import os

import pytest

from groundup.evals import gzip_bits_per_byte, xz_bits_per_byte
from groundup.evals.verified import wilson_interval


@pytest.mark.parametrize(
    ("passed", "n", "low", "high"),
    # scipy.stats.binomtest(k, n).proportion_ci(method="wilson"), rounded
    [
        (0, 10, 0.0, 0.27753),
        (10, 10, 0.72247, 1.0),
        (50, 100, 0.40383, 0.59617),
        (3, 128, 0.00800, 0.06664),
    ],
)
def test_wilson(passed: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(passed, n) == pytest.approx((low, high), abs=5e-5)


def test_noise_cannot_be_compressed_and_repetition_can() -> None:
    noise, repetition = os.urandom(20_000), b"ab" * 10_000
    for bits, decompress in ((gzip_bits_per_byte, gzip), (xz_bits_per_byte, lzma)):
        assert 8.0 <= bits(noise) < 8.1, decompress
        assert bits(repetition) < 0.1
