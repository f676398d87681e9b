"""DeepSeek-V2 and V3 (DeepSeek-AI 2024 and 2024b): multi-head latent attention, whose cache holds
one narrow vector a position, and many small experts beside a shared one.

V2 scores experts by softmax and balances them by losses; V3 by sigmoid and by a bias that is moved
against the load.
"""

import re
from collections.abc import Iterator
from typing import Any

from groundup.layers import GLU, Latent, MoE, RMSNorm, RoPE
from groundup.layers.rope_scaling import YaRN, yarn_factor
from groundup.models.decoder import Decoder, in_turn
from groundup.models.huggingface import (
    Family,
    Link,
    Settings,
    expect,
    of_kind,
    older_rope,
    read_activation,
    read_rope,
    rope_settings,
    write_activation,
    write_rope,
)
from groundup.models.llama import decoder_of, links


def deepseek(
    *,
    width: int,
    depth: int,
    heads: int,
    dense: int,
    first: int,
    moe: MoE,
    vocab_size: int = 102_400,
    query_rank: int | None = 1536,
    sharpness: float = 0.707,
) -> Decoder:
    """A DeepSeek of the given sizes.

    dense: inner width of the plain MLP of the `first` layers. sharpness: weight of the logarithm by
    which attention sharpens with the context's growth from 4,096 to 40 times as much.
    """
    growth = yarn_factor(40, sharpness)
    return Decoder(
        vocab_size=vocab_size,
        context=163_840,
        width=width,
        depth=depth,
        attention=Latent(
            heads=heads,
            rank=512,
            query_rank=query_rank,
            key_width=128,
            rope_width=64,
            value_width=128,
            scale=(128 + 64) ** -0.5 * growth**2,
        ),
        mlp=(*[GLU(hidden=dense)] * first, *[moe] * (depth - first)),
        position=RoPE(interleaved=True, scaling=YaRN(factor=40, context=4096)),
    )


PRESETS: dict[str, Decoder] = {
    "deepseek-v2-lite": deepseek(
        width=2048,
        depth=27,
        heads=16,
        dense=10_944,
        first=1,
        query_rank=None,
        moe=MoE(experts=64, active=6, hidden=1408, shared=2 * 1408, normalize=False),
    ),
    "deepseek-v2": deepseek(
        width=5120,
        depth=60,
        heads=128,
        dense=12_288,
        first=1,
        moe=MoE(
            experts=160,
            active=6,
            hidden=1536,
            shared=2 * 1536,
            normalize=False,
            scale=16.0,
            groups=8,
            active_groups=3,
        ),
    ),
    "deepseek-v3": deepseek(
        width=7168,
        depth=61,
        heads=128,
        dense=18_432,
        first=3,
        vocab_size=129_280,
        sharpness=1.0,
        moe=MoE(
            experts=256,
            active=8,
            hidden=2048,
            shared=2048,
            scoring="sigmoid",
            scale=2.5,
            groups=8,
            active_groups=4,
            balance=0.0,
            bias=True,
        ),
    ),
}


def _read(settings: Settings, moe: MoE, *, interleaved: bool) -> Decoder:
    activation = read_activation(settings.get("hidden_act", "silu"))
    first = settings["first_k_dense_replace"]
    expect(settings, moe_layer_freq=1, mlp_bias=False)
    expect(settings, num_key_value_heads=settings["num_attention_heads"])
    rope = read_rope(settings, interleaved=interleaved)
    said = rope_settings(settings)
    width = settings["qk_nope_head_dim"] + settings["qk_rope_head_dim"]
    growth = 1.0
    if isinstance(rope.scaling, YaRN) and said.get("mscale_all_dim"):
        growth = yarn_factor(rope.scaling.factor, said["mscale_all_dim"])
    dense = GLU(hidden=settings["intermediate_size"], activation=activation)
    depth = settings["num_hidden_layers"]
    return decoder_of(
        settings,
        attention=Latent(
            heads=settings["num_attention_heads"],
            rank=settings["kv_lora_rank"],
            query_rank=settings["q_lora_rank"],
            key_width=settings["qk_nope_head_dim"],
            rope_width=settings["qk_rope_head_dim"],
            value_width=settings["v_head_dim"],
            scale=None if growth == 1 else width**-0.5 * growth**2,
            bias=settings.get("attention_bias", False),
        ),
        mlp=in_turn([*[dense] * min(first, depth), *[moe] * (depth - first)]),
        position=rope,
    )


def _moe(settings: Settings, **fields: Any) -> MoE:
    hidden = settings["moe_intermediate_size"]
    return MoE(
        experts=settings["n_routed_experts"],
        active=settings["num_experts_per_tok"],
        hidden=hidden,
        shared=hidden * (settings["n_shared_experts"] or 0),
        activation=read_activation(settings.get("hidden_act", "silu")),
        scale=float(settings["routed_scaling_factor"]),
        groups=settings.get("n_group") or 1,
        active_groups=settings.get("topk_group") or 1,
        **fields,
    )


