"""Attention's kernels against a softmax in float64, under Triton's interpreter or on a GPU."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.kernels.oracle import DEVICE, FORMATS, ON_GPU, check, normal
from torch import Tensor
from torch.nn import functional as F

from groundup.core.errors import InputError

pytest.importorskip("triton")
from groundup.kernels import attention as kernel
from groundup.kernels.attention import Mask, attention, attention_backward, attention_forward

IMPLS = pytest.mark.parametrize("impl", ["reference", "triton"])


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that short sequences have several."""
    for table, tile in (("_FORWARD", (16, 32)), ("_KEYS", (32, 16)), ("_QUERIES", (32, 16))):
        monkeypatch.setattr(kernel, table, dict.fromkeys((16, 32, 64), (*tile, 4, 1)))
    monkeypatch.setattr(kernel, "_FLOAT32", (16, 32, 4, 1))


def inputs(
    batch: int, heads: int, kv_heads: int, T: int, S: int, K: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    shapes = (batch, heads, T, K), (batch, kv_heads, S, K), (batch, kv_heads, S, K)
    q, k, v = (normal(shape, dtype, seed) for seed, shape in enumerate(shapes))
    return q, k, v


def visible(T: int, S: int, window: int | None = None, documents: Tensor | None = None) -> Tensor:
    """bool [1 or B, 1, T, S], pair by pair."""
    numbers = [[0] * S] if documents is None else documents.tolist()
    pairs = [
        [
            [
                j <= i and (window is None or i - j < window) and number[i] == number[j]
                for j in range(S)
            ]
            for i in range(S - T, S)
        ]
        for number in numbers
    ]
    return torch.tensor(pairs, device=DEVICE)[:, None]


def formula(mask: Tensor, scale: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda q, k, v: F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, scale=scale, enable_gqa=True
    )


@pytest.mark.parametrize("dtype", FORMATS)
@IMPLS
@pytest.mark.parametrize(
    ("batch", "heads", "kv_heads", "T", "S", "K"),
    [
        (2, 4, 2, 37, 37, 16),  # heads that share keys and values
        (1, 3, 1, 20, 45, 24),  # the last queries, and a width that is no power of two
        (3, 2, 2, 1, 33, 10),  # one query
        (1, 1, 1, 64, 64, 40),  # whole tiles
    ],
)
def test_it_is_as_exact_as_torch(
    batch: int,
    heads: int,
    kv_heads: int,
    T: int,
    S: int,
    K: int,
    dtype: torch.dtype,
    impl: Any,
    small_tiles: None,  # noqa: ARG001
) -> None:
    check(
        lambda q, k, v: attention(q, k, v, scale=0.3, impl=impl),
        formula(visible(T, S), 0.3),
        *inputs(batch, heads, kv_heads, T, S, K, dtype),
        slack=1.5,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_tiles_of_a_gpu(dtype: torch.dtype) -> None:
    check(
        lambda q, k, v: attention(q, k, v, scale=0.125, window=140, impl="triton"),
        formula(visible(300, 300, 140), 0.125),
        *inputs(1, 2, 1, 300, 300, 64, dtype),
        slack=1.5,
    )


@IMPLS
@pytest.mark.parametrize(("T", "S"), [(70, 70), (33, 81)])
@pytest.mark.parametrize("window", [None, 1, 7, 16, 40, 100])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.usefixtures("small_tiles")
def test_windows_and_documents(T: int, S: int, window: int | None, packed: bool, impl: Any) -> None:
    documents = None
    if packed:
        lengths = [[S - 50, 30, 20], [1, S - 18, 17]]
        documents = torch.stack(
            [torch.arange(3).repeat_interleave(torch.tensor(row)) for row in lengths]
        ).to(DEVICE, torch.int32)
    check(
        lambda q, k, v: attention(
            q, k, v, scale=0.5, window=window, documents=documents, impl=impl
        ),
        formula(visible(T, S, window, documents), 0.5),
        *inputs(2, 2, 1, T, S, 8, torch.float32),
        slack=1.5,
    )


@pytest.mark.parametrize(
    ("others", "queries", "keys"),
    [(slice(0, 32), slice(64, 96), slice(32, 96)), (slice(64, 96), slice(0, 64), slice(0, 32))],
)
@pytest.mark.usefixtures("small_tiles")
def test_tiles_that_the_mask_hides_are_not_read(others: slice, queries: slice, keys: slice) -> None:
    """What stands there may be NaN: keys and values that `queries` do not see, and queries that do
    not see `keys`."""
    q, k, v = inputs(1, 1, 1, 96, 96, 8, torch.float32)
    do, mask = torch.ones_like(q), Mask(offset=0, window=16)
    o, lse = attention_forward(q, k, v, mask, scale=0.5, impl="triton")

    def spoilt(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, :, others] = math.nan
        return x

    read, _ = attention_forward(q, spoilt(k), spoilt(v), mask, scale=0.5, impl="triton")
    dq, _, _ = attention_backward(
        q, spoilt(k), spoilt(v), o, lse, do, mask, scale=0.5, impl="triton"
    )
    _, dk, dv = attention_backward(
        spoilt(q), k, v, o, lse, spoilt(do), mask, scale=0.5, impl="triton"
    )
    assert read[:, :, queries].isfinite().all()
    assert dq[:, :, queries].isfinite().all()
    assert dk[:, :, keys].isfinite().all()
    assert dv[:, :, keys].isfinite().all()


@IMPLS
@pytest.mark.usefixtures("small_tiles")
def test_a_query_that_sees_nothing_reads_zeros(impl: Any) -> None:
    """The first five stand before all keys; one of the others is alone in its document."""
    q, k, v = inputs(1, 2, 1, 40, 40, 8, torch.float32)
    own = torch.zeros(1, 40, dtype=torch.int32, device=DEVICE)
    own[:, 20] = 1
    mask = Mask(offset=-5, documents=(own, torch.zeros_like(own)))
    o, lse = attention_forward(q, k, v, mask, scale=1.0, impl=impl)
    blind = torch.zeros(40, dtype=torch.bool, device=DEVICE)
    blind[:5] = blind[20] = True
    assert not o[:, :, blind].any()
    assert torch.equal(lse == -math.inf, blind.expand_as(lse))
    dq, dk, dv = attention_backward(q, k, v, o, lse, torch.ones_like(o), mask, scale=1.0, impl=impl)
    assert not dq[:, :, blind].any()
    assert not dk[:, :, 35:].any()  # which nobody sees
    assert all(grad.isfinite().all() for grad in (dq, dk, dv))
    torch.testing.assert_close(dv.sum(), torch.tensor(2 * 34 * 8.0, device=DEVICE))


@IMPLS
@pytest.mark.usefixtures("small_tiles")
def test_lse_is_that_of_the_logits(impl: Any) -> None:
    q, k, v = inputs(2, 2, 1, 30, 50, 8, torch.float32)
    _, lse = attention_forward(q, k, v, Mask(offset=20), scale=2.0, impl=impl)
    logits = 2.0 * q.double() @ k.double().mT.repeat_interleave(2, 1)
    exact = logits.masked_fill(~visible(30, 50), -math.inf).logsumexp(-1)
    torch.testing.assert_close(lse.double(), exact, rtol=1e-6, atol=1e-5)


@IMPLS
@pytest.mark.parametrize("window", [None, 30])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.usefixtures("small_tiles")
def test_parts_of_the_keys_make_up_the_whole(window: int | None, packed: bool, impl: Any) -> None:
    """As in a ring of three processes: here the last one's queries, and keys 20 at a time."""
    q, k, v = inputs(1, 2, 1, 20, 60, 8, torch.float32)
    do = normal(q.shape, torch.float32, seed=9)
    documents, pairs = None, [None] * 3
    if packed:
        documents = torch.arange(2).repeat_interleave(30).expand(1, 60).to(DEVICE, torch.int32)
        pairs = [(documents[:, 40:], numbers) for numbers in documents.chunk(3, dim=1)]
    masks = [
        Mask(offset=40 - 20 * part, window=window, documents=pair)
        for part, pair in enumerate(pairs)
    ]
    parts = list(zip(k.chunk(3, dim=2), v.chunk(3, dim=2), masks, strict=True))
    reads = [attention_forward(q, *part, scale=0.5, impl=impl) for part in parts]
    lse = torch.stack([part for _, part in reads]).logsumexp(0)
    shares = [(part - lse).exp()[..., None] for _, part in reads]
    o = sum((share * part for share, (part, _) in zip(shares, reads, strict=True)), start=0 * q)
    grads = [
        attention_backward(q, ki, vi, o, lse, do, mask, scale=0.5, impl=impl)
        for ki, vi, mask in parts
    ]
    leaves = [x.requires_grad_() for x in (q, k, v)]
    whole = attention(*leaves, scale=0.5, window=window, documents=documents, impl=impl)
    dq, dk, dv = torch.autograd.grad(whole, leaves, do)
    torch.testing.assert_close(o, whole)
    torch.testing.assert_close(sum(grad[0] for grad in grads), dq)
    torch.testing.assert_close(torch.cat([grad[1] for grad in grads], dim=2), dk)
    torch.testing.assert_close(torch.cat([grad[2] for grad in grads], dim=2), dv)


@pytest.mark.parametrize("axes", [(0, 2, 1, 3), (3, 0, 1, 2)])
@pytest.mark.usefixtures("small_tiles")
def test_strides_do_not_matter(axes: tuple[int, ...]) -> None:
    """Positions before heads, in a product of queries, keys and values; and a width that is not
    the last axis in memory."""
    shape = [0] * 4
    for axis, size in zip(axes, (1, 2, 35, 3 * 8), strict=True):
        shape[axis] = size
    mask = visible(35, 35)
    check(
        lambda x: attention(*x.permute(axes).chunk(3, dim=-1), scale=0.5, impl="triton"),
        lambda x: formula(mask, 0.5)(*x.permute(axes).chunk(3, dim=-1)),
        normal(shape, torch.float32),
        slack=1.5,
    )


@pytest.mark.usefixtures("small_tiles")
def test_logits_of_any_size() -> None:
    q, k, v = inputs(1, 1, 1, 40, 40, 8, torch.float32)
    check(
        lambda q, k, v: attention(q, k, v, scale=50.0, impl="triton"),
        formula(visible(40, 40), 50.0),
        q,
        k,
        v,
        slack=2.0,
    )


def test_of_nothing_comes_nothing() -> None:
    for batch, T, S in ((0, 4, 4), (1, 0, 4), (1, 0, 0)):
        leaves = [x.requires_grad_() for x in inputs(batch, 2, 1, T, S, 8, torch.float32)]
        o = attention(*leaves, scale=1.0, impl="triton")
        grads = torch.autograd.grad(o.sum(), leaves)
        assert o.shape == (batch, 2, T, 8)
        assert not any(grad.any() for grad in grads)


@IMPLS
def test_autocast_computes_in_its_format(impl: Any) -> None:
    q, k, v = inputs(1, 2, 1, 9, 9, 8, torch.float32)
    with torch.autocast(DEVICE, torch.bfloat16):
        o = attention(q, k, v, scale=0.5, impl=impl)
    narrow = attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), scale=0.5, impl=impl)
    assert torch.equal(o, narrow)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda q, k, v: attention(q, k[:, :, 1:], v, scale=1.0, impl="triton"),
        lambda q, k, v: attention(q[..., 1:], k, v, scale=1.0, impl="triton"),
        lambda q, k, v: attention(q, k.bfloat16(), v, scale=1.0, impl="triton"),
        lambda q, k, v: attention(q[:, :3], k, v, scale=1.0, impl="triton"),
        lambda q, k, v: attention(
            q, k, v, scale=1.0, documents=torch.zeros(2, 8, dtype=torch.int32), impl="triton"
        ),
        lambda q, k, v: attention(
            *(x.repeat(1, 1, 1, 33) for x in (q, k, v)), scale=1.0, impl="triton"
        ),
    ],
)
def test_shapes_and_formats_that_do_not_fit_are_refused(wrong: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match="queries .*, keys|formats|documents"):
        wrong(*inputs(2, 4, 2, 9, 9, 8, torch.float32))


@pytest.mark.skipif(ON_GPU, reason="a GPU can run it")
def test_a_kernel_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "interpret", False)
    with pytest.raises(InputError, match="impl='triton' needs a GPU, and the tensors are on cpu"):
        attention(*inputs(1, 1, 1, 2, 2, 8, torch.float32), scale=1.0, impl="triton")
