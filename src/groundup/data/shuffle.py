"""A random permutation of 0 … n−1 that is computed index by index, in constant memory.

A four-round Feistel network permutes the smallest even power of two that covers n; an index that
lands outside 0 … n−1 is sent through again until it lands inside (cycle walking; Black and Rogaway
2002, "Ciphers with arbitrary finite domains"). Nothing is stored, so a shuffle of 10¹² windows
costs no more than one of 10, and a resumed run needs only its position.
"""

import numpy as np

_ROUNDS = 4
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio: odd, with well-spread bits


def permute(indices: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Where the permutation `seed` of 0 … size−1 sends each index.

    indices: integers in [0, size), any shape. Returns int64 of the same shape.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)  # bits of each Feistel half
    result = _feistel(indices.astype(np.uint64), half, seed)
    while (outside := result >= size).any():
        result[outside] = _feistel(result[outside], half, seed)
    return result.astype(np.int64)


def _feistel(values: np.ndarray, half: int, seed: int) -> np.ndarray:
    mask = np.uint64((1 << half) - 1)
    shift = np.uint64(half)
    left, right = values >> shift, values & mask
    for number in range(_ROUNDS):
        key = np.uint64((seed + number * 0x632BE59BD9B4E019) % (1 << 64))
        left, right = right, left ^ (_hash(right ^ key) & mask)
    return (left << shift) | right


def _hash(values: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser (Steele et al. 2014): every input bit moves every output bit."""
    values = (values + _MIX) * _MIX
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
