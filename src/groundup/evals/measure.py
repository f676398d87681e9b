"""What is measured of a model: how well it predicts held-out text, and how it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundup.core.device import Device
from groundup.core.progress import Advance
from groundup.data.shards import TokenShards
from groundup.evals.compression import gzip_bits_per_byte, xz_bits_per_byte
from groundup.evals.verified import answer, verified_share
from groundup.infer import Engine, Sampling
from groundup.models import DecoderModel
from groundup.tokenizers import Tokenizer
from groundup.train import bits_per_byte
from groundup.verifiers.verifier import Problem, Verifier


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a model is asked. prompt: as a person sees it. tokens: as the model does."""

    prompt: str
    tokens: Sequence[int]
    problem: Problem


def documents_within(shards: TokenShards, most: int) -> int:
    """How many of the first documents have at most `most` bytes together; at least one."""
    return max(1, int(np.searchsorted(shards.document_bytes.cumsum(), most, side="right")))


def measure_text(
    model: DecoderModel,
    tokenizer: Tokenizer,
    shards: TokenShards,
    device: Device,
    *,
    end_of_text: int,
    stride: int,
    documents: int,
    document_mask: bool = False,
    advance: Advance | None = None,
) -> dict[str, Any]:
    """Bits per byte of the first `documents` documents: the model's, gzip's and xz's.

    document_mask: as in `bits_per_byte`.
    """
    bits = bits_per_byte(
        model,
        shards,
        device,
        end_of_text=end_of_text,
        stride=min(stride, model.config.context),
        documents=documents,
        document_mask=document_mask,
        advance=advance,
    )
    ids = shards.read(0, int(shards.document_ends[documents - 1]))
    text = tokenizer.decode_bytes(ids[ids != end_of_text].tolist())
    return {
        "bits_per_byte": bits,
        "gzip_bits_per_byte": gzip_bits_per_byte(text),
        "xz_bits_per_byte": xz_bits_per_byte(text),
        "documents": documents,
    }


def measure_answers(
    engine: Engine,
    tokenizer: Tokenizer,
    requests: Sequence[Request],
    verifier: Verifier | None,
    sampling: Sampling,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Answer every request. Returns the score with its interval, and a record for each answer.

    Without a verifier there is no score, and the records hold prompts and answers alone.
    """
    completions = answer(engine, tokenizer, [request.tokens for request in requests], sampling)
    records: list[dict[str, Any]] = [
        {"prompt": request.prompt, "completion": completion}
        for request, completion in zip(requests, completions, strict=True)
    ]
    if verifier is None:
        return {}, records
    share = verified_share(verifier, [request.problem for request in requests], completions)
    for record, verdict in zip(records, share.verdicts, strict=True):
        record |= {"score": verdict.score, "reason": verdict.reason}
    facts = {
        "score": share.score,
        "passed": share.passed,
        "n": share.n,
        "interval": list(share.interval),
        "verifier_raised": share.raised,
    }
    return facts, records
