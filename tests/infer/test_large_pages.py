"""Tensors keep what they hold where they are moved to; their memory lives as long as they do."""

import gc
import mmap
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.families import CONFIG, scrambled

from groundup.core.device import Device
from groundup.core.memory import resident_bytes
from groundup.infer import Engine
from groundup.infer.large_pages import LargePages, fresh
from groundup.infer.weights import ServingEmbedding
from groundup.kernels import cpu

pytestmark = pytest.mark.skipif(
    not hasattr(mmap, "MADV_HUGEPAGE"), reason="the system has no large pages"
)


@settings(max_examples=10)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.booleans())
def test_what_is_kept_is_what_was_given(sizes: list[int], narrow: bool) -> None:
    dtype = torch.bfloat16 if narrow else torch.float32
    given_ = [torch.arange(size, dtype=dtype).view(-1, 1) for size in sizes]
    room = LargePages()
    kept = [room.keep(tensor) for tensor in given_]
    del room
    gc.collect()
    for before, after in zip(given_, kept, strict=True):
        assert torch.equal(before, after)
        assert after.dtype == dtype
        assert after.data_ptr() % 64 == 0
    ends = [tensor.data_ptr() + tensor.nbytes for tensor in kept]
    assert all(end <= after.data_ptr() for end, after in zip(ends, kept[1:], strict=False))


def test_what_is_fresh_takes_no_memory_until_it_is_written_to_and_gives_it_back() -> None:
    before = resident_bytes()
    pool = fresh((1 << 10, 1 << 10, 64), torch.float32, torch.device("cpu"))  # 256 MB
    assert resident_bytes() - before < 64e6
    pool.fill_(1.0)
    assert resident_bytes() - before > 200e6
    del pool
    gc.collect()
    assert resident_bytes() - before < 64e6


def test_more_than_there_is_room_for_begins_anew() -> None:
    room = LargePages()
    first = room.keep(torch.zeros(30 << 20, dtype=torch.uint8))
    second = room.keep(torch.ones(30 << 20, dtype=torch.uint8))
    third = room.keep(torch.full((100 << 20,), 2, dtype=torch.uint8))
    assert [int(tensor.max()) for tensor in (first, second, third)] == [0, 1, 2]
    assert all(tensor.data_ptr() % (1 << 21) == 0 for tensor in (first, second, third))


@pytest.mark.skipif(not cpu.HAS_LOOPS, reason="the compiled core has no loops here")
def test_a_tied_embedding_is_held_once() -> None:
    device = Device(torch.device("cpu"), torch.float32)
    engine = Engine(scrambled(replace(CONFIG, tied=True)), device, stop=[])
    head, embedding = engine.model.readout.head, engine.model.embedding
    assert isinstance(embedding, ServingEmbedding)
    assert head.in_core is embedding.matrix
