"""A forward pass of each decoder beside that of `transformers`, with the same weights.

Both read the same files, and their logits are compared before they are timed. transformers computes
attention by torch's fused operation, as we do; that is its fastest way on a CPU. Gemma 2's caps are
not in that operation: transformers leaves them out there, so its other way is measured.
"""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from groundup.bench.result import OURS, announce, machine_is_idle, row, versions
from groundup.checkpoint.huggingface import read_model
from groundup.core.device import select_device, tune_cpu
from groundup.core.errors import InputError
from groundup.core.progress import make_console, track
from groundup.train.compile import can_compile
from groundup.train.probe import machine_description, peak_flops

_VOCAB, _TOKENS, _ROWS = 8192, 512, 2
_BASE: dict[str, Any] = {
    "vocab_size": _VOCAB,
    "hidden_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 1408,
    "max_position_embeddings": _TOKENS,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}
_EXPERTS: dict[str, Any] = {"num_experts_per_tok": 4, "moe_intermediate_size": 352}
_LATENT: dict[str, Any] = {
    **_BASE,
    **_EXPERTS,
    "num_key_value_heads": 8,
    "kv_lora_rank": 128,
    "q_lora_rank": 192,
    "qk_nope_head_dim": 48,
    "qk_rope_head_dim": 16,
    "v_head_dim": 64,
    "n_shared_experts": 1,
    "n_routed_experts": 16,
    "first_k_dense_replace": 1,
}
# name → transformers' class of config, and its settings
_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-2": (
        "GPT2",
        {
            "vocab_size": _VOCAB,
            "n_embd": 512,
            "n_layer": 6,
            "n_head": 8,
            "n_positions": _TOKENS,
            "bos_token_id": 0,
            "eos_token_id": 1,
        },
    ),
    "GPT-Neo (GPT-3)": (
        "GPTNeo",
        {
            "vocab_size": _VOCAB,
            "hidden_size": 512,
            "num_layers": 6,
            "attention_types": [[["global", "local"], 3]],
            "num_heads": 8,
            "max_position_embeddings": _TOKENS,
            "bos_token_id": 0,
            "eos_token_id": 1,
        },
    ),
    "Llama": ("Llama", _BASE),
    "Mistral": ("Mistral", {**_BASE, "sliding_window": 128}),
    "Mixtral": ("Mixtral", {**_BASE, "num_local_experts": 8, "num_experts_per_tok": 2}),
    "Qwen2": ("Qwen2", _BASE),
    "Qwen3": ("Qwen3", {**_BASE, "head_dim": 64}),
    "Qwen3-MoE": ("Qwen3Moe", {**_BASE, **_EXPERTS, "head_dim": 64, "num_experts": 16}),
    "Gemma 2": ("Gemma2", {**_BASE, "head_dim": 64, "sliding_window": 128}),
    "Gemma 3": ("Gemma3Text", {**_BASE, "head_dim": 64, "sliding_window": 128}),
    "DeepSeek-V2": ("DeepseekV2", _LATENT),
    "DeepSeek-V3": ("DeepseekV3", {**_LATENT, "n_group": 4, "topk_group": 2}),
    "Mamba-2": (
        "Mamba2",
        {
            "vocab_size": _VOCAB,
            "hidden_size": 512,
            "num_hidden_layers": 6,
            "num_heads": 16,
            "head_dim": 64,
            "n_groups": 1,
            "state_size": 64,
            "chunk_size": 64,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 0,
        },
    ),
}
_ROUNDS, _PASSES = 4, 6  # passes a round
_CLOSE = 1e-4  # of the logits' scale; tests ask for more


def bench_models(only: Sequence[str] = (), *, quick: bool) -> dict[str, Any]:
    """The result: tokens/s of a forward pass, eager and compiled, of every family in turn.

    only: these families, empty for all. quick: eager alone, and fewer rounds. Standard error shows
    what has been measured so far. Raises `InputError` without transformers, and for a family that
    there is not.
    """
    if unknown := [name for name in only if name not in _CASES]:
        raise InputError(f"there is no family '{unknown[0]}' here: choose of {', '.join(_CASES)}.")
    try:
        import transformers
    except ImportError as error:
        raise InputError("bench models needs transformers: pip install 'groundup[hf]'.") from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tune_cpu()
    device = select_device()
    idle = machine_is_idle()
    rounds = 2 if quick else _ROUNDS
    compiled = not quick and can_compile(device.device)
    rows: list[dict[str, Any]] = []
    console = make_console()
    for name in track(console, only or list(_CASES), "families", len(only or _CASES)):
        kind, settings = _CASES[name]
        config = getattr(transformers, f"{kind}Config")(**settings)
        for measured in _case(name, config, rounds, compiled):
            announce(console, measured)
            rows.append(measured)
        gc.collect()
    return {
        "bench": "models",
        "machine": machine_description(device),
        "versions": versions("groundup", "torch", "transformers"),
        "idle": idle,
        "rows": rows,
        "limits": [
            {
                "name": f"matrix product in {str(device.compute_dtype).removeprefix('torch.')}",
                "value": peak_flops(device) / 1e9,
                "unit": "GFLOP/s",
            }
        ],
    }


@torch.inference_mode()
def _case(name: str, config: Any, rounds: int, compiled: bool) -> list[dict[str, Any]]:
    from transformers import AutoModelForCausalLM

    capped = getattr(config, "attn_logit_softcapping", None) is not None
    peer = AutoModelForCausalLM.from_config(config).eval()
    if capped:
        peer.set_attn_implementation("eager")
    with tempfile.TemporaryDirectory() as folder:
        peer.save_pretrained(folder)
        model = read_model(Path(folder))
    tokens = torch.randint(_VOCAB, (_ROWS, _TOKENS), generator=torch.Generator().manual_seed(0))
    ours: Callable[[Tensor], Tensor] = lambda t: model(t)  # noqa: E731
    theirs: Callable[[Tensor], Tensor] = lambda t: peer(t, use_cache=False).logits  # noqa: E731
    expected = theirs(tokens)
    if (ours(tokens) - expected).abs().max() > _CLOSE * expected.abs().max():
        raise InputError(f"{name}: the logits differ, so there is nothing to compare.")
    rows = _rows(f"{name}, eager", ours, theirs, tokens, rounds)
    if compiled:
        torch.compiler.reset()
        model.compile(dynamic=False)
        peer.compile(dynamic=False)
        rows += _rows(f"{name}, compiled", ours, theirs, tokens, rounds)
    return rows


def _rows(
    case: str,
    ours: Callable[[Tensor], Tensor],
    theirs: Callable[[Tensor], Tensor],
    tokens: Tensor,
    rounds: int,
) -> list[dict[str, Any]]:
    """In turns, pass by pass, each first as often as second, so that what the machine does falls on
    both. A round's rate is that of the median of its passes."""
    subjects = {OURS: ours, "transformers": theirs}
    rates: dict[str, list[float]] = {subject: [] for subject in subjects}
    for forward in subjects.values():
        forward(tokens)
    for _ in range(rounds):
        times: dict[str, list[float]] = {subject: [] for subject in subjects}
        for turn in range(_PASSES):
            for subject, forward in list(subjects.items())[:: -1 if turn % 2 else 1]:
                start = time.perf_counter()
                forward(tokens)
                times[subject].append(time.perf_counter() - start)
        for subject, taken in times.items():
            rates[subject].append(tokens.numel() / statistics.median(taken))
    return [
        row(case, subject, "forward", "tokens/s", values, higher=True)
        for subject, values in rates.items()
    ]
