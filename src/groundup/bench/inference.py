"""Generation beside `transformers`, with the same weights: one text after the other, many together,
and many that come one by one.

Every answer is as long as was asked for, since random weights have no reason to stop.
"""

import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from groundup.bench.result import OURS, announce, machine_is_idle, row, versions
from groundup.bench.trained import load_trained, trained_rows
from groundup.bench.turns import in_turns
from groundup.checkpoint.huggingface import read_model
from groundup.core.device import Device, select_device, tune_cpu
from groundup.core.errors import InputError
from groundup.core.progress import make_console
from groundup.infer import Engine, Sampling
from groundup.infer.cache import position_bytes
from groundup.infer.sequence import Sequence as Running
from groundup.infer.weights import ServingLinear, Weights
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, DecoderModel
from groundup.train.probe import machine_description

PEER = "transformers generate"
BYTES = "groundup, int8 weights"
# 97 M weights, of which the embeddings are 13 M.
_SHAPE: dict[str, Any] = {
    "vocab_size": 16_384,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "intermediate_size": 2048,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": None,
    "pad_token_id": 0,
}
# On a GPU, of the size of Llama 3's smallest.
_LARGE = Decoder(
    vocab_size=128_256,
    context=2048,
    width=4096,
    depth=32,
    attention=GroupedQuery(heads=32, kv_heads=8, head_width=128, query_key_norm=None),
    mlp=GLU(hidden=14_336),
)
_PROMPT = 32  # tokens
_DECODED = 128  # tokens of it
_TOGETHER = 32  # the most texts that the peer generates together


@dataclass(frozen=True)
class _Request:
    """arrives: seconds after the beginning. read, wanted: tokens of the prompt and the answer."""

    arrives: float
    read: int
    wanted: int


