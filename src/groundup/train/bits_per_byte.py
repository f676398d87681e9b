"""Bits per byte: how well a model predicts text, in a unit that no tokenizer can flatter.

    bits per byte = Σ −log₂ p(token | what precedes it) / UTF-8 bytes of the text

A model with larger tokens has fewer, harder predictions over the same bytes, so models with
different vocabularies, and compressors such as gzip, share one scale.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch

from groundup.core.device import Device
from groundup.core.mesh import ONE_CELL, Mesh
from groundup.core.progress import Advance
from groundup.data.shards import TokenShards
from groundup.models import LanguageModel
from groundup.train.compile import eagerly

WINDOWS = 16  # of a forward pass


@torch.no_grad()
def bits_per_byte(
    model: LanguageModel,
    shards: TokenShards,
    device: Device,
    *,
    end_of_text: int,
    stride: int | None = None,
    documents: int | None = None,
    document_mask: bool = False,
    mesh: Mesh = ONE_CELL,
    advance: Advance | None = None,
) -> float:
    """Bits per byte of the text in `shards`, every token of it counted once.

    The tokens are read as one stream in windows of the model's context, each starting `stride`
    after the one before; a window counts only the tokens that no earlier window has counted, so
    each has at least context − stride tokens before it, save at the very beginning. The default
    stride is the context: fastest, and pessimistic. The end-of-text tokens count as predictions
    and have no bytes.

    documents: only the first so many documents (None: all). document_mask: each document is
    predicted from itself alone, as by a model that was trained so. mesh: of processes that share
    the work, and all get the result.
    """
    context = model.config.context
    stride = stride or context
    documents = min(documents or shards.n_documents, shards.n_documents)
    total = int(shards.document_ends[documents - 1])
    text_bytes = int(shards.document_bytes[:documents].sum())
    stream = np.concatenate([[end_of_text], shards.read(0, total)]).astype(np.int64)
    nats = 0.0
    training = model.training
    model.eval()
    with eagerly(), device.autocast():
        # Processes with different experts read the same, as each needs the others for all it reads.
        windows, readers = _windows(total, context, stride), mesh.over("replica")
        while group := [*itertools.islice(windows, readers.size)]:
            # Sharded weights come together in a pass, of which all have as many: one that has
            # nothing left to read reads the first window once more, and does not count it.
            counts = readers.rank < len(group)
            some = group[readers.rank if counts else 0]
            block = torch.from_numpy(np.stack([stream[lo : hi + 1] for lo, _, hi in some]))
            block = block.to(device.device)
            seen = _documents(shards, some).to(device.device) if document_mask else None
            losses = model.losses(block[:, :-1], block[:, 1:], documents=seen).double().cpu()
            for row, (lo, first, _) in zip(losses, some if counts else (), strict=counts):
                nats += float(row[first - lo :].sum())
            if advance is not None and counts:
                advance(sum(hi - first for _, first, hi in some))
    model.train(training)
    nats = mesh.world.total(nats) / (mesh.sizes["tensor"] * mesh.sizes["expert"])  # the same losses
    return nats / math.log(2) / text_bytes


def _documents(shards: TokenShards, rows: list[tuple[int, int, int]]) -> torch.Tensor:
    """Which document each target is of, integers [windows, T]: the stream's token i + 1 is the
    shards' token i."""
    return torch.from_numpy(np.stack([shards.documents(lo, hi - lo) for lo, _, hi in rows]))


def _windows(total: int, context: int, stride: int) -> Iterator[list[tuple[int, int, int]]]:
    """Groups of (start, first token that counts, end), the windows of a group equally long."""
    group: list[tuple[int, int, int]] = []
    for first in range(0, total, stride):
        end = min(first + stride, total)
        window = (max(0, end - context), first, end)
        if group and (len(group) == WINDOWS or end - window[0] != group[0][2] - group[0][0]):
            yield group
            group = []
        group.append(window)
    if group:
        yield group
