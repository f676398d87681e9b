"""Packed documents, position by position."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.layers.documents import borders, numbered, places, starts, together


@given(st.lists(st.integers(-2, 2), min_size=1, max_size=20))
def test_a_document_begins_wherever_the_number_changes(numbers: list[int]) -> None:
    documents = torch.tensor([numbers])
    runs = [len(list(run)) for _, run in itertools.groupby(numbers)]
    counted = [number for number, length in enumerate(runs) for _ in range(length)]
    first = [sum(runs[:number]) for number in counted]
    assert numbered(documents)[0].tolist() == counted
    assert starts(documents)[0].tolist() == first
    expected = [t - begun for t, begun in enumerate(first)]
    assert places(documents, len(numbers), documents.device)[0].tolist() == expected
    assert borders(documents)[0].tolist() == [t == s and t > 0 for t, s in enumerate(first)]
    same = [[a == b for b in counted] for a in counted]
    assert together(numbered(documents))[0, 0].tolist() == same
