"""Operations made of matrix products, for `bench.gpu_kernels`: attention, the head with its
cross-entropy, and the products of a mixture's experts.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from groundup.bench.gpu_case import FUSED, Case, Operation, Scale, liger, normal
from groundup.core.device import Device
from groundup.kernels.attention import Mask, attention
from groundup.kernels.grouped import grouped_linear
from groundup.kernels.linear_cross_entropy import linear_cross_entropy

_RUN = 16  # an expert's rows are a multiple of it, as torch's grouped product wants them


def cases(device: Device, scale: Scale) -> Iterator[Case]:
    """One after the other, since not all fit into memory."""
    for width in scale.head_widths:
        for length in scale.lengths:
            yield _attention(device, length, width, scale)
    widest = max(scale.head_widths)
    for length in scale.lengths:
        yield _attention(device, length, widest, scale, window=scale.window)
    for length in scale.lengths:
        yield _attention(device, length, widest, scale, document=scale.document)
    for vocabulary in scale.vocabularies:
        yield _head(device, vocabulary, scale)
    for rows in scale.rows:
        yield _experts(device, rows, scale)


def _attention(
    device: Device,
    T: int,
    K: int,
    scale: Scale,
    *,
    window: int | None = None,
    document: int | None = None,
) -> Case:
    """Causal. FLOPs are those of visible pairs, and backward of five products, which is what others
    count too; our kernels compute seven."""
    B, (heads, kv_heads) = scale.tokens // T, scale.heads(K)
    q, k, v = (normal(device, B, count, T, K) for count in (heads, kv_heads, kv_heads))
    documents, kind, more = None, "", ""
    if document is not None:
        documents = (torch.arange(T, device=device.device) // document).expand(B, T).contiguous()
        kind, more = ", documents", f", of {document} tokens"
    elif window is not None:
        kind, more = ", window", f", of {window} tokens"
    one = None if documents is None else (documents[:1], documents[:1])
    seen = Mask(offset=0, window=window, documents=one).pairs(T, T, device.device)
    hidden = ~seen
    pairs = B * heads * int(seen.sum())

    def formula(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        logits = (q.unflatten(1, (kv_heads, -1)) @ k.mT[:, :, None]) * K**-0.5
        weights = logits.masked_fill(hidden, float("-inf")).softmax(-1)
        return (weights @ v[:, :, None]).flatten(1, 2)

    return Case(
        operation=f"attention, {K} wide{kind}",
        shape=f"{B} × {T} × {heads} heads, {kv_heads} of keys{more}",
        axis="positions",
        size=T,
        inputs=(q, k, v),
        ours=lambda q, k, v: attention(
            q, k, v, scale=K**-0.5, window=window, documents=documents, impl="triton"
        ),
        formula=formula,
        peers=_flex(device, scale, T, window, documents) if kind else {FUSED: _fused_attention},
        unit="TFLOP/s",
        work=(4 * K * pairs, 14 * K * pairs),
    )


def _fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def _flex(
    device: Device, scale: Scale, T: int, window: int | None, documents: Tensor | None
) -> dict[str, Operation]:
    """torch's attention under a mask of one's own, which is made to be compiled, and has no
    gradients on a CPU."""
    if not scale.compiled or device.device.type != "cuda":
        return {}

    def visible(_b: Tensor, _h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = (key <= query) & (query - key < (window or T))
        return seen if documents is None else seen & (documents[0, query] == documents[0, key])

    mask = create_block_mask(visible, None, None, T, T, device=device.device)
    flex = torch.compile(flex_attention, dynamic=False, fullgraph=True)
    return {"torch, flex": lambda q, k, v: flex(q, k, v, block_mask=mask, enable_gqa=True)}


def _head(device: Device, V: int, scale: Scale) -> Case:
    """The mean loss. FLOPs without those that compute logits anew."""
    N, D = scale.tokens, scale.width
    hidden, weight = normal(device, N, D), normal(device, V, D) * D**-0.5
    targets = torch.randint(V, (N,), device=device.device)
    flops = 2 * N * D * V

    def formula(hidden: Tensor, weight: Tensor) -> Tensor:
        logits = F.linear(hidden, weight).float()
        return (logits.logsumexp(-1) - logits.gather(-1, targets[:, None])[:, 0]).mean()

    return Case(
        operation="linear cross-entropy",
        shape=f"{N} × {D}, vocabulary of {V}",
        axis="vocabulary",
        size=V,
        inputs=(hidden, weight),
        ours=lambda h, w: linear_cross_entropy(h, w, targets, reduction="mean", impl="triton"),
        formula=formula,
        peers={
            FUSED: lambda h, w: F.cross_entropy(F.linear(h, w).float(), targets),
            **_torch(
                "torch, linear_cross_entropy",
                "linear_cross_entropy",
                lambda f: lambda h, w: f(h, w, targets),
            ),
            **liger("liger_fused_linear_cross_entropy", lambda f: lambda h, w: f(h, w, targets)),
        },
        unit="TFLOP/s",
        work=(flops, 3 * flops),
    )


def _torch(
    subject: str, name: str, peer: Callable[[Callable[..., Tensor]], Operation]
) -> dict[str, Operation]:
    """`torch.nn.functional`'s function of that name as a peer, where this version has it."""
    function = getattr(F, name, None)
    return {} if function is None else {subject: peer(function)}


def _experts(device: Device, N: int, scale: Scale) -> Case:
    """Runs of lengths drawn by chance; the formula is told them, and so need not ask the GPU."""
    E, D = scale.experts, scale.width
    x, weight = normal(device, N, D), normal(device, E, D, D) * D**-0.5
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(E, (N // _RUN,), generator=generator)
    lengths = chosen.bincount(minlength=E) * _RUN
    counts = lengths.to(device.device)
    ends = counts.cumsum(0).int()
    runs = lengths.tolist()
    flops = 2 * N * D * D

    def formula(x: Tensor, weight: Tensor) -> Tensor:
        return torch.cat([run @ w.T for run, w in zip(x.split(runs), weight, strict=True)])

    return Case(
        operation=f"grouped product, {E} experts",
        shape=f"{N} × {D} × {D}",
        axis="rows",
        size=N,
        inputs=(x, weight),
        ours=lambda x, w: grouped_linear(x, w, counts, impl="triton"),
        formula=formula,
        peers=_torch(FUSED, "grouped_mm", lambda f: lambda x, w: f(x, w.mT, offs=ends)),
        unit="TFLOP/s",
        work=(flops, 3 * flops),
    )
