"""Lion against its paper's algorithm, element by element."""

import torch

from groundup.optim import Lion


def test_steps_are_the_paper_s() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, generator=generator, dtype=torch.float64)
    expected, momentum = weight.tolist(), [0.0] * 5
    state = Lion(lr=0.01, betas=(0.9, 0.99), decay=0.3).build({"w": weight})
    for step in range(50):
        weight.grad = torch.randn(5, generator=generator, dtype=torch.float64)
        scale = 1 / (1 + step)
        state.step(scale)
        for i, g in enumerate(weight.grad.tolist()):
            c = 0.9 * momentum[i] + 0.1 * g
            update = (c > 0) - (c < 0) + 0.3 * expected[i]
            expected[i] -= 0.01 * scale * update
            momentum[i] = 0.99 * momentum[i] + 0.01 * g
    torch.testing.assert_close(weight, torch.tensor(expected, dtype=torch.float64))
