"""The hot loops of tokenization, of optimizers and of layers in C++ (src/native);
groundup.tokenizers, groundup.optim and groundup.kernels.cpu say what each returns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

class BytePairs:
    """Encodes by byte-pair merging.

    classes: a bit for each code point (`tokenizers.unicode.classes`). pattern: a name in
    `PATTERNS`, or None: then only `merge` works. byte_ids: the id of each byte. merges: rows of
    left, right and the id that they become. orders: of each merge, not falling. tokens: with their
    ids, the most frequent first. whole: a piece that is a token becomes its id without merging.
    """

    def __init__(
        self,
        classes: bytes,
        pattern: str | None,
        byte_ids: Sequence[int],
        merges: NDArray[np.uint32],
        orders: Sequence[int],
        tokens: Sequence[tuple[bytes, int]],
        whole: bool,
    ) -> None: ...
    def encode(self, text: str) -> list[int]: ...
    def encode_batch(self, texts: list[str], threads: int) -> list[list[int]]: ...
    def encode_to_numpy(
        self, texts: list[str], threads: int
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The ids of the texts one after the other, and where each ends."""

    def merge(self, piece: bytes) -> list[int]: ...

def piece_ends(classes: bytes, pattern: str, text: str) -> NDArray[np.int64]:
    """Where each piece ends, in bytes of the text's UTF-8."""

class Vocabulary:
    """The bytes of ids. tokens: of each id, None where an id has no token."""

    def __init__(self, tokens: Sequence[bytes | None]) -> None: ...
    def decode(self, ids: NDArray[np.integer] | Sequence[int]) -> bytes | int:
        """The bytes of the ids, or the first id that has no token."""

