"""Models of `transformers` with random weights: what they save we read, with the same logits and
gradients, and what we save they read.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from groundup.checkpoint.huggingface import left_out, read_config, read_model, write_model
from groundup.core.errors import InputError
from groundup.layers import RoPE
from groundup.models import DecoderModel

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
transformers = pytest.importorskip("transformers")

VOCAB = 97
BASE = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 80,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
EXPERTS = {"num_experts_per_tok": 3, "moe_intermediate_size": 24}
LATENT = (
    BASE
    | {
        "num_key_value_heads": 6,
        "kv_lora_rank": 20,
        "q_lora_rank": 28,
        "qk_nope_head_dim": 10,
        "qk_rope_head_dim": 6,
        "v_head_dim": 14,
        "n_shared_experts": 2,
        "n_routed_experts": 8,
        "first_k_dense_replace": 1,
    }
    | EXPERTS
)
MAMBA = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "expand": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
    "mscale": 0.707,
    "mscale_all_dim": 0.707,
    "beta_fast": 32,
    "beta_slow": 1,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": (
        "GPT2",
        {"vocab_size": VOCAB, "n_embd": 48, "n_layer": 3, "n_head": 6, "n_positions": 64},
    ),
    "gpt3-banded": (
        "GPTNeo",
        {
            "vocab_size": VOCAB,
            "hidden_size": 48,
            "num_layers": 4,
            "attention_types": [[["global", "local"], 2]],
            "num_heads": 6,
            "window_size": 5,
            "max_position_embeddings": 64,
        },
    ),
    "llama": ("Llama", BASE | {"num_key_value_heads": 6}),
    "llama-grouped-biased": ("Llama", BASE | {"attention_bias": True, "mlp_bias": True}),
    "llama3-scaled-tied": (
        "Llama",
        BASE | {"rope_parameters": LLAMA3, "tie_word_embeddings": True},
    ),
    "llama-linear": (
        "Llama",
        BASE | {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 3.0}},
    ),
    "mistral-windowed": ("Mistral", BASE | {"sliding_window": 7}),
    "mixtral": ("Mixtral", BASE | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "mixtral-windowed": (
        "Mixtral",
        BASE | {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 7},
    ),
    "qwen2": ("Qwen2", BASE),
    "qwen2-windowed": (
        "Qwen2",
        BASE | {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", BASE | {"head_dim": 16}),
    "qwen3-windowed": (
        "Qwen3",
        BASE
        | {"head_dim": 16, "use_sliding_window": True, "sliding_window": 6}
        | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
    "qwen3-yarn": ("Qwen3", BASE | {"head_dim": 16, "rope_parameters": YARN | {"mscale": None}}),
    "qwen3-moe": (
        "Qwen3Moe",
        BASE
        | EXPERTS
        | {"head_dim": 16, "num_experts": 8, "norm_topk_prob": True, "mlp_only_layers": [1]},
    ),
    "gemma2": (
        "Gemma2",
        BASE | {"head_dim": 16, "sliding_window": 5, "query_pre_attn_scalar": 24},
    ),
    "gemma2-gelu": (
        "Gemma2",
        BASE | {"head_dim": 16, "sliding_window": 5, "hidden_activation": "gelu"},
    ),
    "gemma3": (
        "Gemma3Text",
        BASE
        | {
            "head_dim": 16,
            "num_hidden_layers": 7,
            "sliding_window": 5,
            "query_pre_attn_scalar": 24,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
    ),
    "mamba2": (
        "Mamba2",
        MAMBA | {"num_heads": 6, "head_dim": 16, "n_groups": 1, "chunk_size": 8, "state_size": 12},
    ),
    "mamba2-grouped-biased": (
        "Mamba2",
        MAMBA
        | {
            "num_heads": 12,
            "head_dim": 8,
            "n_groups": 3,
            "chunk_size": 16,
            "state_size": 10,
            "use_bias": True,
            "use_conv_bias": False,
            "time_step_limit": [0.02, 0.6],
        },
    ),
    "deepseek-v2": (
        "DeepseekV2",
        LATENT
        | {
            "topk_method": "group_limited_greedy",
            "n_group": 4,
            "topk_group": 2,
            "routed_scaling_factor": 1.5,
        },
    ),
    "deepseek-v2-lite": ("DeepseekV2", LATENT | {"q_lora_rank": None}),
    "deepseek-v2-yarn": ("DeepseekV2", LATENT | {"rope_parameters": YARN}),
    "deepseek-v2-yarn-two-scales": (
        "DeepseekV2",
        LATENT | {"rope_parameters": YARN | {"mscale": 1.0, "mscale_all_dim": 0.5}},
    ),
    "deepseek-v3": ("DeepseekV3", LATENT | {"n_group": 4, "topk_group": 2}),
    "deepseek-v3-half-split": (
        "DeepseekV3",
        LATENT | {"n_group": 4, "topk_group": 2, "rope_interleave": False},
    ),
    "deepseek-v3-plain-queries": (
        "DeepseekV3",
        LATENT | {"n_group": 4, "topk_group": 2, "q_lora_rank": None},
    ),
    "deepseek-v3-yarn": (
        "DeepseekV3",
        LATENT | {"n_group": 4, "topk_group": 2, "rope_parameters": YARN},
    ),
}


def peer_of(case: str) -> Any:
    """Their model, with eager attention and weights of which each matters."""
    name, settings = CASES[case]
    config = getattr(transformers, f"{name}Config")(**settings)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
    return model


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return request.param


def test_logits_equal_theirs_and_what_we_write_they_read(case: str, tmp_path: Path) -> None:
    peer = peer_of(case)
    peer.save_pretrained(tmp_path / "theirs")
    model = read_model(tmp_path / "theirs")
    tokens = torch.randint(VOCAB, (2, 37), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs = peer(tokens).logits
        for implementation in ("reference", "sdpa", "blockwise"):
            ours = model(tokens, implementation=implementation)
            assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()

    write_model(tmp_path / "ours", model, settings={}, shard_bytes=100_000)
    assert_same_files(tmp_path / "theirs", tmp_path / "ours")
    back = read_model(tmp_path / "ours")
    assert back.config == model.config
    again = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", attn_implementation="eager"
    )
    with torch.no_grad():
        torch.testing.assert_close(again(tokens).logits, theirs, rtol=0, atol=0)


def assert_same_files(theirs: Path, ours: Path) -> None:
    """Every tensor has the same name, the same shape and the same bits."""
    a, b = (
        {k: v for file in folder.glob("*.safetensors") for k, v in load_file(file).items()}
        for folder in (theirs, ours)
    )
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert len(list(ours.glob("*.safetensors"))) > 1
    assert (ours / "model.safetensors.index.json").exists()


def test_padding_on_the_left_changes_nothing(case: str, tmp_path: Path) -> None:
    """As the engine pads: the shorter row's padding is masked, its positions are shifted."""
    peer = peer_of(case)
    peer.save_pretrained(tmp_path)
    model = read_model(tmp_path)
    T, padding = 23, 9
    tokens = torch.randint(VOCAB, (2, T), generator=torch.Generator().manual_seed(2))
    real = torch.ones(2, T, dtype=torch.bool)
    real[1, :padding] = False
    positions = (real.long().cumsum(1) - 1).clamp(min=0)
    column = torch.arange(T)
    seen = (column <= column[:, None]) & real[:, None, None]
    mask = seen | (column == column[:, None])
    with torch.no_grad():
        ours = model(tokens, positions=positions, mask=mask, documents=real.long())
        for row, start in ((0, 0), (1, padding)):
            theirs = peer(tokens[row : row + 1, start:]).logits[0]
            assert (ours[row, start:] - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_packed_documents_do_not_see_each_other(case: str, tmp_path: Path) -> None:
    """Their logits of each document alone are ours of the packed row."""
    peer = peer_of(case)
    peer.save_pretrained(tmp_path)
    model = read_model(tmp_path)
    lengths = (7, 1, 19, 12)
    tokens = torch.randint(VOCAB, (1, sum(lengths)), generator=torch.Generator().manual_seed(3))
    documents = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))[None]
    with torch.no_grad():
        theirs = torch.cat([peer(part).logits for part in tokens.split(lengths, dim=1)], dim=1)
        for implementation in ("reference", "sdpa", "blockwise"):
            ours = model(tokens, documents=documents, implementation=implementation)
            assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("name", ["gpt2", "llama", "llama3-scaled-tied", "gemma3", "deepseek-v3"])
