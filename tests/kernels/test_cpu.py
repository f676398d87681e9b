"""The compiled core's operations for layers, against PyTorch's own in float64."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from groundup.core.native import core
from groundup.kernels import cpu
from groundup.layers import GLU, GroupedQuery, Implementation
from groundup.layers.attend import attend, causal_mask
from groundup.models import Decoder
from groundup.train.compile import eagerly

pytestmark = pytest.mark.skipif(not cpu.HAS_LOOPS, reason="the compiled core has no loops here")


@pytest.fixture(autouse=True, scope="module", params=core.loop_kinds() if core else [None])
def kind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each kind of loops that this processor bears, one after the other."""
    assert core is not None
    core.choose_loops(request.param)
    yield
    core.choose_loops(core.loop_kinds()[-1])


FORMATS = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
SIZES = st.integers(1, 70)
CONFIG = Decoder(
    vocab_size=300,
    context=48,
    width=96,
    depth=2,
    attention=GroupedQuery(heads=4, kv_heads=2, head_width=24, shift=True),
    mlp=GLU(hidden=200),
)


def normal(*shape: int, dtype: torch.dtype, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) * scale).to(dtype)


def error(found: Tensor, exact: Tensor) -> float:
    """Relative to the length of the exact one, or to 1 where that is shorter."""
    exact = exact.detach()
    return float((found.detach().double() - exact).norm() / exact.norm().clamp(min=1))


def check(
    ours: Callable[..., Tensor], exact: Callable[..., Tensor], *inputs: Tensor, slack: float = 1
) -> None:
    """Results and gradients of `ours` are those of `exact` in float64, up to the rounding of what
    is stored: 2⁻²⁴ in float32, 2⁻⁹ in bfloat16."""
    dtype = inputs[0].dtype
    leaves = [x.clone().requires_grad_() for x in inputs]
    doubles = [x.double().requires_grad_() for x in inputs]
    y, wanted = ours(*leaves), exact(*doubles)
    dy = normal(*wanted.shape, dtype=y.dtype, seed=1)
    grads = torch.autograd.grad(y, leaves, dy)
    others = torch.autograd.grad(wanted, doubles, dy.double())
    limit = slack * (2e-6 if dtype == torch.float32 else 6e-3)
    assert y.shape == wanted.shape
    assert error(y, wanted) < limit
    for grad, other, leaf in zip(grads, others, leaves, strict=True):
        assert grad.dtype == leaf.dtype
        assert error(grad, other) < limit


@FORMATS
@settings(max_examples=25)
@given(rows=SIZES, width=SIZES, scale=st.sampled_from([1e-4, 1.0, 1e4]))
def test_rms_norm(dtype: torch.dtype, rows: int, width: int, scale: float) -> None:
    x = normal(rows, width, dtype=dtype, scale=scale)
    weight = normal(width, dtype=torch.float32, seed=2) + 1
    # A gradient is a difference of numbers as large as dy / √(mean(x²) + ε).
    factors = (x.double().square().mean(-1) + 1e-6).rsqrt()
    check(
        lambda x, w: cpu.rms_norm(x, w, 1e-6),
        lambda x, w: F.rms_norm(x, (width,), w, 1e-6),
        x,
        weight,
        slack=2 * max(1.0, float(factors.max())),
    )


@FORMATS
@settings(max_examples=25)
@given(count=st.integers(1, 5000), scale=st.sampled_from([0.1, 1.0, 30.0]))
def test_silu_gate(dtype: torch.dtype, count: int, scale: float) -> None:
    gate, up = (normal(count, dtype=dtype, seed=seed, scale=scale) for seed in (0, 2))
    check(cpu.silu_gate, lambda g, u: F.silu(g) * u, gate, up)


@FORMATS
@settings(max_examples=25)
@given(rows=SIZES, more=SIZES, scale=st.sampled_from([0.1, 1.0, 30.0]))
def test_causal_softmax(dtype: torch.dtype, rows: int, more: int, scale: float) -> None:
    logits = normal(2, 3, rows, rows + more - 1, dtype=dtype)

    def exact(logits: Tensor) -> Tensor:
        later = torch.ones(logits.shape[2:], dtype=torch.bool).triu(more)
        return (logits * scale).masked_fill(later, -math.inf).softmax(-1)

    check(lambda x: cpu.softmax(x, scale=scale, visible=more), exact, logits, slack=max(1, scale))


