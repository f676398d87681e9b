"""The scan of Mamba-2 (Dao and Gu 2024, "Transformers are SSMs"): a state that decays, is added to
and is read from at each position.

    S_t = exp(a_t) · S_{t−1} + x_t ⊗ B_t,     y_t = S_t C_t

Unrolled it is attention without a softmax, whose weights are C_t·B_s · exp(a_{s+1} + … + a_t): the
paper's duality. `scan` follows the recurrence, position by position. `chunked_scan` is the same
(section 6): matrix products within chunks, the recurrence only from chunk to chunk.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def scan(
    x: Tensor,
    log_decay: Tensor,
    B: Tensor,
    C: Tensor,
    *,
    state: Tensor | None = None,
    documents: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Follow the recurrence.

    x: [B, T, H, P]. log_decay: a, at most 0, [B, T, H]. B, C: [B, T, G, N], each for H/G heads in a
    row. state: before the first position, [B, H, P, N]; None is zeros.
    documents: integers [B, T]; where the number changes, the state begins anew. A state that is
    given belongs to the first position's document.
    Returns y [B, T, H, P] and the last state.
    """
    heads = x.shape[2] // B.shape[2]
    B, C = (part.repeat_interleave(heads, dim=2) for part in (B, C))
    S = x.new_zeros(*x.shape[:1], *x.shape[2:], B.shape[3]) if state is None else state
    rows = []
    for t in range(x.shape[1]):
        if documents is not None and t:
            S = S * (documents[:, t] == documents[:, t - 1])[:, None, None, None]
        S = S * log_decay[:, t].exp()[:, :, None, None]
        S = S + x[:, t, :, :, None] * B[:, t, :, None]
        rows.append((S * C[:, t, :, None]).sum(-1))
    return torch.stack(rows, dim=1), S


def chunked_scan(
    x: Tensor,
    log_decay: Tensor,
    B: Tensor,
    C: Tensor,
    *,
    state: Tensor | None = None,
    documents: Tensor | None = None,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """The same as `scan`, in chunks of `chunk` positions."""
    batch, T, H, P = x.shape
    G, N = B.shape[2:]
    chunk = min(chunk, T)
    run = None if documents is None else _runs(documents)
    if missing := -T % chunk:  # what is added decays nothing and adds nothing
        x, B, C = (F.pad(part, (0, 0, 0, 0, 0, missing)) for part in (x, B, C))
        log_decay = F.pad(log_decay, (0, 0, 0, missing))
        run = None if run is None else torch.cat((run, run[:, -1:].expand(-1, missing)), dim=1)
    n = x.shape[1] // chunk
    x = x.view(batch, n, chunk, H, P).transpose(2, 3)  # [B, n, H, l, P]
    B, C = (part.view(batch, n, chunk, G, N).transpose(2, 3) for part in (B, C))
    decay = log_decay.view(batch, n, chunk, H).transpose(2, 3).cumsum(-1)  # [B, n, H, l]
    whole = decay[..., -1:]
    inside, ending, entering, passing = _visibility(run, batch, n, chunk, x.device)

    weights = (decay[..., :, None] - decay[..., None, :]).masked_fill(~inside, float("-inf")).exp()
    scores = (C @ B.mT).repeat_interleave(H // G, dim=2)
    y = (scores * weights).to(x.dtype) @ x

    fading = (whole - decay).masked_fill(~ending, float("-inf")).exp()
    by_head = B.repeat_interleave(H // G, dim=2)
    added = (x * fading[..., None].to(x.dtype)).mT @ by_head  # [B, n, H, P, N]
    kept = whole[..., 0].masked_fill(~passing, float("-inf")).exp()  # [B, n, H]
    S = added.new_zeros(batch, H, P, N) if state is None else state
    before = []
    for i in range(n):
        before.append(S)
        S = S * kept[:, i, :, None, None].to(S.dtype) + added[:, i]
    reading = decay.masked_fill(~entering, float("-inf")).exp()[..., None]
    by_head = C.repeat_interleave(H // G, dim=2)
    y = y + (by_head @ torch.stack(before, dim=1).mT) * reading.to(y.dtype)
    return y.transpose(2, 3).reshape(batch, n * chunk, H, P)[:, :T], S


def _runs(documents: Tensor) -> Tensor:
    """How many times the document has changed before each position: [B, T]."""
    changes = documents[:, 1:] != documents[:, :-1]
    return F.pad(changes.long().cumsum(1), (1, 0))


def _visibility(
    run: Tensor | None, batch: int, n: int, chunk: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Which meet, documents considered, each with an axis for heads: positions of one chunk,
    [.., n, 1, l, l]; a position and the chunk's end, [.., n, 1, l]; a position and the state that
    enters the chunk; the chunk's end and that state, [.., n, 1]."""
    causal = torch.ones(chunk, chunk, dtype=torch.bool, device=device).tril()
    if run is None:
        every = torch.ones(1, 1, 1, chunk, dtype=torch.bool, device=device)
        return causal, every, every, every[..., 0]
    run = run.view(batch, n, chunk)
    last = run[:, :, -1:]
    entered = torch.cat((run[:, :1, :1], last[:, :-1]), dim=1)  # the state's, before each chunk
    same = run[:, :, :, None] == run[:, :, None, :]
    return (
        (same & causal)[:, :, None],
        (run == last)[:, :, None],
        (run == entered)[:, :, None],
        last == entered,
    )