def bench_inference(run: Path | None = None, *, quick: bool) -> dict[str, Any]:
    """The result: tokens/s of each way at several batch sizes, of reading prompts, and of a load of
    mixed requests that arrive over time; and the share of the memory's rate that decoding reaches.
    run: see `bench.trained`.
    """
    tune_cpu()
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "transformers is not installed, and it is what generation is measured beside: install "
            "groundup[hf]."
        ) from error
    transformers.utils.logging.disable_progress_bar()
    device, idle, console = select_device(), machine_is_idle(), make_console()
    rounds, new = (1, 32) if quick else (5, 128)
    draw = _prompts()
    rows: list[dict[str, Any]] = []
    if device.device.type == "cuda":  # first, while there is room
        for one in _large_rows(device, rounds, draw):
            rows.append(one)
            announce(console, one)
    torch.manual_seed(0)
    peer: Any = transformers.LlamaForCausalLM(transformers.LlamaConfig(**_SHAPE))
    peer = peer.eval().to(device.device, device.compute_dtype)
    with tempfile.TemporaryDirectory() as folder:
        peer.save_pretrained(folder)
        model = read_model(Path(folder))
    assert isinstance(model, DecoderModel)
    engines = {
        OURS: Engine(model, device, stop=[]),
        BYTES: Engine(model, device, stop=[], weights="int8"),
    }
    ways: dict[str, Callable[[list[list[int]], int], object]] = {
        name: lambda prompts, count, e=engine: e.generate(prompts, _asked(count))
        for name, engine in engines.items()
    }
    ways[PEER] = lambda prompts, count: _theirs(peer, prompts, count)
    trained = None if run is None else load_trained(run)  # now, as a wrong one is told at once
    _compare(engines[OURS], peer, draw(64))
    rates_of_memory: list[float] = []
    for batch in (1, 8, 32):
        read = _read_rate(device)  # it changes
        rates_of_memory.append(read)
        case = f"{batch} texts of {_PROMPT} tokens, {new} more each"
        subjects = {
            name: lambda w=way, n=batch: w([draw(_PROMPT) for _ in range(n)], new)
            for name, way in ways.items()
        }
        times = _wall_seconds(subjects, rounds)
        for name, taken in times.items():
            rates = [batch * new / seconds for seconds in taken]
            rows.append(row(case, name, "rate", "tokens/s", rates, higher=True))
            announce(console, rows[-1])
            if name in engines:
                moved = _bytes_of_a_pass(engines[name], batch, _PROMPT + new // 2)
                shares = [moved * new / seconds / read for seconds in taken]
                rows.append(row(case, name, "of the memory's rate", "", shares, higher=True))
    for tokens in (128, 512) if quick else (128, 512, 1536):
        case = f"reading a prompt of {tokens} tokens"
        subjects = {n: lambda w=ways[n], t=tokens: w([draw(t)], 1) for n in (OURS, PEER)}
        times = _wall_seconds(subjects, rounds)
        for name, taken in times.items():
            rates = [tokens / seconds for seconds in taken]
            rows.append(row(case, name, "rate", "tokens/s", rates, higher=True))
            announce(console, rows[-1])
    requests = _load(16 if quick else 64)
    case = f"{len(requests)} requests over {requests[-1].arrives:.0f} s"
    unused: list[float] = []
    loads = {
        OURS: lambda: unused.append(_serve(engines[OURS], requests, draw)),
        PEER: lambda: _serve_in_batches(peer, requests, draw),
    }
    wanted = sum(request.wanted for request in requests)
    for name, taken in _wall_seconds(loads, 1 if quick else 3).items():
        rates = [wanted / seconds for seconds in taken]
        rows.append(row(case, name, "rate", "tokens/s", rates, higher=True))
        announce(console, rows[-1])
    rows.append(row(case, OURS, "of the pages unused", "", unused, higher=False))
    announce(console, rows[-1])
    if trained is not None:
        for one in trained_rows(trained, device, rounds=rounds):
            rows.append(one)
            announce(console, one)
    return {
        "bench": "inference",
        "machine": machine_description(device),
        "versions": versions("groundup", "torch", "transformers"),
        "idle": idle,
        "rows": rows,
        "limits": [{"name": "memory, read", "value": max(rates_of_memory) / 1e9, "unit": "GB/s"}],
    }


def _large_rows(
    device: Device, rounds: int, draw: Callable[[int], list[int]]
) -> list[dict[str, Any]]:
    """Of a model as large as a GPU is bought for, decoding alone, and without a peer."""
    rows = []
    kind = torch.get_default_dtype()
    torch.set_default_dtype(device.compute_dtype)  # in float32 it would take twice the room
    try:
        with torch.device(device.device):
            model = DecoderModel(_LARGE)
    finally:
        torch.set_default_dtype(kind)
    weights = f"{model.parameter_count() / 1e9:.1f} B weights"
    ways: list[tuple[str, Weights]] = [(OURS, "compute"), (BYTES, "int8")]
    for name, held in ways:
        engine = Engine(model, device, stop=[], rows=_TOGETHER, weights=held)
        counts, runs = {"all": _DECODED + 1, "first": 1}, {}
        for batch in (1, 8, 32) if held == "compute" else (1,):
            case = f"{weights}, {batch} texts of {_PROMPT} tokens, {_DECODED} more behind the first"
            read = _read_rate(device)
            runs = {key: partial(_all, engine, batch, n, draw) for key, n in counts.items()}
            times = _wall_seconds(runs, rounds)
            taken = [a - b for a, b in zip(times["all"], times["first"], strict=True)]
            rates = [batch * _DECODED / seconds for seconds in taken]
            rows.append(row(case, name, "rate", "tokens/s", rates, higher=True))
            moved = _bytes_of_a_pass(engine, batch, _PROMPT + _DECODED // 2)
            shares = [moved * _DECODED / seconds / read for seconds in taken]
            rows.append(row(case, name, "of the memory's rate", "", shares, higher=True))
        del engine, runs
    return rows


def _all(engine: Engine, batch: int, new: int, draw: Callable[[int], list[int]]) -> None:
    engine.generate([draw(_PROMPT) for _ in range(batch)], _asked(new))


@torch.inference_mode()
def _compare(engine: Engine, peer: Any, text: list[int]) -> None:
    """Raises `RuntimeError` where the two do not compute the same model."""
    ids = torch.tensor([text], device=peer.device)
    logprobs = peer(ids).logits[0, :-1].float().log_softmax(-1)
    theirs = float(logprobs.gather(1, ids[0, 1:, None]).mean())
    ours = engine.loglikelihood([(text[:1], text[1:])])[0].logprob / (len(text) - 1)
    if abs(ours - theirs) > 0.01 * abs(theirs):
        raise RuntimeError(f"log-probabilities differ: {ours:.4f} here, {theirs:.4f} there")


def _asked(count: int) -> Sampling:
    return Sampling(temperature=0, max_tokens=count)


def _prompts() -> Callable[[int], list[int]]:
    """Draws a text of so many tokens, another one each time, so that no page holds it yet."""
    generator = torch.Generator().manual_seed(0)

    def draw(tokens: int) -> list[int]:
        return torch.randint(1, _SHAPE["vocab_size"], (tokens,), generator=generator).tolist()

    return draw


@torch.inference_mode()
def _theirs(peer: Any, prompts: Sequence[Sequence[int]], count: int) -> None:
    """Padded on the left, as generation there needs it."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=peer.device)
    real = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    peer.generate(
        ids,
        attention_mask=real.to(peer.device),
        max_new_tokens=count,
        min_new_tokens=count,
        do_sample=False,
    )


def _wall_seconds(
    subjects: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Seconds of each subject in each round, after one that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for turn in range(rounds + 1):
        for name, run in subjects.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def _bytes_of_a_pass(engine: Engine, batch: int, positions: int) -> int:
    """What decoding a token of each text must read: all matrices, an embedding once where it is the
    head's, and the keys and values of all positions."""
    model = engine.model
    held: dict[int, int] = {}
    for part in model.modules():
        if isinstance(part, ServingLinear):
            matrix = part.in_core
            tensors = [part.kept] if matrix is None else [matrix.panels]
            held |= {t.data_ptr(): t.nbytes for t in [*tensors, part.scales] if t is not None}
    each = position_bytes(model.config, engine.device.compute_dtype)
    return sum(held.values()) + batch * positions * each


def _read_rate(device: Device) -> float:
    """Bytes a second at which the memory is read, the best of ten sums over an array that no cache
    holds."""
    array = torch.ones(1 << (30 if device.device.type == "cuda" else 27), device=device.device)
    taken = in_turns({"sum": lambda: array.sum()}, 10, device)["sum"]
    return array.nbytes / min(taken)


def _load(count: int) -> list[_Request]:
    """Requests of 16 to 256 tokens for answers of 16 to 256, 50 ms apart on average (exponentially
    distributed)."""
    generator = torch.Generator().manual_seed(5)
    gaps = torch.empty(count).exponential_(20.0, generator=generator).cumsum(0)
    lengths = torch.randint(16, 257, (count, 2), generator=generator).tolist()
    return [
        _Request(float(at), read, wanted) for at, (read, wanted) in zip(gaps, lengths, strict=True)
    ]


def _serve(engine: Engine, requests: Sequence[_Request], draw: Callable[[int], list[int]]) -> float:
    """Each request is taken up when it comes. Returns which share of the pages that were somebody's
    had no position in them, all passes together."""
    held = used = 0
    coming, start = deque(requests), time.perf_counter()
    running: list[Running] = []
    while coming or any(sequence.finish is None for sequence in running):
        while coming and coming[0].arrives <= time.perf_counter() - start:
            request = coming.popleft()
            running.append(engine.submit(draw(request.read), _asked(request.wanted)))
        if not engine.step():
            time.sleep(0.001)
        filled, there = engine.filled
        used, held = used + filled, held + there
    return 1 - used / held


def _serve_in_batches(
    peer: Any, requests: Sequence[_Request], draw: Callable[[int], list[int]]
) -> None:
    """Those that have come are generated together, as long as the longest of them."""
    coming, start = deque(requests), time.perf_counter()
    while coming:
        now, batch = time.perf_counter() - start, []
        while coming and coming[0].arrives <= now and len(batch) < _TOGETHER:
            batch.append(coming.popleft())
        if batch:
            _theirs(peer, [draw(r.read) for r in batch], max(r.wanted for r in batch))
        else:
            time.sleep(0.001)
