"""Classifiers that fastText trained, read and applied here (Joulin et al. 2016, "Bag of Tricks").

    hidden(text)  = mean over the text's words and n-grams of row(input, ·)
    outputs(text) = output · hidden(text)

A text is one line: what stands between white space is a word, and behind the last one comes `</s>`,
the end of the line. A word has a row if training saw it often enough, and its characters in a row,
with `<` before and `>` behind it, share rows by a hash, as words in a row do (Bojanowski et al.
2017). That is how models in 176 languages are a megabyte, and how unknown words are not lost.

What the outputs mean is up to the loss of the training: a softmax, a sigmoid for each label, or the
turns on the way down a Huffman tree of the labels (Joulin et al. 2016, section 2.1).

The probabilities are fastText's own without the 1e-5 that it adds to each, or to each of the turns.

`core` has the way to the hidden vector in C++.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundup.core.native import core
from groundup.curate.classify.fasttext_file import FastTextFile, Matrix, Quantised, read_fasttext

_SPACE = re.compile(rb"[ \n\r\t\v\f\0]+")
_END = b"</s>"
_PREFIX = b"__label__"
_32_BITS, _64_BITS = (1 << 32) - 1, (1 << 64) - 1
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193
_ROW = 116049371  # by which the hash of words in a row is multiplied for each more
_MORE_THAN_ANY = 10**15  # the count of a node of the tree that is not made yet
_SIGMOID_LIMIT, _SIGMOID_STEPS = 8, 32


def load_fasttext(path: Path) -> "FastTextModel":
    """Raises `InputError` where the file is no classifier of fastText's."""
    file = read_fasttext(path)
    names = (label.removeprefix(_PREFIX) for label in file.labels)
    return FastTextModel(file, tuple(name.decode("utf-8", "backslashreplace") for name in names))


@dataclass(frozen=True)
class FastTextModel:
    """labels: without the prefix by which fastText knows them."""

    file: FastTextFile
    labels: tuple[str, ...]

    def probabilities(self, texts: list[str]) -> NDArray[np.float32]:
        """[texts, labels]; each row of sum 1, unless the labels do not exclude each other."""
        hidden = self.hidden(texts)
        if self.file.loss == "tree":
            return self._tree.probabilities(hidden, self.file.output)
        outputs = hidden @ self.file.output.T
        return _softmax(outputs) if self.file.loss == "softmax" else _sigmoid_by_table(outputs)

    def hidden(self, texts: list[str]) -> NDArray[np.float32]:
        """[texts, width]; zeros where nothing of a text has a row."""
        if core is not None:
            return self._compiled.hidden(texts)
        width = self.file.output.shape[1]
        means = np.zeros((len(texts), width), np.float32)
        for mean, text in zip(means, texts, strict=True):
            if numbers := list(self.reference(text)):
                mean[:] = _rows(self.file.input, numbers).mean(0)
        return means

    def reference(self, text: str) -> Iterator[int]:
        """The numbers of the text's rows."""
        hashes: list[int] = []
        for word in _words(text.encode("utf-8")):
            number = self._numbers.get(word)
            if word.startswith(_PREFIX) if number is None else number < 0:
                continue  # a label is no word
            if number is not None:
                yield number
            if word != _END:
                yield from self._of_characters(b"<" + word + b">")
            hashes.append(_fnv(word))
        for begin, row in enumerate(hashes):
            for other in hashes[begin + 1 : begin + self.file.words_in_a_row]:
                row = (row * _ROW + other) & _64_BITS
                yield from self._of_bucket(row % self.file.buckets)

    def _of_characters(self, word: bytes) -> Iterator[int]:
        begins = [at for at, byte in enumerate(word) if byte & 0xC0 != 0x80]
        ends = [*begins[1:], len(word)]
        for first, begin in enumerate(begins):
            for last in range(first + self.file.shortest, first + self.file.longest + 1):
                if last > len(ends):
                    break
                if last - first == 1 and (first == 0 or last == len(ends)):
                    continue  # an end of the word by itself
                value = _fnv(word[begin : ends[last - 1]]) & _32_BITS
                yield from self._of_bucket(value % self.file.buckets)

    def _of_bucket(self, bucket: int) -> Iterator[int]:
        row = bucket if self.file.kept is None else self._kept.get(bucket)
        if row is not None:
            yield len(self.file.words) + row

    @cached_property
    def _numbers(self) -> dict[bytes, int]:
        """Of words; −1 of labels. Of equal ones the first counts."""
        of_words = ((word, number) for number, word in enumerate(self.file.words))
        return dict.fromkeys(self.file.labels, -1) | dict(reversed(list(of_words)))

    @cached_property
    def _kept(self) -> dict[int, int]:
        assert self.file.kept is not None
        return dict(self.file.kept.tolist())

    @cached_property
    def _tree(self) -> "_Tree":
        return _tree(self.file.label_counts)

    @cached_property
    def _compiled(self):
        assert core is not None
        file = self.file
        sizes = file.words_in_a_row, file.shortest, file.longest, file.buckets
        kept = None if file.kept is None else file.kept.tolist()
        if isinstance(file.input, Quantised):
            matrix = file.input
            quantised = matrix.width, matrix.part, matrix.codes, matrix.centroids, matrix.norms
            return core.FastText(file.words, file.labels, sizes, kept, None, quantised)
        return core.FastText(file.words, file.labels, sizes, kept, file.input, None)