def test_gradients_equal_theirs(name: str, tmp_path: Path) -> None:
    peer = peer_of(name)
    peer.save_pretrained(tmp_path / "theirs")
    model = read_model(tmp_path / "theirs")
    tokens = torch.randint(VOCAB, (2, 29), generator=torch.Generator().manual_seed(4))
    for network in (peer, model):
        logits = network(tokens).logits if network is peer else network(tokens)
        logits.square().mean().backward()
    # the gradients take the weights' place, so that the names are translated by the same code
    with torch.no_grad():
        for network in (peer, model):
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter.copy_(parameter.grad)
    peer.save_pretrained(tmp_path / "gradients")
    theirs = dict(read_model(tmp_path / "gradients").named_parameters())
    for key, ours in model.named_parameters():
        scale = theirs[key].abs().max()
        assert (ours - theirs[key]).abs().max() <= 1e-4 * scale + 1e-7, key


def saved(folder: Path, case: str = "qwen3") -> Path:
    peer_of(case).save_pretrained(folder)
    return folder


def edit_config(folder: Path, **settings: Any) -> None:
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **settings}
    path.write_text(json.dumps({key: v for key, v in config.items() if v is not ...}))


def edit_tensors(folder: Path, **tensors: torch.Tensor | None) -> None:
    path = folder / "model.safetensors"
    all_tensors = {**load_file(path), **tensors}
    save_file({k: v.contiguous() for k, v in all_tensors.items() if v is not None}, path)


