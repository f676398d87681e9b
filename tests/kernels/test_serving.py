"""The compiled core's operations for models that generate, against PyTorch's own in float64."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.native import core
from groundup.kernels import cpu
from groundup.kernels.cpu.reach import PAGE
from groundup.layers.attend import attend

pytestmark = pytest.mark.skipif(not cpu.HAS_LOOPS, reason="the compiled core has no loops here")


@pytest.fixture(autouse=True, scope="module", params=core.loop_kinds() if core else [None])
def kind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each kind of loops that this processor bears, one after the other."""
    assert core is not None
    core.choose_loops(request.param)
    yield
    core.choose_loops(core.loop_kinds()[-1])


FORMATS = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
LIMITS = {torch.float32: 1e-6, torch.bfloat16: 4e-3}


def normal(*shape: int, dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def assert_near(
    found: torch.Tensor, exact: torch.Tensor, dtype: torch.dtype, terms: torch.Tensor | None = None
) -> None:
    """As near as the rounding of what is stored, and that of float32 sums of such terms."""
    assert found.dtype == dtype
    assert found.shape == exact.shape
    allowed = LIMITS[dtype] * exact.abs() + 1e-6 * (1 if terms is None else terms)
    assert ((found.double() - exact).abs() <= allowed).all()


def packed(
    weight: torch.Tensor, dtype: torch.dtype | None = None, **more: torch.Tensor | None
) -> cpu.PackedMatrix:
    """dtype: of x, where it is not the weights'."""
    dtype = dtype or weight.dtype
    shape = (weight.shape[0], weight.shape[1])
    return cpu.PackedMatrix(cpu.packed(weight, dtype), shape, dtype, **more)


# Few, and more than are summed at once; columns of one chunk, and of several.
ROWS = st.integers(1, 11) | st.sampled_from([96, 97, 205])
INNER = st.integers(1, 150) | st.sampled_from([256, 301])


@FORMATS
@settings(max_examples=40)
@given(rows=ROWS, inner=INNER, outputs=st.integers(1, 150), biased=st.booleans())
def test_product(dtype: torch.dtype, rows: int, inner: int, outputs: int, biased: bool) -> None:
    x, weight = normal(rows, inner, dtype=dtype), normal(outputs, inner, dtype=dtype, seed=1)
    bias = normal(outputs, dtype=torch.float32, seed=2) if biased else None
    multiply = packed(weight, bias=bias)
    found = multiply(x)
    exact = x.double() @ weight.double().T
    terms = x.double().abs() @ weight.double().abs().T + 1
    assert_near(found, exact if bias is None else exact + bias.double(), dtype, terms)
    for row in range(0, rows, 7):  # to the bit: the other rows change nothing
        assert torch.equal(multiply(x[row : row + 1])[0], found[row])
    some = torch.randint(outputs, (2, 3), generator=torch.Generator().manual_seed(3))
    assert torch.equal(multiply.rows(some), weight[some])


@FORMATS
@settings(max_examples=40)
@given(rows=ROWS, inner=INNER, outputs=st.integers(1, 150))
def test_product_with_bytes(dtype: torch.dtype, rows: int, inner: int, outputs: int) -> None:
    x, weight = normal(rows, inner, dtype=dtype), normal(outputs, inner, dtype=dtype, seed=1)
    numbers, scales = cpu.quantized(weight)
    assert numbers.abs().amax() <= 127
    error = numbers.double() * scales.double()[:, None] - weight.double()
    assert (error.abs() <= 0.501 * scales.double()[:, None]).all()
    exact = (x.double() @ numbers.double().T) * scales.double()
    terms = (x.double().abs() @ numbers.double().abs().T) * scales.double()
    assert_near(packed(numbers, dtype, scales=scales)(x), exact, dtype, terms)


@pytest.mark.parametrize("rows", [3, 200])
def test_a_large_product_is_shared_by_threads(rows: int) -> None:
    x = normal(rows, 512, dtype=torch.float32)
    weight = normal(3000, 512, dtype=torch.float32, seed=1)
    terms = x.double().abs() @ weight.double().abs().T
    assert_near(packed(weight)(x), x.double() @ weight.double().T, torch.float32, terms)


def test_products_that_do_not_fit_are_refused() -> None:
    x, weight = torch.zeros(2, 8), torch.zeros(4, 8)
    with pytest.raises(ValueError, match="rows of 8 are needed, not of 7"):
        packed(weight)(torch.zeros(2, 7))
    with pytest.raises(ValueError, match="formats differ"):
        packed(weight.bfloat16())(x)
    with pytest.raises(ValueError, match="float32, 4 of them"):
        packed(weight, bias=torch.zeros(5))
    with pytest.raises(ValueError, match="weights are torch.int32"):
        cpu.PackedMatrix(weight, (4, 8), torch.float32)
    with pytest.raises(ValueError, match="not torch.float16"):
        packed(weight, torch.float16)


@FORMATS
@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=5),
    kv_heads=st.integers(1, 3),
    shared=st.integers(1, 3),
    width=st.integers(1, 40),
    window=st.none() | st.integers(1, 50),
    softcap=st.none() | st.floats(0.5, 20),
    sunk=st.booleans(),
    prefix=st.booleans(),
)
def test_reach(
    dtype: torch.dtype,
    lengths: list[int],
    kv_heads: int,
    shared: int,
    width: int,
    window: int | None,
    softcap: float | None,
    sunk: bool,
    prefix: bool,
) -> None:
    """Tokens whose sequences stand in pages in any order, some of which they share. What is in no
    page, or is not seen, is NaN. prefix: values are the beginnings of the keys."""
    N, H = len(lengths), kv_heads * shared
    columns = -(-max(lengths) // PAGE)
    slots = (N * columns + 2) * PAGE
    keys = normal(slots, kv_heads, width, dtype=dtype, seed=1)
    values = normal(slots, kv_heads, max(1, width // 2), dtype=dtype, seed=2)
    if prefix:
        values = keys[..., : max(1, width // 2)]
    order = torch.randperm(slots // PAGE, generator=torch.Generator().manual_seed(3))
    tables = order[: N * columns].view(N, columns).int()
    tables[1:, 0] = tables[0, 0]
    last = torch.tensor(lengths)
    first = torch.zeros_like(last) if window is None else (last - window).clamp(min=0)
    # Heads of more tokens than these, as a pass has them.
    queries = normal(H, N + 2, width, dtype=dtype)[:, :N].transpose(0, 1)
    sinks = normal(H, dtype=torch.float32, seed=4) if sunk else None
    seen = torch.zeros(slots, dtype=torch.bool)
    exact = torch.empty(N, H, values.shape[-1], dtype=torch.float64)
    terms = torch.empty(N, 1, 1, dtype=torch.float64)
    for n in range(N):
        positions = torch.arange(int(first[n]), int(last[n]))
        at = tables[n, positions // PAGE].long() * PAGE + positions % PAGE
        seen[at] = True
        # A logit is as exact as the terms that it is the sum of, and moves what is read so far.
        shown = keys[at].double().abs().repeat_interleave(shared, 1)
        logits = 0.3 * (queries[n].double().abs() * shown).sum(-1)
        terms[n] = 1 + logits.amax() * values[at].double().abs().amax()
        exact[n] = attend(
            queries[n][None, :, None].double(),
            keys[at].transpose(0, 1)[None].double(),
            values[at].transpose(0, 1)[None].double(),
            scale=0.3,
            softcap=softcap,
            sinks=None if sinks is None else sinks.double(),
            implementation="reference",
        )[0, :, 0]
    keys[~seen] = float("nan")
    if not prefix:
        values[~seen] = float("nan")
    rules = {"scale": 0.3, "softcap": softcap, "sinks": sinks}
    found = cpu.Reach(tables, first, last)(queries, keys, values, **rules)
    assert_near(found, exact, dtype, terms)
    reach = cpu.Reach(tables[:1], first[:1], last[:1])
    alone = reach(queries[:1].contiguous(), keys, values, **rules)
    assert torch.equal(alone[0], found[0])  # to the bit: the other tokens change nothing


@FORMATS
@settings(max_examples=40)
@given(
    tokens=st.integers(1, 6),
    heads=st.integers(1, 4),
    kv_heads=st.integers(1, 3),
    half=st.integers(1, 20),
    rotated=st.integers(0, 20),
    normed=st.booleans(),
    shifted=st.booleans(),
)
def test_take_in(
    dtype: torch.dtype,
    tokens: int,
    heads: int,
    kv_heads: int,
    half: int,
    rotated: int,
    normed: bool,
    shifted: bool,
) -> None:
    """Queries, keys and values of the formulas; and no other slot is written. Of three tokens one
    begins a text, one comes behind a row's last token, and one behind the token before it."""
    width, turned = 2 * half, 2 * min(half, rotated)
    x = normal(tokens, (heads + 2 * kv_heads) * width, dtype=dtype)
    weights = [normal(width, dtype=torch.float32, seed=s) + 1 if normed else None for s in (1, 2)]
    angle = normal(tokens, turned // 2, dtype=torch.float32, seed=3) * 3
    rotation = (angle.cos(), angle.sin()) if turned else None
    pools = [torch.full((3 * tokens, kv_heads, width), 7.0, dtype=dtype) for _ in range(2)]
    slots = torch.randperm(3 * tokens, generator=torch.Generator().manual_seed(4))[:tokens]
    newest = normal(5, 2 * kv_heads, width, dtype=dtype, seed=5)
    before = torch.tensor([(-1, -2 - token % 2, token - 1)[token % 3] for token in range(tokens)])
    shares = [normal(kv_heads, dtype=torch.float32, seed=s) for s in (6, 7)]
    layer = cpu.TokenHeads(
        heads,
        kv_heads,
        width,
        weights=(weights[0], weights[1]),
        eps=1e-6,
        shares=(shares[0], shares[1]) if shifted else None,
    )
    kept = cpu.Kept(pools[0], pools[1], newest)
    queries = layer.take_in(x, cpu.Places(slots, rotation, before), kept)

    def exact(part: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        if weight is not None:
            part = part * (part.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight.double()
        if rotation is None:
            return part
        pairs = torch.complex(part[..., : turned // 2], part[..., turned // 2 : turned])
        pairs = pairs * torch.polar(torch.ones_like(angle).double(), angle.double())[:, None]
        return torch.cat((pairs.real, pairs.imag, part[..., turned:]), -1)

    parts = x.double().view(tokens, -1, width)
    made, pairs = parts.split([heads, 2 * kv_heads], 1)
    if shifted:
        nothing = torch.zeros_like(pairs[0])
        there = [(nothing, newest[i % 2].double(), pairs[i - 1])[i % 3] for i in range(tokens)]
        behind = torch.stack(there)
        pairs = pairs + torch.cat(shares).double()[:, None] * (behind - pairs)
    keys, values = pairs.chunk(2, 1)
    terms = 20 * (1 + x.double().abs().amax() + newest.double().abs().amax())
    assert_near(queries, exact(made, weights[0]), dtype, terms)
    size = keys.square().mean(-1, keepdim=True).sqrt() if normed else torch.ones(1)
    assert_near(pools[0][slots], exact(keys, weights[1]), dtype, terms * (1 + 1 / size))
    assert_near(pools[1][slots], values, dtype, terms)
    if not shifted:
        assert torch.equal(pools[1][slots].double(), values)
    others = torch.ones(3 * tokens, dtype=torch.bool).index_fill(0, slots, False)
    assert all((pool[others] == 7).all() for pool in pools)


def test_heads_that_do_not_fit_are_refused() -> None:
    x, places, pool = torch.zeros(2, 4 * 8), cpu.Places(torch.tensor([0, 1])), torch.zeros(4, 1, 8)
    kept = cpu.Kept(pool, pool.clone())
    with pytest.raises(ValueError, match="width of all heads"):
        cpu.TokenHeads(1, 1, 8).take_in(x, places, kept)
    with pytest.raises(ValueError, match="the heads are others"):
        cpu.TokenHeads(6, 1, 4).take_in(x, places, kept)
    with pytest.raises(ValueError, match="formats differ"):
        cpu.TokenHeads(2, 1, 8).take_in(x.bfloat16(), places, kept)
    half = cpu.Kept(pool.half(), pool.half())
    with pytest.raises(ValueError, match="formats differ"):
        cpu.TokenHeads(2, 1, 8).take_in(x.half(), places, half)
    shifts = cpu.TokenHeads(2, 1, 8, shares=(torch.zeros(1), torch.zeros(1)))
    with pytest.raises(ValueError, match="what is before the tokens is needed"):
        shifts.take_in(x, places, kept)
    with pytest.raises(ValueError, match="a rotation does not fit"):
        cpu.Places(torch.tensor([0, 1]), (torch.zeros(3, 4), torch.zeros(3, 4)))
    with pytest.raises(ValueError, match="keys and values do not fit"):
        cpu.Kept(pool, torch.zeros(4, 1, 4))


def test_blocks_that_do_not_fit_are_refused() -> None:
    def matrix(outputs: int, inner: int, dtype: torch.dtype = torch.float32) -> cpu.PackedMatrix:
        return packed(torch.zeros(outputs, inner, dtype=dtype))

    heads = cpu.TokenHeads(2, 1, 8)
    attention = cpu.Branch(matrix(32, 24), matrix(24, 16), torch.ones(24), None)
    mlp = cpu.Branch(matrix(80, 24), matrix(24, 40), None, None)
    odd = replace(attention, inward=matrix(56, 24), outward=matrix(24, 24))
    rules = {"eps": 1e-6, "scale": 1.0}
    block = cpu.FewTokensBlock(heads, attention, mlp, **rules)
    for wrong, said in (
        ((heads, replace(attention, inward=matrix(40, 24)), mlp), "heads do not fit"),
        ((heads, attention, replace(mlp, inward=matrix(60, 24))), "gate and up"),
        ((heads, attention, replace(mlp, outward=matrix(20, 40))), "as wide as x"),
        ((heads, replace(attention, norm=torch.ones(8)), mlp), "float32, 24 of them"),
        ((heads, attention, replace(mlp, inward=matrix(80, 24, torch.bfloat16))), "formats"),
        ((cpu.TokenHeads(3, 2, 8), odd, mlp), "do not divide"),
    ):
        with pytest.raises(ValueError, match=said):
            cpu.FewTokensBlock(*wrong, **rules)
    with pytest.raises(ValueError, match="sinks are float32, 2 of them"):
        cpu.FewTokensBlock(heads, attention, mlp, **rules, sinks=torch.ones(3))
    pool, ones = torch.zeros(2 * PAGE, 1, 8), torch.ones(2, dtype=torch.int64)
    reach = cpu.Reach(torch.zeros(2, 1, dtype=torch.int32), 0 * ones, ones)
    places, kept = cpu.Places(torch.tensor([0, 1])), cpu.Kept(pool, pool.clone())
    assert block(torch.zeros(2, 24), places, reach, kept)[0].shape == (2, 24)
    with pytest.raises(ValueError, match="rows of 24 are needed"):
        block(torch.zeros(2, 23), places, reach, kept)
    with pytest.raises(ValueError, match="formats differ"):
        block(torch.zeros(2, 24, dtype=torch.bfloat16), places, reach, kept)
    less = cpu.Reach(torch.zeros(1, 1, dtype=torch.int32), 0 * ones[:1], ones[:1])
    with pytest.raises(ValueError, match="tokens differ"):
        block(torch.zeros(2, 24), places, less, kept)


@FORMATS
@settings(max_examples=25)
@given(rows=st.integers(1, 9), width=st.integers(1, 70))
def test_gates_and_norms_of_rows(dtype: torch.dtype, rows: int, width: int) -> None:
    x = normal(rows, 2 * width, dtype=dtype)
    gate, up = x.double().chunk(2, -1)
    found = cpu.silu_gate_of_rows(x)
    assert_near(found, torch.nn.functional.silu(gate) * up, dtype, (gate * up).abs())
    weight = normal(2 * width, dtype=torch.float32, seed=1)
    exact = torch.nn.functional.rms_norm(x.double(), (2 * width,), weight.double(), 1e-6)
    assert_near(cpu.NormOfRows(weight, 1e-6)(x), exact, dtype, exact.abs())
