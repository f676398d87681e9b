"""Which pairs of a query and a key meet in a ring, against the mask of a whole sequence."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.processes import Group
from groundup.parallel import context
from groundup.parallel.context import Ring


@settings(max_examples=60)
@given(
    tokens=st.integers(8, 60),
    size=st.integers(2, 4),
    piece=st.integers(1, 20),
    window=st.none() | st.integers(1, 30),
    document=st.none() | st.integers(1, 30),
)
def test_every_pair_that_is_seen_meets_once(
    tokens: int, size: int, piece: int, window: int | None, document: int | None
) -> None:
    """However the chunks are cut into pieces. document: tokens of each."""
    documents = None if document is None else torch.arange(tokens)[None] // document
    met = torch.zeros(tokens, tokens, dtype=torch.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "PIECE", piece)
        for rank in range(size):
            ring = Ring(Group(rank, size), tokens, documents)
            of = context._Round(ring, window, torch.device("cpu"))
            own = ring.own(torch.device("cpu"))
            for source in of.sources():
                theirs = Ring(Group(source, size), tokens, None).own(torch.device("cpu"))
                for rows, columns, mask in of.pairs(source):
                    assert rows.stop - rows.start <= piece
                    assert columns.stop - columns.start <= piece
                    seen = 1 if mask is None else mask[0, 0, 0].long()
                    met[own[rows][:, None], theirs[columns]] += seen
    behind = torch.arange(tokens)[:, None] - torch.arange(tokens)
    expected = (behind >= 0) & (behind < (window or tokens))
    if documents is not None:
        expected &= documents == documents.T
    assert torch.equal(met, expected.long())