def test_a_head_that_reads_the_embedding_is_written_as_one_matrix(tmp_path: Path) -> None:
    plain = read_model(saved(tmp_path / "theirs"))
    assert isinstance(plain, DecoderModel)
    assert not plain.config.tied
    model = dataclasses.replace(plain.config, embedding_in_head=True).build(0)
    with torch.no_grad():
        model.load_state_dict(plain.state_dict(), strict=False)
        model.readout.embedding_gain.normal_()  # type: ignore[union-attr]
        write_model(tmp_path / "ours", model, settings={})
        tokens = torch.randint(VOCAB, (2, 29))
        ours = model(tokens)
        peer = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
        assert (ours - plain(tokens)).abs().max() > 0.1 * ours.abs().max()
        assert (ours - peer(tokens).logits).abs().max() <= 1e-5 * ours.abs().max()


def test_settings_of_older_versions_are_read(tmp_path: Path) -> None:
    """`rope_theta` and `rope_scaling` in place of `rope_parameters`, as in most published files."""
    folder = saved(tmp_path, "llama3-scaled-tied")
    expected = read_config(folder)[1]
    scaling = {key: value for key, value in LLAMA3.items() if key != "rope_theta"}
    edit_config(folder, rope_parameters=..., rope_theta=500_000.0, rope_scaling=scaling)
    assert read_config(folder)[1] == expected
    edit_config(folder, rope_scaling=None)
    assert read_config(folder)[1] != expected


def test_names_of_older_gpt2_files_are_read(tmp_path: Path) -> None:
    """Without `transformer.`, and with the causal mask as a tensor."""
    folder = saved(tmp_path, "gpt2")
    tokens = torch.arange(20)[None]
    expected = read_model(folder)(tokens)
    path = folder / "model.safetensors"
    tensors = {key.removeprefix("transformer."): v for key, v in load_file(path).items()}
    save_file({**tensors, "h.0.attn.bias": torch.ones(1, 1, 64, 64).tril()}, path)
    torch.testing.assert_close(read_model(folder)(tokens), expected, rtol=0, atol=0)


NAME = "model.layers.1.self_attn.k_proj.weight"


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    edit_tensors(saved(tmp_path), **{NAME: None})
    with pytest.raises(InputError, match=f"lacks the tensor {NAME}"):
        read_model(tmp_path)


def test_a_tensor_too_many_is_named(tmp_path: Path) -> None:
    edit_tensors(saved(tmp_path), **{"model.layers.1.surprise": torch.ones(2)})
    with pytest.raises(InputError, match="has the tensor model.layers.1.surprise"):
        read_model(tmp_path)


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    edit_tensors(saved(tmp_path), **{NAME: torch.ones(3, 48)})
    with pytest.raises(InputError, match=rf"{NAME} has the shape \(3, 48\), and the config says"):
        read_model(tmp_path)


