"""Softmax attention over given queries, keys and values (Vaswani et al. 2017, equation 1), three
times: by definition, by torch's fused operation, and block by block for training on a CPU.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.kernels import cpu

Implementation = Literal["reference", "sdpa", "blockwise", "training"]


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
    implementation: Implementation = "sdpa",
) -> Tensor:
    """What each query reads: [B, H, T, K_v].

    queries: [B, H, T, K]; keys: [B, kv_heads, S, K]; values: [B, kv_heads, S, K_v]; T is S, or the
    queries are the last T of S. scale: of the products of queries and keys.
    mask: bool [1 or B, 1, T, S], True where a query sees a key; None is causal. A query that sees
    nothing reads zeros.
    bias: added to the logits, [H, T, S]. softcap: logits become c · tanh(logits / c) (Gemma 2).
    sinks: [H], a logit of each head that takes its share of the softmax and reads nothing (OpenAI
    2025, gpt-oss).
    implementation: "sdpa" takes the definition where the fused operation lacks what is asked for.
    "training" is the one with the faster backward pass: "blockwise" on a CPU, else "sdpa".
    """
    if implementation == "training":
        on_cpu = queries.device.type in ("cpu", "meta")
        implementation = "blockwise" if on_cpu else "sdpa"
    if implementation == "blockwise":
        return attend_blockwise(
            queries,
            keys,
            values,
            scale=scale,
            mask=mask,
            bias=bias,
            softcap=softcap,
            sinks=sinks,
        )
    if implementation == "sdpa" and softcap is None and sinks is None:
        return _fused(queries, keys, values, scale, mask, bias)
    groups = queries.shape[1] // keys.shape[1]
    T, S = queries.shape[2], keys.shape[2]
    keys, values = (x.repeat_interleave(groups, dim=1) for x in (keys, values))
    mask, blind = (causal_mask(T, S, queries.device), None) if mask is None else _opened(mask)
    logits = _logits(_scaled(queries, scale, softcap) @ keys.mT, bias, softcap)
    # Added to the logits, which must be finite: to fill it in takes twice as long, since the mask
    # is one for all heads.
    hidden = torch.zeros_like(mask, dtype=logits.dtype).masked_fill(~mask, float("-inf"))
    weights = _softmax(logits + hidden, sinks).to(values.dtype)
    return _closed(weights @ values, blind)


def causal_mask(
    queries: int, keys: int, device: torch.device, *, window: int | None = None
) -> Tensor:
    """bool [T, S]: whether each of the last T of S positions sees each of the S.

    window: how many positions it sees at most, itself included; None for all before it.
    """
    behind = (torch.arange(queries, device=device) + (keys - queries))[:, None] - torch.arange(
        keys, device=device
    )
    return (behind >= 0) if window is None else (behind >= 0) & (behind < window)


def _scaled(queries: Tensor, scale: float, softcap: float | None) -> Tensor:
    """Queries whose products with keys are what `_logits` takes; they are fewer than those."""
    return queries * (scale if softcap is None else scale / softcap)


def _logits(products: Tensor, bias: Tensor | None, softcap: float | None) -> Tensor:
    logits = products.float()
    if softcap is not None:
        logits = softcap * torch.tanh(logits)
    return logits if bias is None else logits + bias


def _softmax(logits: Tensor, sinks: Tensor | None) -> Tensor:
    """[B, H, T, S], float32."""
    if sinks is not None:
        column = sinks.float()[:, None, None].expand(*logits.shape[:3], 1)
        return torch.cat((logits, column), dim=-1).softmax(-1)[..., :-1]
    return logits.softmax(-1)


def _opened(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The mask, open for queries that see nothing, since their softmax and its gradient would be
    NaN; and which those are, [1 or B, 1, T, 1]. torch's fused operation needs no such help."""
    blind = ~mask.any(dim=-1, keepdim=True)
    return mask | blind, blind


def _closed(read: Tensor, blind: Tensor | None) -> Tensor:
    """What queries read, [B, H, T, K_v], with zeros for the blind ones."""
    return read if blind is None else read.masked_fill(blind, 0.0)


def _fused(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    scale: float,
    mask: Tensor | None,
    bias: Tensor | None,
) -> Tensor:
    T, S = queries.shape[2], keys.shape[2]
    causal = mask is None and bias is None and T == S
    if not causal and mask is None and T > 1:  # the last query alone sees all keys
        mask = causal_mask(T, S, queries.device)
    if bias is not None:
        seen = bias.to(queries.dtype)[None]
        mask = seen if mask is None else seen.masked_fill(~mask, float("-inf"))
    return F.scaled_dot_product_attention(
        queries,
        keys,
        values,
        attn_mask=mask,
        is_causal=causal,
        scale=scale,
        enable_gqa=queries.shape[1] != keys.shape[1],
    )


def attend_blockwise(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
    block: int = 256,
) -> Tensor:
    """Matrix products over blocks of queries.

    Without a mask, block i of the queries meets only the keys that it may see, so that about half
    of the square is skipped. Query heads that share keys and values are rows of one product. For
    training on a CPU: torch's fused attention is fast forward, but its backward pass reached a
    tenth of the machine's matrix rate (16 × 6 heads of 256 × 64, bfloat16, two cores: 31 ms forward
    and backward, this under `torch.compile` 17 ms).
    """
    B, H, T, _ = queries.shape
    kv_heads, S = keys.shape[1:3]
    before = S - T  # positions that have no query here
    fused = bias is None and softcap is None and sinks is None and cpu.takes(queries, keys, values)
    keys, values = keys.flatten(0, 1), values.flatten(0, 1)
    queries = queries if fused else _scaled(queries, scale, softcap)
    mask, blind = (mask, None) if mask is None or fused else _opened(mask)
    blocks = []
    for start in range(0, T, block):
        stop = min(start + block, T)
        end = before + stop if mask is None else S
        rows = queries[:, :, start:stop].reshape(B * kv_heads, -1, queries.shape[-1])
        products = torch.bmm(rows, keys[:, :end].mT).view(B, H, stop - start, end)
        some_mask = None if mask is None else mask.expand(-1, -1, T, -1)[:, :, start:stop]
        if fused:
            weights = cpu.softmax(products, scale=scale, visible=before + start + 1, mask=some_mask)
        else:
            some_bias = None if bias is None else bias[:, start:stop, :end]
            logits = _logits(products, some_bias, softcap)
            hidden = _later(start, stop, end, logits) if some_mask is None else ~some_mask
            weights = _softmax(logits.masked_fill(hidden, float("-inf")), sinks).to(values.dtype)
        read = torch.bmm(weights.view(B * kv_heads, -1, end), values[:, :end])
        blocks.append(read.view(B, H, stop - start, -1))
    read = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=2)
    return _closed(read, blind)


def _later(start: int, stop: int, keys: int, logits: Tensor) -> Tensor:
    """Which of the first keys stand behind each query from `start` up to `stop`, the last of which
    sees all of them: bool [T, S]."""
    row = torch.arange(start, stop, device=logits.device)[:, None] + (keys - stop)
    return torch.arange(keys, device=logits.device) > row