def _read_v2(settings: Settings) -> Decoder:
    grouped = settings.get("topk_method", "greedy") == "group_limited_greedy"
    if not grouped:
        expect(settings, topk_method="greedy")
        settings = {**settings, "n_group": 1, "topk_group": 1}
    # `norm_topk_prob` is false in every published V2, and transformers leaves it unread
    expect(settings, norm_topk_prob=False, scoring_func="softmax")
    settings = {"routed_scaling_factor": 1.0, "first_k_dense_replace": 0, **settings}
    moe = _moe(settings, normalize=False, balance=settings.get("aux_loss_alpha", 0.001))
    return _read(settings, moe, interleaved=True)


def _read_v3(settings: Settings) -> Decoder:
    expect(settings, topk_method="noaux_tc", scoring_func="sigmoid")
    settings = {"routed_scaling_factor": 2.5, "first_k_dense_replace": 3, **settings}
    settings = {"n_group": 8, "topk_group": 4, **settings}
    moe = _moe(
        settings,
        scoring="sigmoid",
        normalize=settings.get("norm_topk_prob", True),
        balance=0.0,
        bias=True,
    )
    return _read(settings, moe, interleaved=settings.get("rope_interleave", True))


def _write(config: Decoder) -> dict[str, Any]:
    attention = of_kind(Latent, config.attention_of(0))
    layers = [config.mlp_of(layer) for layer in range(config.depth)]
    moe = of_kind(MoE, layers[-1])
    dense = [mlp for mlp in layers if isinstance(mlp, GLU)]
    rope = of_kind(RoPE, config.position_of(0))
    parameters = write_rope(rope)
    if isinstance(rope.scaling, YaRN) and attention.scale is not None:
        full = attention.key_width + attention.rope_width
        growth = (attention.scale * full**0.5) ** 0.5
        unit = yarn_factor(rope.scaling.factor) - 1
        parameters["mscale_all_dim"] = round((growth - 1) / unit, 9) if unit else 0
        parameters["mscale"] = parameters["mscale_all_dim"]
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.heads,
        "kv_lora_rank": attention.rank,
        "q_lora_rank": attention.query_rank,
        "qk_nope_head_dim": attention.key_width,
        "qk_rope_head_dim": attention.rope_width,
        "v_head_dim": attention.value_width,
        "attention_bias": attention.bias,
        "rms_norm_eps": of_kind(RMSNorm, config.norm).eps,
        "rope_parameters": parameters,
        **older_rope(parameters),
        "tie_word_embeddings": config.tied,
        "hidden_act": write_activation(moe.activation),
        "intermediate_size": dense[0].hidden if dense else 4 * config.width,
        "first_k_dense_replace": len(dense),
        "moe_layer_freq": 1,
        "n_routed_experts": moe.experts,
        "num_experts_per_tok": moe.active,
        "moe_intermediate_size": moe.hidden,
        "n_shared_experts": moe.shared // moe.hidden,
        "routed_scaling_factor": moe.scale,
        "norm_topk_prob": moe.normalize,
        "n_group": moe.groups,
        "topk_group": moe.active_groups,
        "scoring_func": moe.scoring,
    }


def _write_v2(config: Decoder) -> dict[str, Any]:
    settings = _write(config)
    moe = of_kind(MoE, config.mlp_of(config.depth - 1))
    method = "group_limited_greedy" if settings["n_group"] > 1 else "greedy"
    return {**settings, "topk_method": method, "aux_loss_alpha": moe.balance}


def _write_v3(config: Decoder) -> dict[str, Any]:
    rope = of_kind(RoPE, config.position_of(0))
    return {**_write(config), "topk_method": "noaux_tc", "rope_interleave": rope.interleaved}


def _links(config: Decoder) -> Iterator[Link]:
    attention = of_kind(Latent, config.attention_of(0))
    names = {
        "down": "self_attn.kv_a_proj_with_mqa",
        "norm": "self_attn.kv_a_layernorm",
        "up": "self_attn.kv_b_proj",
        "output": "self_attn.o_proj",
    }
    if attention.query_rank is None:
        names["query"] = "self_attn.q_proj"
    else:
        names |= {
            "query_down": "self_attn.q_a_proj",
            "query_norm": "self_attn.q_a_layernorm",
            "query": "self_attn.q_b_proj",
        }
    return links(config, attention=names)


def _predicts_further(config: Decoder, name: str) -> bool:
    """Of a layer above the model's, which in training predicts the token after the next (2024b,
    section 2.2)."""
    layer = re.match(r"model\.layers\.(\d+)\.", name)
    return layer is not None and int(layer[1]) >= config.depth


V2 = Family(
    model_type="deepseek_v2",
    architecture="DeepseekV2ForCausalLM",
    read=_read_v2,
    write=_write_v2,
    links=_links,
)
V3 = Family(
    model_type="deepseek_v3",
    architecture="DeepseekV3ForCausalLM",
    read=_read_v3,
    write=_write_v3,
    links=_links,
    beyond=_predicts_further,
)
