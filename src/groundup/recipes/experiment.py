"""Configs of experiments: one small model, trained alone and measured by its bits per byte.

An ablation changes one setting at a time and trains each variant with the same budget; a ladder
trains architecture after architecture with the same budget.
"""

from dataclasses import dataclass, replace
from typing import Literal

from groundup.core.device import Format
from groundup.curate import Curate
from groundup.layers import (
    GLU,
    LSTM,
    MLP,
    GroupedQuery,
    Latent,
    LayerNorm,
    Learned,
    Mamba2,
    MoE,
    NoPE,
    RMSNorm,
    RoPE,
    Sinusoidal,
)
from groundup.models import Decoder, RecurrentLM
from groundup.recipes.quickstart import Evaluation, TokenizerTraining
from groundup.scaling.plan import decoder_of_size, optimizer_of_width
from groundup.train import Pretrain

_VOCAB = 4096


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """data, curate, tokenizer, evaluation, device, dtype, compile: as in the main job.

    budget: of one training: FLOPs, or time on this machine. The training's steps follow from it,
    and the model's vocabulary from the tokenizer's.
    """

    model: Decoder | RecurrentLM
    pretrain: Pretrain
    budget: str = "2e13"
    data: str = "stdlib"
    seed: int = 0
    curate: Curate = Curate()
    tokenizer: TokenizerTraining = TokenizerTraining(vocab_size=_VOCAB)
    evaluation: Evaluation = Evaluation(stride=256, max_bytes=300_000)
    device: str = "auto"
    dtype: Format = "auto"
    compile: Literal["auto", "yes", "no"] = "auto"


def ablation() -> Experiment:
    """A decoder of 2.8 million weights, in minutes on two cores: what ablations start from."""
    model = decoder_of_size(3, _VOCAB)
    pretrain = Pretrain(steps=1, batch=8, optimizer=optimizer_of_width(model.width))
    return Experiment(model=model, pretrain=pretrain)


def experiments() -> dict[str, Experiment]:
    """What `groundup train` and `groundup ablate` know by name: `ablation`, and the ladder's rungs
    in small letters."""
    rungs = {name.lower(): experiment for name, experiment in ladder().items()}
    return {"ablation": ablation(), **rungs}


def ladder() -> dict[str, Experiment]:
    """The rungs of the field's history, oldest first, at about one number of weights that work on a
    token: 1.3 million beside embedding and head. The n-gram models before them have no config here.
    """
    base = ablation()
    return {name: replace(base, model=model) for name, model in _rungs().items()}


def _rungs() -> dict[str, Decoder | RecurrentLM]:
    width, heads = 192, 3
    transformer = Decoder(
        vocab_size=_VOCAB,
        context=512,
        width=width,
        depth=3,
        attention=GroupedQuery(
            heads=heads,
            kv_heads=heads,
            head_width=64,
            query_key_norm=None,
            bias=True,
            output_bias=True,
        ),
        mlp=MLP(hidden=4 * width, activation="relu", bias=True),
        norm=LayerNorm(),
        placement="post",
        position=Sinusoidal(),
        tied=True,
    )
    gpt2 = replace(
        transformer,
        mlp=MLP(hidden=4 * width, activation="gelu_tanh", bias=True),
        placement="pre",
        position=Learned(),
    )
    llama = replace(
        gpt2,
        attention=GroupedQuery(heads=heads, kv_heads=heads, head_width=64, query_key_norm=None),
        mlp=GLU(hidden=512),
        norm=RMSNorm(eps=1e-5),
        position=RoPE(),
        tied=False,
    )
    qwen3 = replace(llama, attention=GroupedQuery(heads=heads, kv_heads=1, head_width=64))
    experts = MoE(
        experts=8, active=2, hidden=192, shared=192, scoring="sigmoid", balance=0.0, bias=True
    )
    deepseek = replace(
        llama,
        attention=Latent(heads=heads, rank=64, key_width=48, rope_width=16, value_width=64),
        mlp=(GLU(hidden=512), experts, experts),
        position=RoPE(interleaved=True),
    )
    mamba = replace(
        llama,
        depth=6,
        attention=Mamba2(heads=6, head_width=64, state=64),
        mlp=None,
        position=NoPE(),
    )
    return {
        "LSTM": RecurrentLM(vocab_size=_VOCAB, context=512, width=320, depth=2, cell=LSTM()),
        "Transformer": transformer,
        "GPT-2": gpt2,
        "Llama": llama,
        "Qwen3": qwen3,
        "DeepSeek": deepseek,
        "Mamba-2": mamba,
        "groundup": decoder_of_size(3, _VOCAB),
    }
