"""Attention over pages against a softmax in float64, under Triton's interpreter or on a GPU."""

from typing import Any

import pytest
import torch
from tests.kernels.oracle import DEVICE, FORMATS, ON_GPU, normal

from groundup.core.errors import InputError
from groundup.kernels.cpu.reach import PAGE

pytest.importorskip("triton")
from groundup.kernels import paged_attention as kernel
from groundup.kernels.paged_attention import PagedAttention

IMPLS = pytest.mark.parametrize("impl", ["reference", "triton"])


def pages(lasts: list[int], generator: torch.Generator) -> torch.Tensor:
    """Tables of sequences of these lengths, whose pages lie in any order behind page 0."""
    columns = -(-max(lasts) // PAGE)
    order = torch.randperm(len(lasts) * columns, generator=generator) + 1
    return order.view(len(lasts), columns).to(torch.int32)


def exact(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    tables: torch.Tensor,
    spans: list[tuple[int, int]],
    scale: float,
    softcap: float | None,
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    """Token by token and head by head."""
    group = queries.shape[1] // keys.shape[1]
    rows = []
    for token, (first, last) in enumerate(spans):
        slots = [int(tables[token, p // PAGE]) * PAGE + p % PAGE for p in range(first, last)]
        for head in range(queries.shape[1]):
            logits = scale * keys[slots, head // group].double() @ queries[token, head].double()
            if softcap is not None:
                logits = softcap * (logits / softcap).tanh()
            if sinks is not None:
                logits = torch.cat((logits, sinks[head : head + 1].double()))
            weights = logits.softmax(0)[: last - first]
            rows.append(weights @ values[slots, head // group].double())
    return torch.stack(rows).view(len(queries), queries.shape[1], -1)


@pytest.mark.parametrize("dtype", FORMATS)
@IMPLS
@pytest.mark.parametrize(
    ("heads", "kv_heads", "width", "value_width", "softcap", "sunk", "windowed", "parts"),
    [
        (4, 2, 16, 16, None, False, False, 1),  # heads that share keys and values
        (3, 3, 24, 24, None, True, False, 4),  # sinks, and a width that is no power of two
        (6, 1, 40, 32, 5.0, False, True, 2),  # latent attention: a vector is key and value
        (20, 1, 16, 16, 2.0, True, True, 8),  # more parts than tiles
    ],
)
def test_it_is_a_softmax_over_what_is_seen(
    heads: int,
    kv_heads: int,
    width: int,
    value_width: int,
    softcap: float | None,
    sunk: bool,
    windowed: bool,
    parts: int,
    dtype: torch.dtype,
    impl: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel, "_TILES", {4096: 32})
    monkeypatch.setattr(PagedAttention, "_parts", lambda *_: parts)
    generator = torch.Generator().manual_seed(3)
    lasts = [1, 17, 64, 90, 33]
    spans = [(max(0, last - 21) if windowed else 0, last) for last in lasts]
    tables = pages(lasts, generator)
    slots = (int(tables.max()) + 1) * PAGE
    queries = normal((len(lasts), heads, width), dtype, 0)
    keys = normal((slots, kv_heads, width), dtype, 1)
    values = normal((slots, kv_heads, width), dtype, 2)[..., :value_width]
    sinks = normal((heads,), torch.float32, 4) if sunk else None
    first, last = (torch.tensor(ends, device=DEVICE) for ends in zip(*spans, strict=True))
    attention = PagedAttention(tables.to(DEVICE), first, last, impl=impl)
    found = attention(queries, keys, values, scale=0.3, softcap=softcap, sinks=sinks)
    wanted = exact(queries, keys, values, tables, spans, 0.3, softcap, sinks)
    assert found.dtype == dtype
    tolerance = {torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]
    assert (found.double() - wanted).norm() <= tolerance * wanted.norm()


def test_parts_are_as_many_as_there_is_work_for() -> None:
    tables = torch.zeros(1, 100, dtype=torch.int32, device=DEVICE)
    ends = torch.ones(1, dtype=torch.int64, device=DEVICE)
    attention = PagedAttention(tables, ends * 0, ends, impl="triton")
    for programs in (1, 8, 1000):
        parts = attention._parts(programs, 128, torch.device(DEVICE))
        assert parts & (parts - 1) == 0
        assert 1 <= parts <= 32


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = torch.zeros(2, 1, dtype=torch.int32)
    ends = torch.ones(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="tables are int32"):
        PagedAttention(tables.long(), ends, ends, impl="reference")
    attention = PagedAttention(tables, ends * 0, ends, impl="reference")
    pool = torch.zeros(32, 2, 8)
    with pytest.raises(ValueError, match="3 tokens, and tables of 2"):
        attention(torch.zeros(3, 4, 8), pool, pool, scale=1.0)
    with pytest.raises(ValueError, match="do not fit"):
        attention(torch.zeros(2, 3, 8), pool, pool, scale=1.0)
    if not ON_GPU:
        monkeypatch.setattr("triton.knobs.runtime.interpret", False)
        compiled = PagedAttention(tables, ends * 0, ends, impl="triton")
        with pytest.raises(InputError, match="needs a GPU"):
            compiled(torch.zeros(2, 4, 8), pool, pool, scale=1.0)
