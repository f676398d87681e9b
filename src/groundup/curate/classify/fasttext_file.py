"""The files of fastText's classifiers: `.bin`, and `.ftz`, whose matrices are compressed.

All numbers are little-endian; a file has, one after the other,

    head        a magic number and the version, 11 or 12
    settings    12 integers and a real number
    dictionary  the words, the labels behind them, each with its count; the buckets that are kept
    input       a matrix with a row for each word and each bucket of n-grams
    output      a matrix with a row for each label

A bucket of n-grams is a hash of a few words in a row, or of a few characters of a word. A
compressed model keeps the buckets that mattered in training (Joulin et al. 2016, "FastText.zip",
section 4), and puts a row together from centroids, a byte for every few numbers (product
quantisation: Jégou, Douze and Schmid 2011), with the row's norm as a byte of its own.

What a file says of itself is believed only as far as its bytes go.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import InputError

_MAGIC, _VERSIONS = 793712314, (11, 12)
_SUPERVISED = 3  # and not word vectors
_LOSSES = {1: "tree", 2: "sigmoid", 3: "softmax", 4: "sigmoid"}  # hs, ns, softmax, ova
_WORD, _LABEL = 0, 1
_CENTROIDS = 256  # that a byte tells apart
_MOST_IN_A_ROW = 100  # words or characters: each costs time for every one of a text
_MOST_COUNTED = 10**15  # of a label; what fastText takes for more than any count


@dataclass(frozen=True)
class Quantised:
    """A matrix whose rows are put together from centroids.

    codes: uint8 [rows, parts]. centroids: float32; 256 of the first part, of `part` numbers each,
    then those of the next; the last part has what is left of `width`. norms: float32 [rows], which
    the rows are multiplied by.
    """

    width: int
    part: int
    codes: NDArray[np.uint8]
    centroids: NDArray[np.float32]
    norms: NDArray[np.float32]

    def rows(self, numbers: Any) -> NDArray[np.float32]:
        """[len(numbers), width]"""
        parts = []
        for number, begin in enumerate(range(0, self.width, self.part)):
            size = min(self.part, self.width - begin)
            of_part = self.centroids[_CENTROIDS * begin : _CENTROIDS * (begin + size)]
            parts.append(of_part.reshape(_CENTROIDS, size)[self.codes[numbers, number]])
        return np.concatenate(parts, axis=1) * self.norms[numbers, None]


Matrix = NDArray[np.float32] | Quantised


@dataclass(frozen=True)
class FastTextFile:
    """words, labels: as bytes. label_counts: how often each label was seen in training.

    loss: what the outputs mean. words_in_a_row: at most, in an n-gram. shortest, longest:
    characters in a row; none where longest is 0. buckets: into which n-grams are hashed. kept:
    int32 [kept, 2], of each bucket that has a row its number and which it is of the rows behind
    those of the words; None where all have one. output: float32 [labels, width].
    """

    words: list[bytes]
    labels: list[bytes]
    label_counts: list[int]
    loss: str
    words_in_a_row: int
    shortest: int
    longest: int
    buckets: int
    kept: NDArray[np.int32] | None
    input: Matrix
    output: NDArray[np.float32]


def read_fasttext(path: Path) -> FastTextFile:
    """Raises `InputError` where the file is no classifier of fastText's."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data).file()
    except MemoryError as error:
        raise InputError(f"{path} needs more memory than there is.") from error
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path} is no fastText classifier that can be read ({reason})."
        ) from error


