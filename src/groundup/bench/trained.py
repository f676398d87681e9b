"""What a trained model loses by eight bits a weight, and gains by guesses of what comes next: what
random weights cannot tell."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.bench.result import OURS, row
from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.infer import Engine, Sampling
from groundup.infer.draft import PromptLookup
from groundup.infer.weights import Weights
from groundup.loading import Served, load_served

_WINDOWS, _PROMPTS, _NEW = 200, 8, 128


@dataclass(frozen=True)
class Trained:
    """A run's base model, and the beginnings of texts that it has not seen, each as long as its
    context."""

    served: Served
    windows: Sequence[list[int]]


def load_trained(run: Path) -> Trained:
    """Raises `InputError` where the run kept no such texts."""
    served = load_served(run, "base")
    return Trained(served, _windows(run, served, served.model.config.context))


def trained_rows(trained: Trained, device: Device, *, rounds: int) -> list[dict[str, Any]]:
    """Bits per byte by the format of weights, and tokens/s with guesses and without."""
    served, windows = trained.served, trained.windows
    context = served.model.config.context
    rows = []
    case = f"bits per byte of {len(windows)} texts of {served.name}"
    formats: dict[str, Weights] = {OURS: "compute", "groundup, int8 weights": "int8"}
    plainly = 0.0
    for name, weights in formats.items():
        engine = Engine(served.model, device, stop=[], weights=weights)
        bits = _bits_per_byte(engine, served, windows)
        plainly = plainly or bits
        rows.append(row(case, name, "bits per byte", "", [bits], higher=False))
        rows.append(
            row(case, name, "more than plainly", "%", [100 * bits / plainly - 100], higher=False)
        )
    prompts = [window[: context // 2] for window in windows[:_PROMPTS]]
    new = min(_NEW, context - context // 2)
    case = f"{new} more tokens behind {len(prompts)} texts, one after the other"
    ways = {
        OURS: Engine(served.model, device, stop=[]),
        "groundup, prompt lookup": Engine(served.model, device, stop=[], drafter=PromptLookup()),
    }
    for temperature in (0.0, 0.8):
        sampling = Sampling(max_tokens=new, temperature=temperature)
        told = f"{case}, temperature {temperature}"
        plain: list[list[int]] = []  # what is written without guesses
        for name, engine in ways.items():
            rates, passes, texts = _rates(engine, prompts, sampling, rounds)
            plain = plain or texts
            same = sum(a == b for a, b in zip(plain, texts, strict=True)) / len(texts)
            rows.append(row(told, name, "rate", "tokens/s", rates, higher=True))
            rows.append(row(told, name, "tokens a pass", "", [passes], higher=True))
            rows.append(row(told, name, "texts that are the same", "", [same], higher=True))
    return rows


def _windows(run: Path, served: Served, context: int) -> list[list[int]]:
    """The beginnings of the texts that a run kept for validation."""
    path = run / "corpus" / "validation.jsonl"
    if not path.is_file():
        raise InputError(f"{run} keeps no corpus/validation.jsonl: give a run of quickstart.")
    found = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            tokens = served.prompt(json.loads(line)["text"])[:context]
            if len(tokens) == context:
                found.append(tokens)
            if len(found) == _WINDOWS:
                break
    if not found:
        raise InputError(f"{path} has no text of {context} tokens, as long as the context.")
    return found


def _bits_per_byte(engine: Engine, served: Served, windows: Sequence[Sequence[int]]) -> float:
    told = engine.loglikelihood([(window[:1], window[1:]) for window in windows])
    scored = [token for window in windows for token in window[1:]]
    count = sum(len(served.tokenizer.token_bytes(token)) for token in scored)
    return -sum(one.logprob for one in told) / math.log(2) / count


def _rates(
    engine: Engine, prompts: Sequence[Sequence[int]], sampling: Sampling, rounds: int
) -> tuple[list[float], float, list[list[int]]]:
    """Tokens a second of each round, behind prompts that the round before has read; tokens for each
    pass; and what was written."""
    rates, passes, texts = [], 0, []
    for turn in range(rounds + 1):
        start, passes, texts = time.perf_counter(), 0, []
        for index, prompt in enumerate(prompts):
            sequence = engine.submit(prompt, sampling, index)
            while sequence.finish is None:
                engine.step()
                passes += 1
            texts.append(sequence.written)
        if turn:
            rates.append(sum(map(len, texts)) / (time.perf_counter() - start))
    return rates, sum(map(len, texts)) / passes, texts
