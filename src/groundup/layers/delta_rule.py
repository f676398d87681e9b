"""The gated delta rule (Yang et al. 2024, "Gated Delta Networks", section 3.1).

Each head keeps a matrix S [K, V] that answers keys with values. At every position it fades, its
answer to the position's key is corrected by a share β towards the position's value, and it is read:

    S' = exp(a_t) · S_{t−1}      S_t = S' + k_t (β_t (v_t − S'ᵀ k_t))ᵀ      o_t = S_tᵀ q_t

`delta_rule` does just that. Within a chunk of positions the corrections depend on each other
through the overlaps of the keys: a triangular system of equations, whose solution makes the rest
matrix products (section 3.3). `chunked_delta_rule` does so within chunks and carries S between.

Letters here: B batch, T time, G key heads, H value heads, K key width, V value width.
"""

import torch
from torch import Tensor

from groundup.layers.documents import borders
from groundup.layers.ssd import chunk_decays, join_heads, split_heads


def delta_rule(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    log_decay: Tensor,
    write: Tensor,
    state: Tensor | None = None,
    *,
    documents: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The recurrence one position at a time: the reference, slow.

    queries, keys: [B, T, G, K], T ≥ 1; keys of length at most 1. values: [B, T, H, V], where G
    divides H and consecutive value heads share a key head. log_decay: [B, T, H], finite and ≤ 0.
    write: β, [B, T, H], from 0 to 1. state: [B, H, K, V] before the first position, by default
    zeros. documents: integers [B, T]; where the number changes, the state begins from zeros (at the
    first position it never does: `state` is of the same document).

    Returns o, of the shape and format of `values`, and the state after the last position,
    [B, H, K, V]. The state has the format of log_decay, and so has the arithmetic.
    """
    o_format, heads = values.dtype, values.shape[2]
    queries, keys, values, write = (p.to(log_decay.dtype) for p in (queries, keys, values, write))
    queries, keys = (p.repeat_interleave(heads // p.shape[2], dim=2) for p in (queries, keys))
    decay = log_decay.exp()
    if documents is not None:
        decay = decay.masked_fill(borders(documents)[..., None], 0.0)
    zeros = values.new_zeros(values.shape[0], heads, keys.shape[3], values.shape[3])
    last = zeros if state is None else state
    outputs = []
    for q_t, k_t, v_t, decay_t, write_t in zip(
        *(part.unbind(1) for part in (queries, keys, values, decay, write)), strict=True
    ):
        last = decay_t[..., None, None] * last
        answer = (k_t[..., None, :] @ last)[..., 0, :]
        correction = write_t[..., None] * (v_t - answer)
        last = last + k_t[..., None] * correction[..., None, :]
        outputs.append((q_t[..., None, :] @ last)[..., 0, :])
    return torch.stack(outputs, dim=1).to(o_format), last


def chunked_delta_rule(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    log_decay: Tensor,
    write: Tensor,
    state: Tensor | None = None,
    *,
    documents: Tensor | None = None,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """`delta_rule`, with matrix products within chunks of `chunk` positions.

    Arguments and results are those of `delta_rule`; T need not be a multiple of `chunk`. Under
    autocast the products run in its format; the system, the decays and the state do not.
    """
    batch, T, heads, width = values.shape
    groups, key_width = keys.shape[2:]
    chunk = min(chunk, T)
    # [B, G, H/G, chunks, Q, …]: the overlaps of a key head serve all its value heads.
    q, k, v, a, beta = (
        split_heads(part.to(log_decay.dtype), groups, chunk)
        for part in (queries, keys, values, log_decay[..., None], write[..., None])
    )
    decays = chunk_decays(a[..., 0], documents)
    entry, leaving = decays.entry[..., None], decays.exit[..., None]

    # Row i: correction i + Σ_{j<i} β_i (k_i · k_j) decay_ij · correction j
    #        = β_i (v_i − decay_i · Sᵀ k_i); the diagonal is 1, whatever is stored there.
    system = beta * (k @ k.mT) * decays.within
    solved = torch.linalg.solve_triangular(
        system, torch.cat((beta * v, beta * entry * k), dim=-1), upper=False, unitriangular=True
    )
    targets, answers = solved.split([width, key_width], dim=-1)
    kept_keys = (k * leaving).mT
    zeros = log_decay.new_zeros(batch, heads, key_width, width)
    last = (zeros if state is None else state).view(batch, groups, -1, key_width, width)
    before, corrections = [], []
    for target, answer, kept, through in zip(
        *(part.unbind(3) for part in (targets, answers, kept_keys, entry[..., -1:, :])), strict=True
    ):
        before.append(last)
        corrections.append(target - answer @ last)
        last = through * last + kept @ corrections[-1]
    o = (q * entry) @ torch.stack(before, dim=3)
    o = o + ((q @ k.mT) * decays.within) @ torch.stack(corrections, dim=3)
    return join_heads(o, T).to(values.dtype), last.reshape(batch, heads, key_width, width)
