"""One tokenizer library at one task, in a process of its own: prints what it measured as JSON.

python -m groundup.bench.tokenizer_subject '{"subject": "groundup", "task": "encode", …}'
"""

import importlib
import json
import os
import resource
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groundup.tokenizers import BPE, load_tokenizer, train_bpe
from groundup.tokenizers.patterns import PATTERNS

WARM_CALLS = 5


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """The task's times in seconds, and for encoding the ids' checksum and the memory's growth."""
    texts = _texts(job)
    if job["task"] == "train":
        return {"cold": _seconds(_trainer(job, texts))[0]}
    run, flatten = _ENCODERS[job["subject"]](job)
    if job["task"] == "decode":
        return _decoding(job, flatten(run(texts)))
    before = _peak(reset=True)
    cold, ids = _seconds(lambda: run(texts))
    grown = _peak() - before
    ids = np.asarray(flatten(ids), dtype=np.uint32)
    warm = [_seconds(lambda: run(texts))[0] for _ in range(WARM_CALLS)]
    return {
        "cold": cold,
        "warm": warm,
        "grown": grown,
        "tokens": len(ids),
        "checksum": zlib.crc32(ids.tobytes()),
    }


def take_turns(job: dict[str, Any]) -> None:
    """Prints the seconds of a first encoding, and then those of one a line of the input."""
    texts, (run, _) = _texts(job), _ENCODERS[job["subject"]](job)
    print(_seconds(lambda: run(texts))[0], flush=True)
    for _ in sys.stdin:
        print(_seconds(lambda: run(texts))[0], flush=True)


def _texts(job: dict[str, Any]) -> list[str]:
    return [text.decode() for text in Path(job["texts"]).read_bytes().split(b"\0")]


def _peak(*, reset: bool = False) -> float:
    """The most memory that was in use, in MB; on Linux since the last reset."""
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not clear.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    if reset:
        clear.write_text("5")  # proc(5): the peak becomes what is in use now
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024 / 1e6


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _together(lists: Sequence[Sequence[int]]) -> np.ndarray:
    return np.concatenate([np.asarray(ids, dtype=np.uint32) for ids in lists])


def _groundup(job: dict[str, Any]) -> Any:
    tokenizer, threads = load_tokenizer(Path(job["tokenizer"])), job["threads"]
    if job["form"] == "list":
        return lambda texts: tokenizer.encode_ordinary_batch(texts, threads), _together
    return lambda texts: tokenizer.encode_to_numpy(texts, threads)[0], lambda ids: ids


def _tiktoken(job: dict[str, Any]) -> Any:
    tokenizer, threads = _tiktoken_encoding(job), job["threads"]

    def lists(texts: list[str]) -> Any:
        return tokenizer.encode_ordinary_batch(texts, num_threads=threads)

    if job["form"] == "list":
        return lists, _together
    return lambda texts: _together(lists(texts)), lambda ids: ids


def _tiktoken_encoding(job: dict[str, Any]) -> Any:
    tokenizer = load_tokenizer(Path(job["tokenizer"]))
    assert isinstance(tokenizer, BPE)
    return importlib.import_module("tiktoken").Encoding(
        "same",
        pat_str=PATTERNS[job["pattern"]],
        mergeable_ranks={text: i for i, text in tokenizer.vocabulary.ordinary.items()},
        special_tokens={},
    )


def _tokenizers(job: dict[str, Any]) -> Any:
    tokenizer = importlib.import_module("tokenizers").Tokenizer.from_file(job["tokenizer"])

    def lists(texts: list[str]) -> Any:
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]

    if job["form"] == "list":
        return lists, _together
    return lambda texts: _together(lists(texts)), lambda ids: ids


def _gigatoken(job: dict[str, Any]) -> Any:
    tokenizer = importlib.import_module("gigatoken").Tokenizer(job["tokenizer"])
    flatten = importlib.import_module("awkward").flatten
    parallel = job["threads"] > 1

    def array(texts: list[str]) -> np.ndarray:
        return np.asarray(flatten(tokenizer.encode_batch(texts, parallel=parallel)))

    if job["form"] == "list":
        return lambda texts: tokenizer.encode_batch(texts, parallel=parallel).to_list(), _together
    return array, lambda ids: ids


def _fastokens(job: dict[str, Any]) -> Any:
    tokenizer = importlib.import_module("fastokens._native").Tokenizer.from_file(job["tokenizer"])
    threads = job["threads"]

    def lists(texts: list[str]) -> Any:
        if threads > 1:
            encoded = tokenizer.encode_batch(texts, False)
        else:
            encoded = [tokenizer.encode(text, False) for text in texts]
        return [getattr(ids, "ids", ids) for ids in encoded]

    if job["form"] == "list":
        return lists, _together
    return lambda texts: _together(lists(texts)), lambda ids: ids


_ENCODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "groundup": _groundup,
    "gigatoken": _gigatoken,
    "fastokens": _fastokens,
    "tiktoken": _tiktoken,
    "tokenizers": _tokenizers,
}


def _decoding(job: dict[str, Any], ids: np.ndarray) -> dict[str, Any]:
    source = ids.tolist() if job["form"] == "list" else ids
    if job["subject"] == "groundup":
        decode = load_tokenizer(Path(job["tokenizer"])).decode_bytes
    elif job["subject"] == "tiktoken":
        decode = _tiktoken_encoding(job).decode_bytes
    else:
        decode = importlib.import_module("tokenizers").Tokenizer.from_file(job["tokenizer"]).decode
    cold, content = _seconds(lambda: decode(source))
    warm = [_seconds(lambda: decode(source))[0] for _ in range(WARM_CALLS)]
    data = content if isinstance(content, bytes) else content.encode()
    return {"cold": cold, "warm": warm, "tokens": len(ids), "checksum": zlib.crc32(data)}


def _trainer(job: dict[str, Any], texts: list[str]) -> Callable[[], Any]:
    size, pattern = job["vocab_size"], PATTERNS["cl100k"]
    if job["subject"] == "groundup":
        return lambda: train_bpe(texts, vocab_size=size, threads=job["threads"])
    if job["subject"] == "rustbpe":
        peer = importlib.import_module("rustbpe").Tokenizer()
        return lambda: peer.train_from_iterator(iter(texts), size, pattern=pattern)
    library = importlib.import_module("tokenizers")
    peer = library.Tokenizer(library.models.BPE())
    byte_level = library.pre_tokenizers.ByteLevel
    split = library.pre_tokenizers.Split(library.Regex(pattern), behavior="isolated")
    peer.pre_tokenizer = library.pre_tokenizers.Sequence(
        [split, byte_level(add_prefix_space=False, use_regex=False)]
    )
    trainer = library.trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=byte_level.alphabet()
    )
    return lambda: peer.train_from_iterator(texts, trainer)


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    if settings["threads"] == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {settings.get("processor", min(os.sched_getaffinity(0)))})
    if settings["task"] == "turns":
        take_turns(settings)
    else:
        print(json.dumps(measure(settings)))
