"""n-gram models: training a 5-gram, and scoring held-out text, beside kenlm on the same model.

kenlm's Python package scores; its trainer, `lmplz`, is a program of its own and is measured where
it is on the PATH. It gets the tokens as words, ours as numbers: each its natural input.
"""

import importlib
import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from groundup.bench.result import OURS, machine_is_idle, row, versions
from groundup.core.device import select_device
from groundup.core.errors import InputError
from groundup.core.memory import peak_memory_bytes
from groundup.models.ngram import NGram, NGramModel, train_ngram, write_arpa
from groundup.tokenizers import train_bpe
from groundup.train.probe import machine_description

_ORDER, _VOCAB = 5, 4096
_TRAIN_BYTES, _HELD_OUT_BYTES = 15_000_000, 1_000_000
_DOCUMENT = 4096  # tokens: a corpus has documents, and kenlm a sentence a line
_LOG10 = np.log(10)

Array = np.ndarray[Any, Any]


def bench_ngram(text: Path, *, quick: bool) -> dict[str, Any]:
    """The result: seconds and memory of training, tokens/s of scoring, and nats per token, which
    must be those of kenlm.

    text: UTF-8; the first 15 MB are trained on, the megabyte after them is scored. quick: a
    fifteenth of that. Raises `InputError` for a text that is too short or not UTF-8.
    """
    idle = machine_is_idle()
    train, held_out = _read(text, quick)
    rounds = 1 if quick else 3
    config = NGram(order=_ORDER, vocab_size=_VOCAB)
    case = f"training {_ORDER}-grams, {sum(map(len, train)) / 1e6:.2g} M tokens"
    times = [_seconds(lambda: train_ngram(config, train))[0] for _ in range(rounds)]
    memory = peak_memory_bytes() / 1e6
    model = train_ngram(config, train)
    rows = [
        row(case, OURS, "time", "s", times, higher=False),
        row(case, OURS, "peak memory of the process", "MB", [memory], higher=False),
    ]
    tokens = sum(len(document) + 1 for document in held_out)  # and each document's end
    score = _scorer(model, held_out)
    rows += _scoring(OURS, score, tokens, rounds)
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("kenlm"):
            rows += _scoring("kenlm", _kenlm(model, Path(folder), held_out), tokens, rounds)
        if lmplz := shutil.which("lmplz"):
            seconds = [_lmplz(lmplz, Path(folder), train) for _ in range(rounds)]
            rows.append(row(case, "kenlm", "time", "s", seconds, higher=False))
    return {
        "bench": "ngram",
        "machine": machine_description(select_device("cpu")),
        "versions": versions("groundup", "numpy", "kenlm"),
        "idle": idle,
        "rows": rows,
        "limits": [],
    }


def _read(text: Path, quick: bool) -> tuple[list[Array], list[Array]]:
    """The token ids of the documents to train on, and of those to score."""
    share = 15 if quick else 1
    train, held_out = _TRAIN_BYTES // share, _HELD_OUT_BYTES // share
    data = text.read_bytes()
    if len(data) < train + held_out:
        raise InputError(f"{text} is too short: {train + held_out:,} bytes are the least.")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{text} is not UTF-8 ({error.reason}).") from error
    data = data[: train + held_out]
    parts = [part.decode(errors="ignore") for part in (data[:train], data[train:])]
    tokenizer = train_bpe(parts[:1], vocab_size=_VOCAB)
    first, second = (np.array(tokenizer.encode_ordinary(part), np.int64) for part in parts)
    return _documents(first), _documents(second)


def _documents(ids: Array) -> list[Array]:
    """Documents of one length; what is left at the end is left out."""
    return list(ids[: len(ids) // _DOCUMENT * _DOCUMENT].reshape(-1, _DOCUMENT))


def _scorer(model: NGramModel, documents: list[Array]) -> Callable[[], float]:
    assert model.begin is not None, "it has boundaries"
    assert model.end is not None
    begin, end = [model.begin], [model.end]
    rows = np.stack([np.concatenate((begin, document, end)) for document in documents])
    return lambda: float(model.logprobs(rows).sum(dtype=np.float64))


def _kenlm(model: NGramModel, folder: Path, documents: list[Array]) -> Callable[[], float]:
    """kenlm with the same probabilities, read from our ARPA file."""
    write_arpa(model, folder / "model.arpa", [str(token) for token in range(_VOCAB)])
    theirs = importlib.import_module("kenlm").Model(str(folder / "model.arpa"))
    lines = [" ".join(map(str, document.tolist())) for document in documents]
    return lambda: sum(map(theirs.score, lines)) * _LOG10


def _lmplz(program: str, folder: Path, documents: list[Array]) -> float:
    """Seconds that kenlm's trainer takes from text to an ARPA file."""
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(" ".join(map(str, ids.tolist())) for ids in documents))
    command = [program, "-o", str(_ORDER), "--text", str(corpus), "--arpa", str(folder / "theirs")]
    return _seconds(lambda: subprocess.run(command, check=True, capture_output=True))[0]


def _scoring(
    subject: str, score: Callable[[], float], tokens: int, rounds: int
) -> list[dict[str, Any]]:
    case = f"scoring {tokens / 1e6:.2g} M tokens"
    measured = [_seconds(score) for _ in range(rounds)]
    rates = [tokens / seconds for seconds, _ in measured]
    nats = -measured[0][1] / tokens
    return [
        row(case, subject, "rate", "tokens/s", rates, higher=True),
        row(case, subject, "nats per token", "", [nats], higher=False),
    ]


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