class _Reader:
    """Takes one thing after the other. Raises `ValueError` where they do not fit."""

    def __init__(self, data: mmap.mmap):
        self._data, self._at = data, 0

    def file(self) -> FastTextFile:
        magic, version = self._numbers("ii")
        if magic != _MAGIC:
            raise ValueError("it does not begin as one")
        if version not in _VERSIONS:
            raise ValueError(f"its format is version {version}, and 11 and 12 are known")
        settings = self._numbers("12i")
        width, words_in_a_row, loss, model, buckets, shortest, longest = (
            settings[i] for i in (0, 5, 6, 7, 8, 9, 10)
        )
        self._numbers("d")
        if version == 11:  # had no characters in a row in classifiers
            longest = 0
        if model != _SUPERVISED:
            raise ValueError("it holds word vectors and no classifier")
        if loss not in _LOSSES:
            raise ValueError(f"its loss is number {loss}, which is none")
        if max(words_in_a_row, longest) > _MOST_IN_A_ROW:
            raise ValueError(f"it takes more than {_MOST_IN_A_ROW} words or characters in a row")
        words, labels, label_counts, kept = self._dictionary(buckets)
        matrix, quantised = self._matrix()
        if kept is not None and not quantised:
            raise ValueError("buckets are left out, and its matrix is not quantised")
        output, _ = self._matrix(quantised)
        if isinstance(output, Quantised):
            output = output.rows(np.arange(len(output.codes)))
        has_buckets = words_in_a_row > 1 or longest > 0
        if has_buckets and kept is None and buckets < 1:
            raise ValueError("it has no buckets for its n-grams")
        rows = len(words) + (len(kept) if kept is not None else buckets if has_buckets else 0)
        if _shape(matrix)[0] < rows or _shape(matrix)[1] != width:
            raise ValueError("its input matrix is of another shape than its dictionary says")
        if output.shape != (len(labels), width):
            raise ValueError("its output matrix is of another shape than its dictionary says")
        return FastTextFile(
            words=words,
            labels=labels,
            label_counts=label_counts,
            loss=_LOSSES[loss],
            words_in_a_row=max(1, words_in_a_row),
            shortest=max(1, shortest),
            longest=max(0, longest),
            buckets=max(1, buckets),
            kept=kept,
            input=matrix,
            output=output,
        )

    def _dictionary(
        self, buckets: int
    ) -> tuple[list[bytes], list[bytes], list[int], NDArray[np.int32] | None]:
        size, word_count, label_count = self._numbers("iii")
        _, kept_count = self._numbers("qq")
        entries: dict[int, list[bytes]] = {_WORD: [], _LABEL: []}
        label_counts = []
        for number in range(size):
            end = self._data.find(b"\0", self._at)
            if end < 0:
                raise ValueError("it ends within its dictionary")
            text, self._at = self._data[self._at : end], end + 1
            count, kind = self._numbers("qb")
            if kind != (_WORD if number < word_count else _LABEL):
                raise ValueError("its words do not stand before its labels")
            entries[kind].append(text)
            if kind == _LABEL:
                label_counts.append(count)
        words, labels = entries[_WORD], entries[_LABEL]
        if (len(words), len(labels)) != (word_count, label_count) or not labels:
            raise ValueError("it has not as many words and labels as it says")
        if not all(0 <= count < _MOST_COUNTED for count in label_counts):
            raise ValueError("a label's count is out of range")
        if kept_count < 0:
            return words, labels, label_counts, None
        kept = self._array(np.int32, 2 * kept_count).reshape(-1, 2)
        if kept_count and not ((kept >= 0) & (kept < (buckets, kept_count))).all():
            raise ValueError("a bucket that it keeps is out of range")
        return words, labels, label_counts, kept

    def _matrix(self, may_be_quantised: bool = True) -> tuple[Matrix, bool]:
        """And whether the file says that it is quantised."""
        (flag,) = self._numbers("?")
        if flag and may_be_quantised:
            return self._quantised(), True
        rows, width = self._numbers("qq")
        return self._array(np.float32, _product(rows, width)).reshape(rows, width), False

    def _quantised(self) -> Quantised:
        (has_norms,) = self._numbers("?")
        rows, width = self._numbers("qq")
        (size,) = self._numbers("i")
        codes = self._array(np.uint8, size)
        centroids, part = self._centroids(width)
        parts = -(-width // part)
        if size != _product(rows, parts):
            raise ValueError("its codes do not fit its quantised matrix")
        norms = np.ones(rows, np.float32)
        if has_norms:
            norm_codes = self._array(np.uint8, rows)
            norms = self._centroids(1)[0][norm_codes]
        return Quantised(width, part, codes.reshape(rows, parts), centroids, norms)

    def _centroids(self, width: int) -> tuple[NDArray[np.float32], int]:
        """Those of rows of that width, and how many numbers a part has."""
        stated, parts, part, last = self._numbers("4i")
        fits = stated == width and part > 0 and 0 < last <= part
        if not fits or (parts - 1) * part + last != width:
            raise ValueError("its centroids do not fit its quantised matrix")
        return self._array(np.float32, width * _CENTROIDS), part

    def _numbers(self, kinds: str) -> tuple[Any, ...]:
        layout = struct.Struct("<" + kinds)
        if layout.size > len(self._data) - self._at:
            raise ValueError("it is cut short")
        numbers = layout.unpack_from(self._data, self._at)
        self._at += layout.size
        return numbers

    def _array(self, kind: Any, count: int) -> NDArray[Any]:
        size = count * np.dtype(kind).itemsize
        if not 0 <= size <= len(self._data) - self._at:
            raise ValueError("it is cut short, or counts more than it holds")
        little = np.dtype(kind).newbyteorder("<")
        array = np.frombuffer(self._data, little, count, self._at).astype(kind)
        self._at += size
        if kind == np.float32 and not np.isfinite(array).all():
            raise ValueError("it holds numbers that are none")
        return array


def _product(rows: int, width: int) -> int:
    if rows < 0 or width < 1:
        raise ValueError("a matrix has less than no rows, or no columns")
    return rows * width


def _shape(matrix: Matrix) -> tuple[int, int]:
    if isinstance(matrix, Quantised):
        return len(matrix.codes), matrix.width
    return matrix.shape[0], matrix.shape[1]
