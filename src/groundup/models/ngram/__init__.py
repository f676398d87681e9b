"""n-gram language models over token ids of any tokenizer: counted in a stream, smoothed, scored
all positions at once, exchanged as ARPA. NumPy alone."""

from groundup.models.ngram.arpa import read_arpa, write_arpa
from groundup.models.ngram.config import KneserNey, NGram, WittenBell
from groundup.models.ngram.counts import Counts, count_ngrams
from groundup.models.ngram.model import NGramModel, load_ngram
from groundup.models.ngram.smoothing import estimate, train_ngram

__all__ = [
    "Counts",
    "KneserNey",
    "NGram",
    "NGramModel",
    "WittenBell",
    "count_ngrams",
    "estimate",
    "load_ngram",
    "read_arpa",
    "train_ngram",
    "write_arpa",
]
