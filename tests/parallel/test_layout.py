"""The laws of a layout: nothing lost, nothing twice, whole what must be whole, and equal shares."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.optim import SOAP, AdamW, ByRole, Muon, Narrow
from groundup.parallel.layout import arrange

shapes = st.lists(
    st.tuples(st.lists(st.integers(1, 30), min_size=1, max_size=3), st.booleans()),
    min_size=1,
    max_size=12,
)


@given(shapes, st.integers(1, 9))
def test_every_row_has_one_place(given: list[tuple[list[int], bool]], n: int) -> None:
    sizes = {f"p{i}": shape for i, (shape, _) in enumerate(given)}
    whole = {f"p{i}": uncut for i, (_, uncut) in enumerate(given)}
    layout = arrange(sizes, whole, n)
    rows: dict[str, list[int]] = {name: [] for name in sizes}
    assert len(layout.sections) == n
    for parts in layout.sections:
        at = 0
        for part in parts:
            rows[part.name] += range(part.first, part.last)
            assert part.at == at
            at = part.end
            assert (
                part.end - part.at == torch.empty(sizes[part.name])[part.first : part.last].numel()
            )
            assert not whole[part.name] or part.last - part.first == sizes[part.name][0]
            assert part.last - part.first >= min(2, sizes[part.name][0])  # still a matrix
        assert at <= layout.length
    assert {name: sorted(r) for name, r in rows.items()} == {
        name: list(range(shape[0])) for name, shape in sizes.items()
    }
    total = sum(map(math.prod, sizes.values()))
    assert layout.padding == n * layout.length - total


@given(st.lists(st.integers(100, 400), min_size=1, max_size=6), st.integers(1, 8))
def test_what_may_be_cut_makes_shares_equal(rows: list[int], n: int) -> None:
    layout = arrange(
        {f"{i}": (r, 5) for i, r in enumerate(rows)}, dict.fromkeys(map(str, range(6)), False), n
    )
    share = 5 * sum(rows) / n
    assert layout.length <= share + n * 5 * 3  # a row of rounding and two of a cut, each section


def test_whole_matrices_go_where_least_is_and_the_rest_fills_up() -> None:
    matrices = {f"blocks.{i}.w": (8, 8) for i in range(5)}
    layout = arrange(
        {**matrices, "embedding": (64, 8)}, {**dict.fromkeys(matrices, True), "embedding": False}, 4
    )
    assert layout.length == (5 * 64 + 512) // 4
    assert layout.padding == 0


@pytest.mark.parametrize(
    ("name", "shape", "whole"),
    [
        ("blocks.0.w", (4, 4), True),
        ("blocks.0.experts", (3, 4, 4), False),  # a stack is cut between its matrices
        ("blocks.0.norm", (4,), False),
        ("embedding.weight", (9, 4), False),
    ],
)
def test_which_updates_need_the_whole(name: str, shape: tuple[int, ...], whole: bool) -> None:
    parameter = torch.zeros(shape)
    for matrices in (Muon(lr=0.1), SOAP(lr=0.1)):
        by_role = ByRole(matrices=matrices, embedding=AdamW(lr=0.1), rest=AdamW(lr=0.1))
        assert Narrow("nearest", by_role).whole(name, parameter) == whole
    element_wise = ByRole(matrices=AdamW(lr=0.1), embedding=AdamW(lr=0.1), rest=AdamW(lr=0.1))
    assert not element_wise.whole(name, parameter)
