"""Writes small models in fastText's format, with weights that anybody can compute again."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HIERARCHICAL, NEGATIVE, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4


def waves(rows: int, width: int, step: float) -> np.ndarray:
    """[rows, width], numbers between −2 and 2 that all differ."""
    count = rows * width
    flat = [2 * math.sin(step * (i + 1)) for i in range(count)]
    return np.array(flat, np.float32).reshape(rows, width)


@dataclass
class Model:
    """part: where the matrices are quantised, numbers that a byte stands for. kept: buckets that
    have a row, with which it is. prefix: what the labels begin with."""

    words: Sequence[str] = ("</s>", "the", "cat", "été", "a")
    labels: Sequence[str] = ("yes", "no", "perhaps", "never", "一")
    counts: Sequence[int] = (50, 20, 9, 8, 1)
    loss: int = SOFTMAX
    words_in_a_row: int = 1
    shortest: int = 0
    longest: int = 0
    buckets: int = 0
    width: int = 5
    part: int = 0
    norms: bool = False
    quantised_output: bool = False
    kept: Sequence[tuple[int, int]] | None = None
    prefix: str = "__label__"
    version: int = 12
    kind: int = 3

    def bytes(self) -> bytes:
        head = struct.pack("<ii", 793712314, self.version)
        settings = [self.width, 5, 5, 1, 5, self.words_in_a_row, self.loss, self.kind]
        settings += [self.buckets, self.shortest, self.longest, 100]
        head += struct.pack("<12id", *settings, 1e-4)
        size = len(self.words) + len(self.labels)
        kept = -1 if self.kept is None else len(self.kept)
        head += struct.pack("<iiiqq", size, len(self.words), len(self.labels), 1000, kept)
        for word in self.words:
            head += word.encode() + b"\0" + struct.pack("<qb", 7, 0)
        for label, count in zip(self.labels, self.counts, strict=True):
            head += (self.prefix + label).encode() + b"\0" + struct.pack("<qb", count, 1)
        for bucket, row in self.kept or ():
            head += struct.pack("<ii", bucket, row)
        rows = len(self.words) + (self.buckets if self.kept is None else len(self.kept))
        head += self._matrix(rows, 0.7, bool(self.part))
        return head + self._matrix(len(self.labels), 1.3, self.quantised_output)

    def _matrix(self, rows: int, step: float, quantised: bool) -> bytes:
        if not quantised:
            data = struct.pack("<?qq", False, rows, self.width)
            return data + waves(rows, self.width, step).tobytes()
        parts = math.ceil(self.width / self.part)
        codes = bytes(37 * i % 256 for i in range(rows * parts))
        data = struct.pack("<??qqi", True, self.norms, rows, self.width, len(codes)) + codes
        data += self._centroids(self.width, self.part, step)
        if self.norms:
            data += bytes(91 * i % 256 for i in range(rows)) + self._centroids(1, 1, step / 2)
        return data

    @staticmethod
    def _centroids(width: int, part: int, step: float) -> bytes:
        parts = math.ceil(width / part)
        sizes = struct.pack("<4i", width, parts, part, width - (parts - 1) * part)
        return sizes + waves(256, width, step).tobytes()