@FORMATS
@settings(max_examples=25)
@given(rows=SIZES, columns=SIZES, masks=st.sampled_from([1, 2]))
def test_masked_softmax(dtype: torch.dtype, rows: int, columns: int, masks: int) -> None:
    logits = normal(2, 3, rows, columns, dtype=dtype)
    mask = torch.rand(masks, 1, rows, columns, generator=torch.Generator().manual_seed(3)) > 0.7

    def exact(logits: Tensor) -> Tensor:
        weights = (logits * 0.5).masked_fill(~mask, -1e30).softmax(-1)
        return weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)  # rows that see nothing

    check(lambda x: cpu.softmax(x, scale=0.5, mask=mask), exact, logits)


@FORMATS
@settings(max_examples=25)
@given(rows=SIZES, columns=st.integers(1, 300), z_loss=st.sampled_from([0.0, 0.1]))
def test_cross_entropies(dtype: torch.dtype, rows: int, columns: int, z_loss: float) -> None:
    logits = normal(rows, columns, dtype=dtype, scale=4)
    targets = torch.randint(columns, (rows,), generator=torch.Generator().manual_seed(4))

    def exact(logits: Tensor) -> Tensor:
        losses = F.cross_entropy(logits, targets, reduction="none")
        return losses + z_loss * logits.logsumexp(-1).square()

    check(lambda x: cpu.cross_entropies(x, targets, z_loss), exact, logits, slack=4)


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """x: [B, T, H, K]; the pairs (i, i + R/2) as complex numbers, turned by angles [T, R/2]."""
    half = angles.shape[-1]
    pairs = torch.complex(x[..., :half], x[..., half : 2 * half])
    pairs = pairs * torch.polar(torch.ones_like(angles), angles)[..., None, :]
    return torch.cat((pairs.real, pairs.imag, x[..., 2 * half :]), dim=-1)


@FORMATS
@settings(max_examples=30)
@given(
    positions=st.integers(1, 40),
    width=st.integers(1, 40),
    rotated=st.integers(0, 20),
    shifts=st.booleans(),
    normalises=st.booleans(),
    packed=st.booleans(),
    own_angles=st.booleans(),
)
def test_heads(
    dtype: torch.dtype,
    positions: int,
    width: int,
    rotated: int,
    shifts: bool,
    normalises: bool,
    packed: bool,
    own_angles: bool,
) -> None:
    B, H, half = 2, 3, min(rotated, width // 2)
    x = normal(B, positions, H, width, dtype=dtype)
    share = torch.rand(H, generator=torch.Generator().manual_seed(5))
    weight = normal(width, dtype=torch.float32, seed=6) + 1
    shape = (B, positions, half) if own_angles else (positions, half)
    angles = normal(*shape, dtype=torch.float64, seed=7, scale=3)
    first = torch.rand(B, positions, generator=torch.Generator().manual_seed(8)) > 0.7

    def ours(x: Tensor, share: Tensor, weight: Tensor) -> Tensor:
        y = cpu.split_heads(
            x,
            share=share if shifts else None,
            first=first if packed else None,
            weight=weight if normalises else None,
            eps=1e-2,
            rotation=(angles.cos().float(), angles.sin().float()) if half else None,
        )
        return y + 0 * (share.sum() + weight.sum())  # so that each has a gradient

    def exact(x: Tensor, share: Tensor, weight: Tensor) -> Tensor:
        if shifts:
            before = F.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1]
            if packed:
                before = before * ~first[..., None, None]
            x = x * (1 - share[:, None]) + before * share[:, None]
        if normalises:
            x = F.rms_norm(x, (width,), weight, 1e-2)
        if half:
            x = turned(x, angles)
        return x.transpose(1, 2) + 0 * (share.sum() + weight.sum())

    check(ours, exact, x, share, weight, slack=4)


@FORMATS
def test_the_number_of_threads_does_not_change_a_bit(dtype: torch.dtype) -> None:
    x, g = (normal(16, 64, 4, 32, dtype=dtype, seed=seed) for seed in (0, 1))
    weight, share = normal(32, dtype=torch.float32), torch.rand(4)
    leaves = [x.requires_grad_(), weight.requires_grad_(), share.requires_grad_()]
    found = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            y = cpu.rms_norm(cpu.split_heads(x, share=share, weight=weight, eps=1e-6), weight, 1e-6)
            found.append([y, *torch.autograd.grad(y, leaves, g.transpose(1, 2))])
    finally:
        torch.set_num_threads(threads)
    assert all(map(torch.equal, *found))


