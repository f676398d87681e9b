"""Training and validation documents, told apart by their content.

Documents are ordered by a hash of their content and the seed, and taken for validation in that
order until their bytes make up the share. A plain threshold on the hash would be simpler, but for
the standard library's 729 files of very different sizes it gave between 1.6 and 12.5 % where 5 %
were asked for (200 seeds); this gave 4.5 to 5.2 % (30 seeds). What decides is the content's digest,
so equal documents are on the same side by construction, whatever they are called.
"""

from collections.abc import Mapping

from groundup.core.errors import InputError
from groundup.core.seeds import derive_seed

_TOLERANCE = 0.1  # of the share: 5 % may come out as 4.5 % to 5.5 %


def choose_validation(sizes: Mapping[bytes, int], share: float, seed: int) -> set[bytes]:
    """The digests of the documents that are kept for validation.

    sizes: content digest → bytes of all documents with that content.
    share: of the bytes, between 0 and 1. Documents that would carry the sum beyond 1.1 times the
    share are passed over, so no single document can take it over; the sum falls short (down to
    nothing) where documents are too few or too large (`falls_short`).
    """
    total = sum(sizes.values())
    low, high = total * share * (1 - _TOLERANCE), total * share * (1 + _TOLERANCE)
    chosen: set[bytes] = set()
    taken = 0
    for digest in sorted(sizes, key=lambda digest: derive_seed(seed, "validation", digest.hex())):
        if taken >= low:
            break
        if taken + sizes[digest] <= high:
            chosen.add(digest)
            taken += sizes[digest]
    return chosen


def falls_short(chosen: set[bytes], sizes: Mapping[bytes, int], share: float) -> bool:
    """Whether validation has less than half of its share: longer documents should be cut."""
    return sum(sizes[digest] for digest in chosen) < sum(sizes.values()) * share / 2


def at_least_one(chosen: set[bytes], sizes: Mapping[bytes, int], source: str) -> set[bytes]:
    """`chosen`, or the smallest document where nothing was chosen: both sides need one.

    Raises `InputError` where there are not two documents of different content.
    """
    if len(sizes) < 2:
        raise InputError(
            f"{source} has {len(sizes)} usable document of its own content: training and "
            "validation need at least two documents, or one text of several paragraphs."
        )
    return chosen or {min(sizes, key=lambda digest: (sizes[digest], digest))}
