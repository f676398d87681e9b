"""The parts of a model, one concept a file: a small frozen config and the module it builds."""

from groundup.layers.alibi import ALiBi
from groundup.layers.alignment import Bahdanau, Luong
from groundup.layers.attend import Implementation
from groundup.layers.attention import GroupedQuery
from groundup.layers.cache import Cache
from groundup.layers.delta import GatedDelta
from groundup.layers.latent import Latent
from groundup.layers.mamba2 import Mamba2
from groundup.layers.mlp import GLU, MLP
from groundup.layers.moe import MoE, RouterReport
from groundup.layers.norm import LayerNorm, Norm, RMSNorm
from groundup.layers.position import Learned, NoPE, Sinusoidal
from groundup.layers.recurrent import GRU, LSTM
from groundup.layers.relative import RelativeBias
from groundup.layers.rope import RoPE

__all__ = [
    "GLU",
    "GRU",
    "LSTM",
    "MLP",
    "ALiBi",
    "Bahdanau",
    "Cache",
    "GatedDelta",
    "GroupedQuery",
    "Implementation",
    "Latent",
    "LayerNorm",
    "Learned",
    "Luong",
    "Mamba2",
    "MoE",
    "NoPE",
    "Norm",
    "RMSNorm",
    "RelativeBias",
    "RoPE",
    "RouterReport",
    "Sinusoidal",
]
