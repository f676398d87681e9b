"""How projections are taken in, against the layers' formulas, under Triton's interpreter or on a
GPU."""

from typing import Any

import pytest
import torch
from tests.kernels.oracle import DEVICE, FORMATS, normal

from groundup.layers.rope import rotate

pytest.importorskip("triton")
from groundup.kernels.take_in import Kept, Places, TokenHeads

H, KV, SLOTS, ROWS = 4, 2, 9, 5
SLOT = torch.tensor([7, 2, 5])


def heads(width: int, *, normed: tuple[bool, bool], shifted: bool, impl: Any) -> TokenHeads:
    weights = tuple(
        normal((width,), torch.float32, seed=10 + i) if there else None
        for i, there in enumerate(normed)
    )
    shares = tuple(normal((KV,), torch.float32, seed=20 + i) for i in range(2))
    return TokenHeads(
        H, KV, width, weights=weights, eps=1e-6, shares=shares if shifted else None, impl=impl
    )


def expected(
    x: torch.Tensor,
    of: TokenHeads,
    width: int,
    rotation: tuple[torch.Tensor, torch.Tensor] | None,
    before: torch.Tensor | None,
) -> tuple[torch.Tensor, ...]:
    """Queries, keys and values in float64. before: [N, 2·KV, K]."""
    parts = x.double().split([H * width, KV * width, KV * width], -1)
    queries, keys, values = (part.unflatten(-1, (-1, width)) for part in parts)
    if before is not None:
        assert of._shares is not None
        of_keys, of_values = (share.double()[:, None] for share in of._shares)
        keys = keys + of_keys * (before[:, :KV].double() - keys)
        values = values + of_values * (before[:, KV:].double() - values)
    made = []
    for part, weight in zip((queries, keys), of._weights, strict=True):
        if weight is not None:
            part = torch.nn.functional.rms_norm(part, (width,), weight.double(), 1e-6)
        if rotation is not None:
            angles = tuple(angle.double()[None] for angle in rotation)
            part = rotate(part[None], angles)[0]
        made.append(part)
    return (*made, values)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("impl", ["reference", "triton"])
@pytest.mark.parametrize(
    ("width", "pairs", "normed", "shifted"),
    [
        (16, 8, (True, True), False),
        (16, 8, (False, False), True),
        (16, 3, (True, True), True),  # ten of sixteen stay
        (10, None, (True, False), True),  # no power of two, nothing is turned
        (24, 12, (False, True), False),
        (8, None, (False, False), False),
    ],
)
def test_it_is_what_the_layers_do(
    width: int,
    pairs: int | None,
    normed: tuple[bool, bool],
    shifted: bool,
    dtype: torch.dtype,
    impl: Any,
) -> None:
    """Of three tokens the second follows the first, the third the last of row 3."""
    of = heads(width, normed=normed, shifted=shifted, impl=impl)
    x = normal((3, (H + 2 * KV) * width), dtype)
    pools = [normal((SLOTS, KV, width), dtype, seed=30 + i) for i in range(2)]
    newest = normal((ROWS, 2 * KV, width), dtype, seed=40) if shifted else None
    rotation = None
    if pairs is not None:
        angle = 5 * normal((3, pairs), torch.float32, seed=50)
        rotation = angle.cos(), angle.sin()
    there = torch.tensor([-1, 0, -2 - 3], device=DEVICE)
    before = None
    if newest is not None:
        inside = of.keys_values(x)
        before = torch.stack((torch.zeros_like(inside[0]), inside[0], newest[3]))
    kept = Kept(pools[0].clone(), pools[1].clone(), newest)
    queries = of.take_in(x, Places(SLOT.to(DEVICE), rotation, there), kept)
    exact = expected(x, of, width, rotation, before)
    found = (queries, kept.keys[SLOT], kept.values[SLOT])
    for one, wanted in zip(found, exact, strict=True):
        assert one.dtype == dtype
        error = (one.double() - wanted).norm()
        assert error <= (0.5 * torch.finfo(dtype).eps + 1e-6) * wanted.norm()
    others = [slot for slot in range(SLOTS) if slot not in SLOT.tolist()]
    for pool, was in zip((kept.keys, kept.values), pools, strict=True):
        assert torch.equal(pool[others], was[others])


def test_what_does_not_fit_is_refused() -> None:
    of = heads(8, normed=(False, False), shifted=True, impl="reference")
    pool = torch.zeros(SLOTS, KV, 8, device=DEVICE)
    places = Places(SLOT.to(DEVICE))
    with pytest.raises(ValueError, match="width of all heads"):
        of.take_in(torch.zeros(3, 5, device=DEVICE), places, Kept(pool, pool))
    with pytest.raises(ValueError, match="what is before"):
        of.take_in(torch.zeros(3, 64, device=DEVICE), places, Kept(pool, pool))
    with pytest.raises(ValueError, match="weights of norms"):
        TokenHeads(H, KV, 8, weights=(torch.zeros(9), None))