class Counter:
    """How often each piece occurs in the texts that were counted."""

    def __init__(self, classes: bytes) -> None: ...
    def count(self, texts: list[str], pattern: str, threads: int) -> None: ...
    def add(self, pieces: bytes, ends: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """More of pieces that stand one after the other, as `pieces` returns them."""

    def drop_rare(self, most: int) -> int:
        """If there are more than `most` pieces, drop the rarest, down to half as many or fewer:
        those that occur no more often than the number that is returned."""

    def size(self) -> int: ...
    def pieces(self) -> tuple[bytes, NDArray[np.int64], NDArray[np.int64]]:
        """The pieces one after the other, where each ends, and how often it occurs."""

class Trainer:
    """Learns merges from counts; `least` is the least frequency, `longest` of a token in bytes."""

    def __init__(self, counter: Counter, least: int, longest: int) -> None: ...
    def learn(self, wanted: int) -> list[tuple[int, int]]:
        """Up to `wanted` more merges; fewer, if no pairs are left."""

Parameter = Sequence[NDArray[np.float32]]  # weight, gradient, kept arrays: of one length

class PageReader:
    """tables: elements that are told apart; those in a line, without contents, of raw text, and
    skipped; words in attributes that hint at something."""

    def __init__(
        self,
        tables: tuple[
            Sequence[str],
            Sequence[str],
            Sequence[str],
            Sequence[str],
            Sequence[str],
            Sequence[Sequence[str]],
        ],
    ) -> None: ...
    def read(self, html: str) -> tuple[list[str], *tuple[NDArray[np.int32], ...]]: ...

class FastText:
    """sizes: words in a row, shortest and longest row of characters, buckets. kept: buckets that
    have a row, and which. numbers: the input matrix; or quantised: its width, the numbers of a
    part, codes, centroids, norms (`FastTextFile`)."""

    def __init__(
        self,
        words: Sequence[bytes],
        labels: Sequence[bytes],
        sizes: tuple[int, int, int, int],
        kept: Sequence[Sequence[int]] | None,
        numbers: NDArray[np.float32] | None,
        quantised: tuple[int, int, NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]
        | None,
        /,
    ) -> None: ...
    def hidden(self, texts: list[str], /) -> NDArray[np.float32]:
        """[texts, width]"""

def cues(
    text: str, /
) -> tuple[
    list[tuple[int, int]], list[tuple[int, int]], list[tuple[int, int]], list[tuple[int, int]]
]:
    """Begin and end of each: at, number, code, hexadecimal."""

class KnownShingles:
    """sorted: without repeats."""

    def __init__(self, width: int, punctuation: bool, sorted: NDArray[np.uint64], /) -> None: ...
    def find(self, text: str, /) -> NDArray[np.int64]:
        """[3, found]: numbers of the known shingles, and the characters where they begin and
        end."""

def shingles(text: str, width: int, punctuation: bool, /) -> NDArray[np.uint64]: ...
def rows(
    texts: list[str], width: int, punctuation: bool, /
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Shingles of all texts, as they stand, and where each text's end."""

def shared(one: NDArray[np.uint64], other: NDArray[np.uint64], /) -> int:
    """How many numbers two sorted arrays without repeats have in common."""

def keys(texts: list[str], /) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """[texts, 2], and how many words each has."""

def minhash(
    texts: list[str],
    width: int,
    punctuation: bool,
    factors: list[int],
    offsets: list[int],
    /,
) -> NDArray[np.uint32]:
    """[texts, permutations]"""

def word_counts(text: str, classes: bytes, /) -> tuple[int, int, int, int, int, int]:
    """Words, characters, letters, numbers, words with a letter, stop words."""

def repeated_rows(text: str, /) -> list[int]:
    """Characters of rows of 2 to 10 words."""

def features(
    texts: list[str], kind: tuple[int, int, int, int], /
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Buckets and where each text's end; kind: bits, words, shortest, longest."""

def sums(
    texts: list[str], kind: tuple[int, int, int, int], weights: NDArray[np.int8], /
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sums of the buckets' weights, [texts, classes], and how many they are."""

def word_keys(texts: list[str], order: int, /) -> NDArray[np.uint64]:
    """[words, order], of each word the keys of rows of words that end there; 0 where there are not
    so many."""

def log_likelihoods(
    texts: list[str], order: int, table: NDArray[np.uint32], unknown: float, /
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sums of the logarithms of the words' probabilities, and how many words there are."""

def learn(
    features: NDArray[np.uint32],
    ends: NDArray[np.int64],
    labels: NDArray[np.int32],
    importance: NDArray[np.float32],
    order: NDArray[np.int64],
    first: float,
    fall: float,
    weights: NDArray[np.float32],
    squares: NDArray[np.float32],
    bias: NDArray[np.float32],
    bias_squares: NDArray[np.float32],
    /,
) -> None:
    """Steps down the cross-entropy, in place."""

def adam(
    parameters: list[Parameter],
    threads: int,
    shrink: float,
    penalty: float,
    beta1: float,
    beta2: float,
    rate: float,
    root: float,
    eps: float,
    /,
) -> None:
    """A step of Adam or AdamW in place. shrink: factor of the weight before it. penalty: times the
    weight, added to the gradient. rate, root: the step size and the factor of the second moment's
    root, with the corrections of bias."""

def lion(
    parameters: list[Parameter],
    threads: int,
    shrink: float,
    beta1: float,
    beta2: float,
    rate: float,
    /,
) -> None:
    """A step of Lion in place; the kept array is the momentum."""

def schedule_free(
    parameters: list[Parameter],
    threads: int,
    decay: float,
    beta1: float,
    beta2: float,
    rate: float,
    root: float,
    eps: float,
    back: float,
    share: float,
    /,
) -> None:
    """A step of schedule-free AdamW in place. The weight is y, the kept arrays z and the second
    moment. back: of y towards z, where x is. share: of z in the new x."""

def loop_kinds() -> list[str]:
    """The kinds of loops for layers that this processor bears, from the narrowest to the widest."""

def choose_loops(kind: str, /) -> None:
    """Take loops of this kind, and not the widest."""

# Of the layers: threads, and whether numbers are bfloat16 and not float32; then arrays, by their
# addresses, and sizes. `kernels.cpu` says what they compute.

def norm(
    threads: int,
    narrow: bool,
    x: int,
    weight: int,
    y: int,
    scales: int,
    rows: int,
    width: int,
    eps: float,
    /,
) -> None: ...
def norm_back(
    threads: int,
    narrow: bool,
    x: int,
    weight: int,
    scales: int,
    dy: int,
    dx: int,
    dweight: int,
    rows: int,
    width: int,
    eps: float,
    /,
) -> None: ...
def gate(threads: int, narrow: bool, gate: int, up: int, y: int, count: int, /) -> None: ...
def gate_back(
    threads: int, narrow: bool, gate: int, up: int, dy: int, dgate: int, dup: int, count: int, /
) -> None: ...
def dropout(
    threads: int, narrow: bool, x: int, seed: int, y: int, count: int, drop: int, scale: float, /
) -> None: ...
def heads(
    threads: int,
    narrow: bool,
    x: int,
    share: int,
    first: int,
    weight: int,
    cos: int,
    sin: int,
    y: int,
    scales: int,
    batch: int,
    positions: int,
    heads: int,
    width: int,
    rotated: int,
    own_angles: bool,
    eps: float,
    /,
) -> None: ...
def heads_back(
    threads: int,
    narrow: bool,
    x: int,
    share: int,
    first: int,
    weight: int,
    cos: int,
    sin: int,
    scales: int,
    dy: int,
    dx: int,
    dweight: int,
    dshare: int,
    batch: int,
    positions: int,
    heads: int,
    width: int,
    rotated: int,
    own_angles: bool,
    eps: float,
    /,
) -> None: ...
def softmax(
    threads: int,
    narrow: bool,
    logits: int,
    mask: int,
    y: int,
    matrices: int,
    rows: int,
    columns: int,
    visible: int,
    masks: int,
    scale: float,
    /,
) -> None: ...
def softmax_back(
    threads: int,
    narrow: bool,
    y: int,
    dy: int,
    dx: int,
    matrices: int,
    rows: int,
    columns: int,
    visible: int,
    scale: float,
    /,
) -> None: ...
def log_sums(
    threads: int, narrow: bool, logits: int, sums: int, rows: int, columns: int, /
) -> None: ...
def losses_back(
    threads: int,
    narrow: bool,
    logits: int,
    sums: int,
    targets: int,
    a: int,
    b: int,
    dx: int,
    rows: int,
    columns: int,
    /,
) -> None: ...

# Of a model that generates. Numbers are addresses and sizes; see src/native/serving.h and block.h.

class Matrix:
    def __init__(
        self, weights: int, scales: int, bias: int, inner: int, outputs: int, /
    ) -> None: ...

class TokenHeads:
    def __init__(
        self,
        heads: int,
        key_heads: int,
        width: int,
        query_weight: int,
        key_weight: int,
        eps: float,
        key_share: int,
        value_share: int,
        /,
    ) -> None: ...

class Places:
    def __init__(
        self, tokens: int, rotated: int, cos: int, sin: int, slots: int, before: int, /
    ) -> None: ...

class Kept:
    def __init__(self, keys: int, values: int, newest: int, /) -> None: ...

class Pages:
    def __init__(self, tables: int, first: int, last: int, columns: int, /) -> None: ...

class Reading:
    def __init__(
        self,
        heads: int,
        key_heads: int,
        width: int,
        value_width: int,
        value_stride: int,
        scale: float,
        softcap: float,
        sinks: int,
        /,
    ) -> None: ...

class Branch:
    def __init__(self, norm: int, post: int, inward: Matrix, outward: Matrix, /) -> None: ...

class Block:
    def __init__(
        self, heads: TokenHeads, reading: Reading, eps: float, attention: Branch, mlp: Branch, /
    ) -> None: ...

def product(threads: int, narrow: bool, matrix: Matrix, x: int, y: int, rows: int, /) -> None: ...
def take_in(
    threads: int,
    narrow: bool,
    heads: TokenHeads,
    places: Places,
    kept: Kept,
    x: int,
    queries: int,
    /,
) -> None: ...
def gate_rows(threads: int, narrow: bool, x: int, y: int, rows: int, width: int, /) -> None: ...
def reach(
    threads: int,
    narrow: bool,
    reading: Reading,
    pages: Pages,
    keys: int,
    values: int,
    queries: int,
    tokens: int,
    token_stride: int,
    head_stride: int,
    y: int,
    /,
) -> None: ...
def block(
    threads: int,
    narrow: bool,
    block: Block,
    places: Places,
    pages: Pages,
    kept: Kept,
    x: int,
    projected: int,
    y: int,
    /,
) -> None: ...
