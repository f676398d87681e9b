"""The order of a pipeline's passes: complete, with no more activations than it says, and as short
as the bubble allows, by a simulation in which a pass takes one tick."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.processes import Group
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.models.parts import READOUT, part_flops
from groundup.parallel.pipeline import Pipeline, Schedule, blocks_of

Pass = tuple[str, int]


def passes(stage: int, stages: int, schedule: Schedule, micro_batches: int) -> list[Pass]:
    group = Group(stage, stages)
    return [*Pipeline(group, group, schedule).order(micro_batches)]


def ticks(orders: list[list[Pass]]) -> int:
    """Until all passes are done: a stage does the next one of its order as soon as it has what the
    stage before (forward) or after (backward) gives."""
    last, done = len(orders) - 1, [set[Pass]() for _ in orders]
    tick = 0
    while any(len(some) < len(order) for some, order in zip(done, orders, strict=True)):
        before = [set(some) for some in done]
        for stage, order in enumerate(orders):
            if len(done[stage]) == len(order):
                continue
            kind, index = order[len(done[stage])]
            source = stage - 1 if kind == "forward" else stage + 1
            if not 0 <= source <= last or (kind, index) in before[source]:
                done[stage].add((kind, index))
        tick += 1
        assert before != done, "nobody can go on"
    return tick


@given(st.integers(1, 6), st.integers(1, 9), st.sampled_from(["1f1b", "gpipe"]))
def test_orders(stages: int, micro_batches: int, schedule: Schedule) -> None:
    orders = [passes(stage, stages, schedule, micro_batches) for stage in range(stages)]
    for stage, order in enumerate(orders):
        assert sorted(order) == sorted(
            (kind, index) for kind in ("forward", "backward") for index in range(micro_batches)
        )
        held, most = set[int](), 0
        for kind, index in order:
            (held.add if kind == "forward" else held.remove)(index)
            most = max(most, len(held))
        bound = stages - stage if schedule == "1f1b" else micro_batches
        assert most == min(bound, micro_batches)
    assert ticks(orders) == 2 * (micro_batches + stages - 1)


def test_one_stage_goes_forward_and_back_in_turn() -> None:
    order = passes(0, 1, "1f1b", 2)
    assert order == [("forward", 0), ("backward", 0), ("forward", 1), ("backward", 1)]


@pytest.mark.parametrize("schedule", ["1f1b", "gpipe"])
def test_the_first_stage_of_the_docstring(schedule: Schedule) -> None:
    written = {"1f1b": "F0 F1 F2 B0 F3 B1 B2 B3", "gpipe": "F0 F1 F2 F3 B0 B1 B2 B3"}
    order = passes(0, 3, schedule, 4)
    assert [f"{kind[0].upper()}{index}" for kind, index in order] == written[schedule].split()


HEADS = GroupedQuery(heads=2, kv_heads=2, head_width=16)
LENT = replace(HEADS, borrow=True)
STACK = Decoder(vocab_size=8, context=16, width=32, depth=7, attention=HEADS, mlp=GLU(hidden=64))


def cuts(config: Decoder, stages: int) -> list[int]:
    """How many blocks each stage has."""
    parts = [blocks_of(config, stages, stage) for stage in range(stages)]
    assert [block for part in parts for block in part] == list(range(config.depth))
    return [len(part) for part in parts]


def test_stages_have_equal_work() -> None:
    per_block = part_flops(replace(STACK, depth=1), 16)
    block = sum(flops for part, flops in per_block.items() if part != READOUT)
    of_a_word = per_block[READOUT] / STACK.vocab_size
    assert cuts(replace(STACK, depth=8), 4) == [2, 2, 2, 2]
    heavy = replace(STACK, depth=8, vocab_size=round(2 * block / of_a_word))  # as two blocks
    assert cuts(heavy, 2) == [5, 3]
    assert cuts(heavy, 5) == [1, 2, 2, 2, 1]
    assert cuts(STACK, 7) == [1] * 7


def test_blocks_that_borrow_stay_with_those_that_lend() -> None:
    assert cuts(replace(STACK, attention=(HEADS, LENT, LENT)), 2) == [3, 4]
    assert cuts(replace(STACK, attention=(HEADS, LENT, LENT)), 3) == [3, 3, 1]
