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
    layout = arrange(sizes, whole, [0] * n)
    rows: dict[str, list[int]] = {name: [] for name in sizes}
    assert len(layout.sections) == n
    for parts, length in zip(layout.sections, layout.lengths, strict=True):
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
        assert at <= length
    assert {name: sorted(r) for name, r in rows.items()} == {
        name: list(range(shape[0])) for name, shape in sizes.items()
    }
    assert sum(layout.lengths) <= 1.02 * sum(map(math.prod, sizes.values()))
    assert layout.held == tuple(parts[-1].end if parts else 0 for parts in layout.sections)


@given(st.lists(st.integers(100, 400), min_size=1, max_size=6), st.integers(1, 8), st.data())
def test_what_may_be_cut_makes_shares_equal(rows: list[int], n: int, data: st.DataObject) -> None:
    share = 5 * sum(rows) // n
    before = data.draw(st.lists(st.integers(0, share // 2), min_size=n, max_size=n))
    shapes = {f"{i}": (r, 5) for i, r in enumerate(rows)}
    layout = arrange(shapes, dict.fromkeys(shapes, False), before)
    has = [b + held for b, held in zip(before, layout.held, strict=True)]
    assert max(has) - min(has) <= 5 * (1 + 3 * n)  # a row of rounding, and two of a cut, each


def test_whole_matrices_go_where_least_is_and_the_rest_fills_up() -> None:
    matrices = {f"blocks.{i}.w": (8, 8) for i in range(5)}
    whole = {**dict.fromkeys(matrices, True), "embedding": False}
    layout = arrange({**matrices, "embedding": (64, 8)}, whole, [0] * 4)
    assert layout.lengths == ((5 * 64 + 512) // 4,) * 4


def test_one_matrix_after_another_goes_round() -> None:
    before = [0, 0, 0]
    for _ in range(7):
        layout = arrange({"w": (10, 10)}, {"w": True}, before)
        assert sorted(layout.lengths) == [0, 0, 100]  # and nothing else is sent
        before = [b + held for b, held in zip(before, layout.held, strict=True)]
    assert sorted(before) == [200, 200, 300]


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
