"""Learning rates across width: found on a narrow model, used on a wide one.

An update must change what comes out of a layer by as much at every width. How a rate then falls
with the width depends on what it multiplies (Yang et al. 2022, "Tensor programs V", table 8; for
orthogonal updates Yang, Simon and Bernstein 2023, "A spectral condition for feature learning"):

- Adam's update of a matrix is nearly of rank one and has entries of one size, so its largest
  singular value grows with the width: the rate falls as 1/width. So too for the head.
- Muon's has equal singular values, which grow with the root of the width here, as its entries have
  one size: the rate falls as 1/√width.
- The embedding's rows are read one at a time: its rate stays.
"""

from dataclasses import replace
from typing import Literal

from groundup.layers import GLU, MLP, GroupedQuery
from groundup.models import Decoder
from groundup.optim import SOAP, ByRole, Muon

# mup: the rule above. sqrt: all rates fall as 1/√width, which is the planner's. fixed: none falls.
Rule = Literal["mup", "sqrt", "fixed"]


def transferred(optimizer: ByRole, factor: float, rule: Rule) -> ByRole:
    """The rates for a model `factor` times as wide."""
    matrices = -0.5 if isinstance(optimizer.matrices, Muon | SOAP) else -1.0
    powers = {
        "mup": {"matrices": matrices, "embedding": 0.0, "rest": -1.0},
        "sqrt": dict.fromkeys(("matrices", "embedding", "rest"), -0.5),
        "fixed": dict.fromkeys(("matrices", "embedding", "rest"), 0.0),
    }[rule]
    parts = {
        role: replace(part, lr=part.lr * factor**power)
        for role, power in powers.items()
        if (part := getattr(optimizer, role))
    }
    return replace(optimizer, **parts)


def widened(model: Decoder, factor: int) -> Decoder:
    """The decoder `factor` times as wide, with as many times more heads of the same width.

    Raises `ValueError` for parts whose width does not follow from the model's in this way.
    """
    attention, mlp = model.attention, model.mlp
    if not isinstance(attention, GroupedQuery) or not isinstance(mlp, GLU | MLP):
        raise ValueError(
            "widths are compared for decoders of grouped-query attention and one kind of MLP"
        )
    return replace(
        model,
        width=model.width * factor,
        attention=replace(
            attention, heads=attention.heads * factor, kv_heads=attention.kv_heads * factor
        ),
        mlp=replace(mlp, hidden=mlp.hidden * factor),
    )
