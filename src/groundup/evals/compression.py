"""Compressors as a yardstick: a language model that predicts text compresses it (Shannon 1948), so
what gzip and xz make of the same held-out text is a bar that a model must pass.
"""

import gzip
import lzma


def gzip_bits_per_byte(text: bytes) -> float:
    """Bits per byte of `gzip -9`."""
    return 8 * len(gzip.compress(text, compresslevel=9, mtime=0)) / len(text)


def xz_bits_per_byte(text: bytes) -> float:
    """Bits per byte of `xz -9`."""
    return 8 * len(lzma.compress(text, preset=9)) / len(text)
