"""Mistral (Jiang et al. 2023): Llama with a sliding window. Mixtral (Jiang et al. 2024): with a
mixture of eight experts, of which each token visits two.
"""

from typing import Any

from groundup.layers import GLU, GroupedQuery, MoE, RMSNorm, RoPE
from groundup.models.decoder import Decoder
from groundup.models.huggingface import (
    Family,
    Settings,
    of_kind,
    read_activation,
    read_rope,
    write_activation,
)
from groundup.models.llama import attention_of, decoder_of, links, mlp_settings, settings_of

PRESETS: dict[str, Decoder] = {
    "mistral-7b": Decoder(
        vocab_size=32_000,
        context=32_768,
        width=4096,
        depth=32,
        attention=GroupedQuery(
            heads=32, kv_heads=8, head_width=128, query_key_norm=None, window=4096
        ),
        mlp=GLU(hidden=14_336),
        norm=RMSNorm(eps=1e-5),
    ),
    "mixtral-8x7b": Decoder(
        vocab_size=32_000,
        context=32_768,
        width=4096,
        depth=32,
        attention=GroupedQuery(heads=32, kv_heads=8, head_width=128, query_key_norm=None),
        mlp=MoE(experts=8, active=2, hidden=14_336),
        norm=RMSNorm(eps=1e-5),
        position=RoPE(base=1e6),
    ),
}


def _read_mistral(settings: Settings) -> Decoder:
    return decoder_of(
        settings,
        attention=attention_of(settings, window=settings.get("sliding_window", 4096)),
        mlp=GLU(
            hidden=settings["intermediate_size"],
            activation=read_activation(settings.get("hidden_act", "silu")),
        ),
        position=read_rope(settings),
    )


def _write_mistral(config: Decoder) -> dict[str, Any]:
    window = of_kind(GroupedQuery, config.attention_of(0)).window
    return {**settings_of(config), **mlp_settings(config), "sliding_window": window}


def _read_mixtral(settings: Settings) -> Decoder:
    return decoder_of(
        settings,
        attention=attention_of(settings, window=settings.get("sliding_window")),
        mlp=MoE(
            experts=settings["num_local_experts"],
            active=settings["num_experts_per_tok"],
            hidden=settings["intermediate_size"],
            activation=read_activation(settings.get("hidden_act", "silu")),
            balance=settings.get("router_aux_loss_coef", 0.001),
        ),
        norm=RMSNorm(eps=settings.get("rms_norm_eps", 1e-5)),
        position=read_rope(settings, base=1e6),
    )


def _write_mixtral(config: Decoder) -> dict[str, Any]:
    moe = of_kind(MoE, config.mlp_of(0))
    return {
        **settings_of(config),
        "num_local_experts": moe.experts,
        "num_experts_per_tok": moe.active,
        "intermediate_size": moe.hidden,
        "hidden_act": write_activation(moe.activation),
        "router_aux_loss_coef": moe.balance,
        "sliding_window": of_kind(GroupedQuery, config.attention_of(0)).window,
    }


MISTRAL = Family(
    model_type="mistral",
    architecture="MistralForCausalLM",
    read=_read_mistral,
    write=_write_mistral,
    links=links,
)
MIXTRAL = Family(
    model_type="mixtral",
    architecture="MixtralForCausalLM",
    read=_read_mixtral,
    write=_write_mixtral,
    links=lambda config: links(config, mlp="block_sparse_moe", experts=("w1", "w3", "w2")),
)
