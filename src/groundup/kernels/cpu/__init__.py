"""Fused operations for training on a CPU, in the compiled core: what a step does between its matrix
products, each in one pass over memory forward and one or two backward.

They are for tensors that `takes` takes. Each has its formula, in plain PyTorch, in the layer that
calls it: for other formats and devices, for small tensors, and for the compiler, which fuses it.
Arithmetic is in float32; sums are taken in an order that the number of threads does not change.
"""

from groundup.kernels.cpu.block import Branch, FewTokensBlock
from groundup.kernels.cpu.call import HAS_LOOPS, takes, watched, without_core
from groundup.kernels.cpu.cross_entropy import cross_entropies
from groundup.kernels.cpu.dropout import dropout
from groundup.kernels.cpu.gate import silu_gate
from groundup.kernels.cpu.heads import WIDEST, split_heads
from groundup.kernels.cpu.product import PackedMatrix, packed, quantized
from groundup.kernels.cpu.reach import Reach
from groundup.kernels.cpu.rms_norm import NormOfRows, rms_norm
from groundup.kernels.cpu.softmax import softmax
from groundup.kernels.cpu.take_in import Kept, Places, TokenHeads, silu_gate_of_rows

__all__ = [
    "HAS_LOOPS",
    "WIDEST",
    "Branch",
    "FewTokensBlock",
    "Kept",
    "NormOfRows",
    "PackedMatrix",
    "Places",
    "Reach",
    "TokenHeads",
    "cross_entropies",
    "dropout",
    "packed",
    "quantized",
    "rms_norm",
    "silu_gate",
    "silu_gate_of_rows",
    "softmax",
    "split_heads",
    "takes",
    "watched",
    "without_core",
]