@FORMATS
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden(dtype: torch.dtype, bad: float) -> None:
    x = normal(2, 1, 20, 20, dtype=dtype)
    x[1, 0, 19, 3] = bad
    targets = torch.zeros(2, 1, 20, dtype=torch.int64)
    for y in (
        cpu.rms_norm(x, torch.ones(20), 1e-6),
        cpu.silu_gate(x, x),
        cpu.softmax(x, scale=1.0),
        cpu.split_heads(x, weight=torch.ones(20), eps=1e-6),
        cpu.cross_entropies(x, targets),
    ):
        assert torch.isfinite(y[0]).all()
        assert not torch.isfinite(y[1]).all()


@FORMATS
def test_a_masked_row_of_nothing_but_nan_is_nan(dtype: torch.dtype) -> None:
    x = torch.full((1, 1, 2, 20), math.nan, dtype=dtype)
    mask = torch.zeros(1, 1, 2, 20, dtype=torch.bool)
    mask[..., 0, 19] = True
    y = cpu.softmax(x, scale=1.0, mask=mask)
    assert y[0, 0, 0].isnan().any()
    assert not y[0, 0, 1].any()  # it sees nothing


def test_losses_of_large_logits_are_exact() -> None:
    logits = torch.tensor([[3e4, 2.9e4, -3e4], [0.0, 0.0, 0.0]])
    losses = cpu.cross_entropies(logits, torch.tensor([1, 2]))
    torch.testing.assert_close(losses, torch.tensor([1000.0, math.log(3)]))


@pytest.mark.parametrize("target", [-1, 5])
def test_a_target_that_is_none_is_refused(target: int) -> None:
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        cpu.cross_entropies(torch.zeros(2, 5), torch.tensor([0, target]))


def test_a_gradient_of_a_gradient_is_refused() -> None:
    x = normal(4, 8, dtype=torch.float32).requires_grad_()
    loss = cpu.silu_gate(x, x).square().sum()
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_tensors_without_numbers_get_shapes_alone() -> None:
    with FakeTensorMode():
        x = torch.empty(8, 64, 2, 32, dtype=torch.bfloat16, requires_grad=True)
        weight = torch.ones(32, requires_grad=True)
        assert cpu.takes(x)
        y = cpu.split_heads(x, weight=weight, eps=1e-6)
        assert y.shape == (8, 2, 64, 32)
        y.sum().backward()
        assert x.grad is not None
        assert x.grad.shape == x.shape


@pytest.mark.parametrize(
    ("tensors", "taken"),
    [
        ((torch.zeros(128, 128),), True),
        ((torch.zeros(128, 128, dtype=torch.bfloat16),), True),
        ((torch.zeros(8, 8),), False),  # too small
        ((torch.zeros(128, 128, dtype=torch.float64),), False),
        ((torch.zeros(128, 128), torch.zeros(128, 128, dtype=torch.bfloat16)), False),
    ],
)
def test_what_the_core_takes(tensors: tuple[Tensor, ...], taken: bool) -> None:
    assert cpu.takes(*tensors) == taken
    with cpu.without_core():
        assert not cpu.takes(*tensors)


@FORMATS
@pytest.mark.parametrize("mask", ["causal", "window", "padding"])
def test_attention_in_several_blocks(dtype: torch.dtype, mask: str) -> None:
    B, T = 2, 300
    queries = normal(B, 4, T, 16, dtype=dtype, seed=1)
    keys, values = (normal(B, 2, T, 16, dtype=dtype, seed=seed) for seed in (2, 3))
    shown = None
    if mask == "window":
        shown = causal_mask(T, T, torch.device("cpu"), window=40)[None, None]
    elif mask == "padding":
        shown = (torch.arange(T) < torch.tensor([[T], [200]]))[:, None, None]

    def run(implementation: Implementation) -> Callable[..., Tensor]:
        return lambda q, k, v: attend(
            q, k, v, scale=0.25, mask=shown, implementation=implementation
        )

    check(run("blockwise"), run("reference"), queries, keys, values, slack=4)


@pytest.mark.filterwarnings("ignore")  # torch warns of itself while it compiles
def test_the_compiler_sees_formulas_alone() -> None:
    model, called = CONFIG.build(0), list[Tensor]()
    tokens = torch.zeros(8, 48, dtype=torch.int64)
    for part in model.compiled_parts():
        part.compile(fullgraph=True, backend="eager")
    with cpu.watched(called.extend):
        model.losses(tokens, tokens, implementation="training").sum().backward()
        assert not called
        with eagerly():
            model.losses(tokens, tokens, implementation="training").sum().backward()
        assert called
    torch.compiler.reset()


