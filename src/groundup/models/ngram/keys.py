"""n-grams as sorted integers.

An n-gram's id is its place among all n-grams of its order, in lexicographic order. Its key is the
id of its first n − 1 tokens and its last token, packed into 64 bits; a unigram's id is its token.
So the keys of an order are sorted, the n-grams that follow one context lie side by side, and the
id of the n-gram that ends at position t is found from the id of the one that ends at t − 1.
"""

import numpy as np

TOKEN_BITS = 32
_TOKEN = np.uint64((1 << TOKEN_BITS) - 1)


def pack(contexts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Keys: uint64, of the shape of the arguments."""
    return (contexts.astype(np.uint64) << np.uint64(TOKEN_BITS)) | tokens.astype(np.uint64)


def contexts_of(keys: np.ndarray) -> np.ndarray:
    """The ids of the first n − 1 tokens, int64."""
    return (keys >> np.uint64(TOKEN_BITS)).astype(np.int64)


def tokens_of(keys: np.ndarray) -> np.ndarray:
    """The last tokens, int64."""
    return (keys & _TOKEN).astype(np.int64)


def find(keys: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Where each query lies in the sorted keys, −1 where it does not: int64.

    The queries are sorted first: neighbours in the queries are then neighbours in memory.
    """
    ids = np.empty(len(queries), dtype=np.int64)
    order = np.argsort(queries)
    ids[order] = find_sorted(keys, queries[order])
    return ids


def find_sorted(keys: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """`find` for queries that are sorted."""
    if not len(keys):
        return np.full(len(queries), -1, dtype=np.int64)
    at = np.searchsorted(keys, queries)
    found = keys[np.minimum(at, len(keys) - 1)] == queries
    return np.where(found, at, -1)
