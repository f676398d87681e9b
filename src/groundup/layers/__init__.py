"""The parts of a model, one concept a file: a small frozen config and the module it builds."""

from groundup.layers.attention import GroupedQuery, KeyValueCache
from groundup.layers.mlp import SwiGLU
from groundup.layers.norm import RMSNorm
from groundup.layers.rotary import Rotary

__all__ = ["GroupedQuery", "KeyValueCache", "RMSNorm", "Rotary", "SwiGLU"]
