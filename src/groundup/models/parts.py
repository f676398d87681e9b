"""The parts of a language model: the kinds of module that its config names, such as `GroupedQuery`
and `GLU`, with all modules of each kind, and the FLOPs of each.
"""

from collections import Counter
from collections.abc import Iterator

from torch import nn

from groundup.models import LanguageModel
from groundup.models.block import Block, PositionView
from groundup.models.decoder import Decoder
from groundup.models.recurrent import RecurrentLM, RecurrentModel

EMBEDDING, POSITIONS, READOUT = "embedding", "positions", "readout"


def parts_of(model: LanguageModel) -> Iterator[tuple[str, nn.Module]]:
    """(part, module) for every module that is one; none is inside of another.

    The readout of a decoder holds its last norm and the loss; that of a recurrent model is the head
    alone.
    """
    yield EMBEDDING, model.embedding
    if isinstance(model, RecurrentModel):
        yield from ((type(model.config.cell).__name__, cell) for cell in model.blocks)
        yield READOUT, model.head
        return
    yield POSITIONS, model.positions.added
    for view in model.positions.views:
        assert isinstance(view, PositionView)
        if view.rotation is not None or view.bias is not None:
            yield POSITIONS, view
    for layer, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        yield from _parts_of_block(model.config, layer, block)
    yield READOUT, model.readout


def _parts_of_block(config: Decoder, layer: int, block: Block) -> Iterator[tuple[str, nn.Module]]:
    yield type(config.attention_of(layer)).__name__, block.attention
    if block.mlp is not None:
        yield type(config.mlp_of(layer)).__name__, block.mlp
    for norm in (block.attention_norm, block.attention_post, block.mlp_norm, block.mlp_post):
        if not isinstance(norm, nn.Identity):
            yield type(config.norm).__name__, norm


def part_flops(
    config: Decoder | RecurrentLM, tokens: int, *, causal: bool = True
) -> dict[str, int]:
    """FLOPs of each part in a forward pass over one sequence, which `forward_flops` is the sum of.
    Parts that multiply no matrices are left out."""
    flops: Counter[str] = Counter()
    width = config.width
    flops[READOUT] = 2 * tokens * width * config.vocab_size
    if isinstance(config, RecurrentLM):
        matrices = config.depth * 2 * config.cell.gates * width**2
        flops[type(config.cell).__name__] = 2 * tokens * matrices
        return dict(flops)
    for layer in range(config.depth):
        attention, mlp = config.attention_of(layer), config.mlp_of(layer)
        products = 2 * tokens * attention.matrix_parameters(width)
        mixing = attention.mixing_flops(tokens, causal=causal)
        flops[type(attention).__name__] += products + mixing
        if mlp is not None:
            flops[type(mlp).__name__] += 2 * tokens * mlp.matrix_parameters(width)
    return dict(flops)
