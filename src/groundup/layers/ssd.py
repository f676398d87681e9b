"""The scan of Mamba-2, state-space duality (Dao and Gu 2024, "Transformers are SSMs", section 6).

Each head keeps a matrix S [P, N], which fades, is written to and is read at every position:

    S_t = exp(a_t) · S_{t−1} + x_t B_tᵀ        y_t = S_t C_t

The same y, written out, is attention without softmax, y = (L ∘ C Bᵀ) x with
L_ij = exp(a_{j+1} + … + a_i) for i ≥ j (section 5). `scan` follows the first form. `chunked_scan`
uses the second within chunks of positions and the first between them, so that nearly all of the
work is matrix products, and grows linearly with T.

Letters here: B batch (B the tensor writes to the state, C reads it), T time, H heads, P head width,
G groups of heads that share B and C, N columns of the state.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.layers.documents import borders


def scan(
    x: Tensor,
    log_decay: Tensor,
    B: Tensor,
    C: Tensor,
    state: Tensor | None = None,
    *,
    documents: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The recurrence one position at a time: the reference, slow.

    x: [B, T, H, P], T ≥ 1. log_decay: [B, T, H], finite and ≤ 0. B, C: [B, T, G, N], where G
    divides H and consecutive heads share a group. state: [B, H, P, N] before the first position, by
    default zeros. documents: integers [B, T]; where the number changes, the state begins from zeros
    (at the first position it never does: `state` is of the same document).

    Returns y, of x's shape and format, and the state after the last position, [B, H, P, N]. The
    state has the format of log_decay, and so has the arithmetic.
    """
    y_format, heads = x.dtype, x.shape[2]
    x, B, C = (part.to(log_decay.dtype) for part in (x, B, C))
    B, C = (part.repeat_interleave(heads // part.shape[2], dim=2) for part in (B, C))
    decay = log_decay.exp()
    if documents is not None:
        decay = decay.masked_fill(borders(documents)[..., None], 0.0)
    zeros = x.new_zeros(x.shape[0], heads, x.shape[3], B.shape[3])
    last = zeros if state is None else state
    outputs = []
    for x_t, decay_t, B_t, C_t in zip(*(part.unbind(1) for part in (x, decay, B, C)), strict=True):
        last = decay_t[..., None, None] * last + x_t[..., None] * B_t[:, :, None]
        outputs.append((last @ C_t[..., None])[..., 0])
    return torch.stack(outputs, dim=1).to(y_format), last


def chunked_scan(
    x: Tensor,
    log_decay: Tensor,
    B: Tensor,
    C: Tensor,
    state: Tensor | None = None,
    *,
    documents: Tensor | None = None,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """`scan`, with matrix products within chunks of `chunk` positions (the paper's listing 1).

    Arguments and results are those of `scan`; T need not be a multiple of `chunk`. Under autocast
    the products run in its format, the decays and the state stay in log_decay's.
    """
    batch, T, heads, width = x.shape
    groups, columns = B.shape[2:]
    chunk = min(chunk, T)
    # [B, G, H/G, chunks, Q, …]: one matrix C Bᵀ serves all heads of a group.
    values, writes, reads = (
        split_heads(part.to(log_decay.dtype), groups, chunk) for part in (x, B, C)
    )
    decays = chunk_decays(split_heads(log_decay[..., None], groups, chunk)[..., 0], documents)

    y = ((reads @ writes.mT) * decays.within) @ values
    added = (values * decays.exit[..., None]).mT @ writes
    through = decays.entry[..., -1, None, None]
    zeros = log_decay.new_zeros(batch, heads, width, columns)
    state = (zeros if state is None else state).view(batch, groups, -1, width, columns)
    before = []
    # unbind: the gradient of indexing with i would fill a tensor of all chunks for each of them.
    for decay, new in zip(through.unbind(3), added.unbind(3), strict=True):
        before.append(state)
        state = decay * state + new
    y = y + decays.entry[..., None] * (reads @ torch.stack(before, dim=3).mT)
    return join_heads(y, T).to(x.dtype), state.reshape(batch, heads, width, columns)


class ChunkDecays(NamedTuple):
    """What remains of a thing over a way within a chunk of Q positions, a share from 0 to 1.

    within: [..., Q, Q], of what position j wrote when position i reads; 0 for j > i.
    entry: [..., Q], of the state before the chunk when position i reads.
    exit: [..., Q], of what position j wrote after the chunk's last position.
    All are 0 across a document's border.
    """

    within: Tensor
    entry: Tensor
    exit: Tensor


def chunk_decays(log_decay: Tensor, documents: Tensor | None) -> ChunkDecays:
    """log_decay: [B, G, H/G, chunks, Q]. documents: integers [B, T], T ≤ chunks · Q.

    Sums are in float64: strong decay makes them large, and what counts is their differences. In
    float32 the scan of 128 positions with decays about exp(−6) was wrong in the fourth digit.
    """
    chunks, Q = log_decay.shape[-2:]
    total = log_decay.double().cumsum(-1)
    between = (total[..., :, None] - total[..., None, :]).to(log_decay.dtype)
    entry = total.to(log_decay.dtype).exp()
    reaches = torch.ones(Q, Q, dtype=torch.bool, device=total.device).tril()
    if documents is not None:
        border = F.pad(borders(documents), (0, chunks * Q - documents.shape[1]))
        crossed = border.view(-1, 1, 1, chunks, Q).cumsum(-1)
        reaches = reaches & (crossed[..., :, None] == crossed[..., None, :])
        entry = entry * (crossed == 0)
    within = between.masked_fill(~reaches, float("-inf")).exp()
    return ChunkDecays(within, entry, within[..., -1, :])


def split_heads(x: Tensor, groups: int, chunk: int) -> Tensor:
    """[B, T, H, W] → [B, G, H/G, chunks, Q, W], with zeros after the last position.

    Zeros write nothing, and as the logarithm of a decay they leave the state as it is.
    """
    batch, T, heads, width = x.shape
    x = F.pad(x, (0, 0, 0, 0, 0, -T % chunk))
    return x.view(batch, -1, chunk, groups, heads // groups, width).permute(0, 3, 4, 1, 2, 5)


def join_heads(x: Tensor, T: int) -> Tensor:
    """[B, G, H/G, chunks, Q, W] → [B, T, H, W]: the inverse of `split_heads`."""
    batch, groups, share, _, _, width = x.shape
    return x.permute(0, 3, 4, 1, 2, 5).reshape(batch, -1, groups * share, width)[:, :T]
