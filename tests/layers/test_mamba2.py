"""Mamba-2's mixer: its implementations against each other, and where it begins. That it is the one
of `transformers` is in the tests of checkpoints."""

import pytest
import torch

from groundup.layers import Mamba2


@torch.no_grad()
def test_both_implementations_of_the_mixer_agree() -> None:
    mixer = Mamba2(heads=4, head_width=6, state=5, groups=2, chunk=4).build(16)
    mixer.initialize(torch.Generator().manual_seed(0), 1.0)
    x = torch.randn(2, 19, 16, generator=torch.Generator().manual_seed(1))
    documents = torch.tensor([[0] * 19, [0] * 6 + [1] * 13])
    chunks, _ = mixer(x, documents=documents)
    recurrence, _ = mixer(x, documents=documents, implementation="reference")
    torch.testing.assert_close(chunks, recurrence, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(chunks[1, 6:], mixer(x[1:, 6:])[0][0], rtol=1e-4, atol=1e-5)


def test_rates_and_steps_begin_where_the_paper_s_code_does() -> None:
    mixer = Mamba2(heads=64, head_width=2, state=2).build(8)
    mixer.initialize(torch.Generator().manual_seed(0), 1.0)
    rate, step = mixer.log_rate.exp(), torch.nn.functional.softplus(mixer.step_bias)
    assert 1 <= rate.min() < 3
    assert 14 < rate.max() <= 16
    assert 0.00099 <= step.min() < 0.003
    assert 0.03 < step.max() <= 0.101


def test_groups_must_divide_heads() -> None:
    with pytest.raises(ValueError, match=r"groups \(3\) must divide heads \(4\)"):
        Mamba2(heads=4, head_width=2, state=2, groups=3)