@pytest.mark.parametrize("documents", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_a_model_computes_what_its_formulas_do(documents: bool, autocast: bool) -> None:
    tokens = torch.randint(300, (8, 49), generator=torch.Generator().manual_seed(9))
    packed = torch.arange(48).expand(8, 48) // 20 if documents else None

    def losses_and_grads() -> list[Tensor]:
        model = CONFIG.build(0)
        for block in model.blocks:  # which begin as the identity
            for weight in block.writes():
                torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(1))
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            losses = model.losses(
                tokens[:, :-1], tokens[:, 1:], documents=packed, implementation="training"
            )
        losses.mean().backward()
        return [losses.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]

    fused = losses_and_grads()
    with cpu.without_core():
        plain = losses_and_grads()
    assert len(fused) == len(plain) > 10
    assert not torch.equal(fused[0], plain[0])  # they are not the same operations
    for ours, theirs in zip(fused, plain, strict=True):
        limit = 0.05 if autocast else 1e-5
        assert float((ours - theirs).norm()) <= limit * float(theirs.norm())


@FORMATS
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_right_share_and_the_mean(dtype: torch.dtype, p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(400, 500, dtype=dtype, requires_grad=True)
    y = cpu.dropout(x, p)
    kept = y != 0
    torch.testing.assert_close(
        y[kept].float(), torch.full((int(kept.sum()),), 1 / (1 - p)), rtol=4e-3, atol=0
    )
    # every sum of n numbers within five standard deviations
    for part in (kept, kept[::2], kept[:, 1::2], kept[:, :1], kept[7], kept[:, 1:] & kept[:, :-1]):
        share = 1 - p if part.shape[-1] != 499 else (1 - p) ** 2
        deviation = math.sqrt(share * (1 - share) / part.numel())
        assert abs(float(part.float().mean()) - share) < 5 * deviation
    dy = normal(400, 500, dtype=dtype)
    (grad,) = torch.autograd.grad(y, x, dy)
    torch.testing.assert_close(grad != 0, kept)  # the same mask, which was not stored
    torch.testing.assert_close(grad[kept], (dy / (1 - p))[kept], rtol=1e-2, atol=0)


def test_dropout_is_that_of_the_generator() -> None:
    x = torch.ones(100, 100)
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn += [cpu.dropout(x, 0.5), cpu.dropout(x, 0.5)]
    assert torch.equal(drawn[0], drawn[2])
    assert torch.equal(drawn[1], drawn[3])
    for one, other in ((drawn[0], drawn[1]), (drawn[0], drawn[4])):
        alike = float((one == other).float().mean())
        assert abs(alike - 0.5) < 5 * 0.5 / 100


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: cpu.rms_norm(x, torch.ones(5), 1e-6),
        lambda x: cpu.silu_gate(x, x[:1]),
        lambda x: cpu.silu_gate(x, x.bfloat16()),
        lambda x: cpu.cross_entropies(x, torch.zeros(2, 3, 3, dtype=torch.int64)),
        lambda x: cpu.softmax(x, scale=1.0, mask=torch.ones(2, 3, 4, 6, dtype=torch.bool)),
        lambda x: cpu.softmax(x, scale=1.0, mask=torch.ones(1, 1, 3, 6, dtype=torch.bool)),
        lambda x: cpu.split_heads(x, share=torch.ones(3)),
        lambda x: cpu.split_heads(x, weight=torch.ones(4)),
        lambda x: cpu.split_heads(x, rotation=(torch.ones(3, 4), torch.ones(3, 4))),
        lambda x: cpu.split_heads(x.new_zeros(1, 1, 1, 1025)),
        lambda x: cpu.rms_norm(x.double(), torch.ones(6), 1e-6),
        lambda x: cpu.softmax(x, scale=1.0, mask=torch.ones(1, 1, 4, 6)),
        lambda x: cpu.split_heads(x, share=torch.ones(4), first=torch.ones(2, 3)),
    ],
)
def test_shapes_and_formats_that_do_not_fit_are_refused(wrong: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises((ValueError, TypeError)):
        wrong(torch.zeros(2, 3, 4, 6))


def test_positions_of_one_sequence_serve_a_batch() -> None:
    x = normal(2, 5, 3, 8, dtype=torch.float32)
    one = tuple(normal(1, 5, 4, dtype=torch.float32, seed=seed) for seed in (1, 2))
    assert torch.equal(
        cpu.split_heads(x, rotation=one),
        cpu.split_heads(x, rotation=(one[0][0], one[1][0])),
    )


def test_a_kind_of_loops_that_the_processor_lacks_is_refused() -> None:
    assert core is not None
    with pytest.raises(ValueError, match="no loops of the kind avx1024"):
        core.choose_loops("avx1024")