class _Tree(NamedTuple):
    """left, right: the nodes below each node that is no label's, the first of which has the number
    of labels. levels: such nodes by how far they are below the root."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    levels: list[NDArray[np.int64]]

    def probabilities(
        self, hidden: NDArray[np.float32], output: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        labels = len(output)
        rightward = _sigmoid(output[: len(self.left)] @ hidden.T)
        reached = np.ones((2 * labels - 1, len(hidden)), np.float32)
        for nodes in self.levels:
            share = rightward[nodes] * reached[labels + nodes]
            reached[self.right[nodes]] = share
            reached[self.left[nodes]] = reached[labels + nodes] - share
        return reached[:labels].T


def _tree(counts: list[int]) -> _Tree:
    """Huffman's, where labels stand from the most frequent to the rarest: what is joined next is
    the rarest label that is left, or the node that was made first and is in no other yet."""
    labels = len(counts)
    of_node = [*counts, *[_MORE_THAN_ANY] * (labels - 1)]
    leaf, node = labels - 1, labels
    pairs = []
    for made in range(labels, 2 * labels - 1):
        pair = []
        for _ in range(2):
            if leaf >= 0 and of_node[leaf] < of_node[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        of_node[made] = of_node[pair[0]] + of_node[pair[1]]
        pairs.append(pair)
    left, right = np.array(pairs, np.int64).reshape(-1, 2).T
    levels, level = [], np.arange(len(left))[-1:]  # the root was made last
    while len(level):
        levels.append(level)
        below = np.concatenate([left[level], right[level]]) - labels
        level = below[below >= 0]
    return _Tree(left, right, levels)


def _words(text: bytes) -> Iterator[bytes]:
    """Up to the end of the line, which a text can hold itself."""
    for word in filter(None, _SPACE.split(text)):
        if word == _END:
            break
        yield word
    yield _END


def _fnv(content: bytes) -> int:
    """FNV-1a as fastText has it: a byte is a signed number, which is widened to 32 bits. Of its
    result too: 64 bits, the upper ones all as the highest of the lower."""
    value = _FNV_OFFSET
    for byte in content:
        value = (value ^ (byte | 0xFFFFFF00 if byte >= 0x80 else byte)) * _FNV_PRIME & _32_BITS
    return value | (_64_BITS ^ _32_BITS if value >> 31 else 0)


def _rows(matrix: Matrix, numbers: list[int]) -> NDArray[np.float32]:
    return matrix.rows(numbers) if isinstance(matrix, Quantised) else matrix[numbers]


def _softmax(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(outputs - outputs.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _sigmoid(outputs: NDArray[Any]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-np.clip(outputs, -80, 80)))).astype(np.float32)


def _sigmoid_by_table(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """As fastText, which knows the sigmoid at every 32nd of a unit up to 8, and takes the next one
    below."""
    limited = np.clip(outputs, -_SIGMOID_LIMIT, _SIGMOID_LIMIT)
    below = np.floor(limited * _SIGMOID_STEPS) / _SIGMOID_STEPS
    return np.where(outputs == limited, _sigmoid(below), outputs > 0).astype(np.float32)