@pytest.mark.parametrize("case", ["gpt2", "gemma2", "llama3-scaled-tied"])
def test_a_head_of_its_own_in_a_tied_model_is_refused(case: str, tmp_path: Path) -> None:
    """Their class keeps both matrices then, whatever the config says."""
    folder = saved(tmp_path, case)
    expected = read_model(folder)
    edit_tensors(folder, **{"lm_head.weight": expected.embedding.weight.detach()})
    assert read_model(folder).config == expected.config
    edit_tensors(folder, **{"lm_head.weight": torch.ones(VOCAB, 48)})
    with pytest.raises(InputError, match=r"lm_head\.weight is not the embedding, which the config"):
        read_model(folder)


def test_experts_of_different_shapes_are_named(tmp_path: Path) -> None:
    name = "model.layers.0.mlp.experts.0.up_proj.weight"
    edit_tensors(saved(tmp_path, "qwen3-moe"), **{name: torch.ones(3, 48)})
    with pytest.raises(InputError, match=rf"{name} has the shape \(3, 48\)"):
        read_model(tmp_path)


def test_an_unknown_architecture_lists_the_known_ones(tmp_path: Path) -> None:
    edit_config(saved(tmp_path), model_type="bloom")
    with pytest.raises(InputError, match="'bloom' is not supported; there are gpt2, gpt_neo"):
        read_model(tmp_path)


def test_layers_that_predict_further_tokens_are_left_out(tmp_path: Path) -> None:
    """DeepSeek-V3's files have one more layer than its config says; the class does not read it."""
    folder = saved(tmp_path, "deepseek-v3")
    expected = read_model(folder)
    extra = [f"model.layers.3.{name}.weight" for name in ("eh_proj", "enorm", "mlp.up_proj")]
    edit_tensors(folder, **{name: torch.ones(2) for name in extra})
    model = read_model(folder)
    assert left_out(folder) == extra
    for name, parameter in expected.named_parameters():
        assert torch.equal(model.get_parameter(name), parameter)
    edit_tensors(folder, **{"model.layers.2.surprise": torch.ones(2)})
    with pytest.raises(InputError, match="has the tensor model.layers.2.surprise"):
        read_model(folder)


def test_a_part_of_a_head_that_is_rotated_has_no_class(tmp_path: Path) -> None:
    """Their classes rotate heads whole, whatever `partial_rotary_factor` says."""
    config = read_config(saved(tmp_path / "a"))[1]
    model = dataclasses.replace(config, position=RoPE(share=0.5)).build(0)
    with pytest.raises(InputError, match=r"nearest, qwen3, differs in position\.share"):
        write_model(tmp_path / "b", model, settings={})


def test_a_setting_that_we_lack_is_refused(tmp_path: Path) -> None:
    edit_config(saved(tmp_path, "gpt2"), scale_attn_by_inverse_layer_idx=True)
    with pytest.raises(InputError, match="scale_attn_by_inverse_layer_idx = True is not supported"):
        read_model(tmp_path)


def test_a_setting_that_is_missing_is_named(tmp_path: Path) -> None:
    edit_config(saved(tmp_path), num_hidden_layers=...)
    with pytest.raises(InputError, match="lacks the setting 'num_hidden_layers'"):
        read_model(tmp_path)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pytorch_model.bin is a pickle file, and to read it is"):
        read_model(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no config.json"):
        read_model(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    (folder / "model.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(InputError, match="model.safetensors is not a readable safetensors file"):
        read_model(folder)


def test_a_model_without_a_class_says_what_is_in_the_way(tmp_path: Path) -> None:
    model = read_model(saved(tmp_path / "a"))
    attention = dataclasses.replace(model.config.attention, shift=True)
    shifted = dataclasses.replace(model.config, attention=attention).build(0)
    with pytest.raises(InputError, match="nearest, qwen3, differs in attention.shift"):
        write_model(tmp_path / "b", shifted, settings={})


def test_weights_can_be_written_in_half_the_bytes(tmp_path: Path) -> None:
    model = read_model(saved(tmp_path / "a"))
    write_model(tmp_path / "b", model, settings={}, dtype=torch.bfloat16)
    for key, parameter in read_model(tmp_path / "b").named_parameters():
        expected = model.get_parameter(key).bfloat16().float()
        torch.testing.assert_close(parameter, expected, rtol=0, atol=0)
