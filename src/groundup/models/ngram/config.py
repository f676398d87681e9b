"""What an n-gram model is: its order, its vocabulary, its smoothing and what is left out."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KneserNey:
    """Interpolated Kneser-Ney: below the highest order, an n-gram counts the distinct tokens that
    precede it (Kneser and Ney 1995).

    discount: None is *modified* Kneser-Ney, with three discounts an order from the counts of
    counts (Chen and Goodman 1998, equation 26); where those are degenerate, as in a tiny corpus,
    0.5, 1 and 1.5. A number from 0 to 1 is taken off every count.
    normalized: False gives a context the back-off weight discount · followers / total, in which
    nltk also counts a follower that no token precedes: the probabilities after a context that
    begins a row can then sum to more than one. For comparison with nltk only.
    """

    discount: float | None = None
    normalized: bool = True

    def __post_init__(self) -> None:
        if self.discount is not None and not 0 <= self.discount <= 1:
            raise ValueError("discount must be from 0 to 1, or None")
        if not self.normalized and self.discount is None:
            raise ValueError("normalized=False needs a discount that is a number")


@dataclass(frozen=True, kw_only=True)
class WittenBell:
    """Interpolated Witten-Bell: a context with T distinct followers in N occurrences gives the
    lower order the weight T / (T + N) (Witten and Bell 1991, method C; Chen and Goodman 1998,
    section 2.5)."""


@dataclass(frozen=True, kw_only=True)
class NGram:
    """order: the length of the longest n-gram; it predicts from order − 1 tokens.

    vocab_size: token ids are 0 … vocab_size − 1.
    boundaries: each document is counted as one begin token, its tokens and an end token, whose
    ids are vocab_size + 1 and vocab_size; the begin token is never predicted. False: documents are
    counted as they are, and boundary tokens that they contain are tokens like others.
    uniform: interpolate the unigrams with the uniform distribution, so that every token has a
    probability. False: a token that was not seen has the probability zero, unless no token has a
    count (Kneser-Ney, no boundaries, documents of one token): then all are equally probable.
    prune: an n-gram of order i + 1 is kept where it occurs more than prune[i] times, as kenlm's
    --prune: the last number holds for the higher orders too, the first is 0, none is less than
    the one before it.
    """

    order: int = 5
    vocab_size: int
    smoothing: KneserNey | WittenBell = KneserNey()
    boundaries: bool = True
    uniform: bool = True
    prune: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if self.order < 1 or not 1 <= self.vocab_size < 1 << 31:
            raise ValueError("order and vocab_size must be positive, vocab_size below 2^31")
        if not self.prune or self.prune[0] != 0 or list(self.prune) != sorted(self.prune):
            raise ValueError("prune must begin with 0 and not decrease")
        if len(self.prune) > self.order:
            raise ValueError("prune has more numbers than there are orders")
        unnormalized = isinstance(self.smoothing, KneserNey) and not self.smoothing.normalized
        if unnormalized and self.prune[-1] > 0:
            raise ValueError("normalized=False cannot be combined with prune")

    def threshold(self, order: int) -> int:
        """n-grams of this order that occur so often, or less, are left out."""
        return self.prune[min(order, len(self.prune)) - 1]
