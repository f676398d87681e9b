"""A random permutation of 0 … n−1 that is computed index by index, in constant memory.

A four-round Feistel network over two digits permutes 0 … w·h − 1, of which n leaves out less than w
(the generalised Feistel cipher of Black and Rogaway 2002, "Ciphers with arbitrary finite domains");
an index that lands outside 0 … n−1 is sent through again until it lands inside (cycle walking).
Nothing is stored, so a shuffle of 10¹² windows costs no more than one of 10, and a resumed run
needs only its position.
"""

import math

import numpy as np

_ROUNDS = 4  # even, so that the digits end where they began
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio: odd, with well-spread bits


def permute(indices: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Where the permutation `seed` of 0 … size−1 sends each index.

    indices: integers in [0, size), any shape. Returns int64 of the same shape.
    """
    width = math.isqrt(size - 1) + 1
    digits = np.uint64(-(-size // width)), np.uint64(width)  # how many values each has
    result = _feistel(indices.astype(np.uint64), digits, seed)
    while (outside := result >= size).any():
        result[outside] = _feistel(result[outside], digits, seed)
    return result.astype(np.int64)


def _feistel(values: np.ndarray, digits: tuple[np.uint64, np.uint64], seed: int) -> np.ndarray:
    left, right = np.divmod(values, digits[1])
    for number in range(_ROUNDS):
        key = np.uint64((seed + number * 0x632BE59BD9B4E019) % (1 << 64))
        random = _hash(right ^ key) >> np.uint64(1)  # the sum must not pass 2⁶⁴
        left, right = right, (left + random) % digits[number % 2]
    return left * digits[1] + right


def _hash(values: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser (Steele et al. 2014): every input bit moves every output bit."""
    values = (values + _MIX) * _MIX
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
