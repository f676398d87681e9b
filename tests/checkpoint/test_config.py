"""What a `config.json` of `transformers` says: read as its class reads it, or refused in one
sentence that names the setting.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from groundup.checkpoint.huggingface import read_config
from groundup.core.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
transformers = pytest.importorskip("transformers")

SIZES = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6}
KEYS = {**SIZES, "num_key_value_heads": 2, "head_dim": 8}
LATENT = {**SIZES, "num_key_value_heads": 6, "n_routed_experts": 16, "num_experts_per_tok": 2}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {"n_embd": 48, "n_head": 6, "n_layer": 3}),
    "gpt3": (
        "GPTNeo",
        {"hidden_size": 48, "num_heads": 6, "num_layers": 3}
        | {"attention_types": [[["global"], 3]]},
    ),
    "llama": ("Llama", KEYS),
    "mistral": ("Mistral", KEYS),
    "mixtral": ("Mixtral", KEYS),
    "qwen2": ("Qwen2", KEYS),
    "qwen3": ("Qwen3", KEYS),
    "qwen3-moe": ("Qwen3Moe", KEYS),
    "gemma2": ("Gemma2", KEYS | {"sliding_window": 5}),
    "gemma3": ("Gemma3Text", KEYS | {"num_hidden_layers": 7, "sliding_window": 5}),
    "deepseek-v2": ("DeepseekV2", LATENT),
    "deepseek-v3": ("DeepseekV3", LATENT),
    "mamba2": (
        "Mamba2",
        {"hidden_size": 48, "num_hidden_layers": 3, "num_heads": 8, "head_dim": 12},
    ),
    "bert": ("Bert", {"hidden_size": 48, "num_attention_heads": 6}),
    "t5": ("T5", {"d_model": 48, "num_heads": 6}),
    "transformer": (
        "Marian",
        {"d_model": 48, "encoder_attention_heads": 6, "decoder_attention_heads": 6}
        | {"encoder_ffn_dim": 80, "decoder_ffn_dim": 80, "pad_token_id": 0}
        | {"decoder_start_token_id": 0, "activation_function": "relu"},
    ),
}


def write_config(folder: Path, case: str, **settings: Any) -> None:
    """A config of theirs, with some settings changed behind its back, or left out (`...`)."""
    kind, given = CASES[case]
    getattr(transformers, f"{kind}Config")(**given).save_pretrained(folder)
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **settings}
    path.write_text(json.dumps({key: v for key, v in config.items() if v is not ...}))


NAMES = {  # of width and heads; of layers
    "gpt2": ("n_embd", "n_head", "n_layer"),
    "gpt3": ("hidden_size", "num_heads", "num_layers"),
    "mamba2": ("hidden_size", "num_heads", "num_hidden_layers"),
    "t5": ("d_model", "num_heads", "num_layers"),
    "transformer": ("d_model", "encoder_attention_heads", "encoder_layers"),
}
HEIRS = ["llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3-moe", "gemma2", "gemma3"]
FAMILIES = [*NAMES, *HEIRS, "deepseek-v2", "deepseek-v3", "bert"]


@pytest.mark.parametrize("case", FAMILIES)
def test_a_size_that_is_none_is_named(case: str, tmp_path: Path) -> None:
    width, heads, depth = NAMES.get(
        case, ("hidden_size", "num_attention_heads", "num_hidden_layers")
    )
    for name in (width, heads, depth, "vocab_size"):
        for value, said in ((0, "0"), (-1, "-1"), ("48", '"48"'), (None, "null"), (4.8, "4.8")):
            write_config(tmp_path, case, **{name: value})
            sentence = f"config.json: {name} is {said}: it must be a whole number of at least 1."
            with pytest.raises(InputError, match=re.escape(sentence)):
                read_config(tmp_path)


@pytest.mark.parametrize("case", [c for c in FAMILIES if c not in ("mamba2", "t5", "deepseek-v2")])
def test_heads_that_do_not_divide_the_width_are_refused(case: str, tmp_path: Path) -> None:
    """Where the settings do not say how wide a head is."""
    width, heads, _ = NAMES.get(case, ("hidden_size", "num_attention_heads", ""))
    more = {"num_key_value_heads": 5, "head_dim": ...} if case in HEIRS else {}
    if case == "transformer":
        more = {"decoder_attention_heads": 5}
    if case in ("qwen3", "deepseek-v3"):  # a head has a width of its own in any case
        write_config(tmp_path, case, **{heads: 5, "num_key_value_heads": 5, "head_dim": ...})
        assert read_config(tmp_path)[1].attention_of(0).heads == 5
        return
    write_config(tmp_path, case, **{heads: 5, **more})
    with pytest.raises(InputError, match=rf"{heads} \(5\) must divide {width} \(48\)\.$"):
        read_config(tmp_path)


@pytest.mark.parametrize("case", HEIRS)
def test_key_value_heads_that_do_not_divide_the_heads_are_refused(
    case: str, tmp_path: Path
) -> None:
    write_config(tmp_path, case, num_key_value_heads=4)
    with pytest.raises(InputError, match=r"num_key_value_heads \(4\) must divide num_att.* \(6\)"):
        read_config(tmp_path)


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "odd head width": ("llama", {"head_dim": 7}, "an even head width, not 7"),
    "part of a head": ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5"),
    "quantised": ("llama", {"quantization_config": {"bits": 4}}, "its weights are quantised"),
    "no such type": ("llama", {"rms_norm_eps": "small"}, "norm.eps is 'small'"),
    "no object": ("llama", {"rope_parameters": [1]}, "does not hold the settings of a llama"),
    "both ways": ("gemma3", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
    "an activation": ("gemma2", {"hidden_activation": "elu"}, "the activation 'elu' is not"),
    "no scale": ("gemma2", {"query_pre_attn_scalar": 0}, "does not hold the settings of a gemma2"),
    "a pattern": ("gemma2", {"sliding_window_pattern": 3}, "sliding_window_pattern = 3"),
    "too few kinds": ("gemma3", {"layer_types": ["full_attention"]}, "is of 1 layers, and the mod"),
    "a kind": ("gemma2", {"layer_types": ["chunked_attention"] * 3}, "'chunked_attention' are not"),
    "too few types": ("gpt3", {"attention_types": [[["global"], 4]]}, "is of 4 layers"),
    "shared keys": ("deepseek-v3", {"num_key_value_heads": 2}, "num_key_value_heads = 2 is not"),
    "two vocabularies": ("transformer", {"decoder_vocab_size": 5}, "decoder_vocab_size = 5 is not"),
    "no architecture": ("llama", {"model_type": ["llama"]}, "is not supported; there are gpt2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_we_lack_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    case, settings, sentence = REFUSED[name]
    write_config(tmp_path, case, **settings)
    with pytest.raises(InputError, match=sentence) as refused:
        read_config(tmp_path)
    assert str(refused.value).count("\n") == 0


DEFAULTS = {  # what the class takes for a setting that the file does not have
    "qwen3": ["head_dim"],
    "gemma2": ["head_dim", "attn_logit_softcapping", "final_logit_softcapping"],
    "gemma3": ["head_dim", "rope_parameters", "layer_types", "hidden_activation"],
    "mistral": ["sliding_window"],
    "mamba2": ["n_groups", "time_step_limit"],
    "deepseek-v3": ["n_group", "topk_group", "routed_scaling_factor", "first_k_dense_replace"],
    "mixtral": ["rms_norm_eps", "rope_parameters", "sliding_window"],
    "llama": ["num_key_value_heads", "head_dim", "rms_norm_eps"],
}


@pytest.mark.parametrize("case", DEFAULTS)
def test_what_a_config_leaves_out_is_what_their_class_says(case: str, tmp_path: Path) -> None:
    kind, given = CASES[case]
    left = {key: value for key, value in given.items() if key not in DEFAULTS[case]}
    getattr(transformers, f"{kind}Config")(**left).save_pretrained(tmp_path)
    expected = read_config(tmp_path)[1]
    write_config(tmp_path, case, **dict.fromkeys(DEFAULTS[case], ...))
    assert read_config(tmp_path)[1] == expected


def test_the_older_pattern_of_gemma3_is_read(tmp_path: Path) -> None:
    write_config(tmp_path, "gemma3", layer_types=..., sliding_window_pattern=3)
    config = read_config(tmp_path)[1]
    theirs = transformers.AutoConfig.from_pretrained(tmp_path)
    windows = [config.attention_of(layer).window for layer in range(config.depth)]
    assert windows == [5 if kind == "sliding_attention" else None for kind in theirs.layer_types]
    assert windows == [5, 5, None, 5, 5, None, 5]


@pytest.mark.parametrize("case", ["qwen3", "gemma2", "gemma3", "deepseek-v3"])
def test_of_two_ways_to_say_a_scaling_the_older_counts(case: str, tmp_path: Path) -> None:
    """As where `rope_scaling` is added by hand to a file that says its `rope_parameters`."""
    write_config(tmp_path, case, rope_scaling={"rope_type": "linear", "factor": 4.0})
    config = read_config(tmp_path)[1]
    theirs = transformers.AutoConfig.from_pretrained(tmp_path).rope_parameters
    last = config.position_of(5 if case == "gemma3" else 2)
    assert theirs.get("full_attention", theirs)["factor"] == last.scaling.factor == 4.0
    assert theirs.get("full_attention", theirs)["rope_theta"] == last.base
