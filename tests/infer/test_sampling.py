"""Sampling against Hugging Face's processors of logits, and against the distributions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.infer import Sampling
from groundup.infer.sampling import adjusted, sample


def frequencies(logits: torch.Tensor, sampling: Sampling, draws: int = 4000) -> torch.Tensor:
    """How often each token comes, when the numbers that draw it are spread evenly over [0, 1)."""
    uniform = (torch.arange(draws, dtype=torch.float64) + 0.5) / draws
    drawn = sample(logits.expand(draws, -1), sampling, uniform)
    return torch.bincount(drawn, minlength=logits.shape[-1]) / draws


RULES = [
    Sampling(temperature=0.7),
    Sampling(temperature=1.6, top_k=5),
    Sampling(top_p=0.8),
    Sampling(top_p=0.05),
    Sampling(min_p=0.1),
    Sampling(temperature=0.5, top_k=9, top_p=0.7),
    Sampling(temperature=2.0, top_p=0.9, min_p=0.05),
    Sampling(temperature=1.3, top_k=40, top_p=0.95, min_p=0.02),
]


@pytest.mark.parametrize("size", [40, 700])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("sampling", RULES, ids=str)
def test_probabilities_are_those_of_hugging_face(sampling: Sampling, size: int, flat: bool) -> None:
    """A flat distribution has more candidates for top-p than are looked at first."""
    transformers = pytest.importorskip("transformers")
    logits = torch.randn(1, size, generator=torch.Generator().manual_seed(0)) * (
        0.1 if flat else 2.5
    )
    scores = transformers.TemperatureLogitsWarper(sampling.temperature)(None, logits)
    if sampling.top_k is not None:
        scores = transformers.TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p < 1:
        scores = transformers.TopPLogitsWarper(sampling.top_p)(None, scores)
    if sampling.min_p:
        scores = transformers.MinPLogitsWarper(sampling.min_p)(None, scores)
    expected = scores.softmax(-1)[0]
    found = frequencies(logits, sampling)
    # An even spread of numbers is off by one at each end of a token's part.
    torch.testing.assert_close(found, expected, rtol=0, atol=2 / 4000)
    assert ((found > 0) <= (expected > 0)).all()


@pytest.mark.parametrize("penalty", [1.3, 0.7])
def test_a_repetition_penalty_is_that_of_hugging_face(penalty: float) -> None:
    transformers = pytest.importorskip("transformers")
    logits = torch.randn(30, generator=torch.Generator().manual_seed(0))
    prompt, written = [3, 4, 4, 9], [9, 1, 3]
    processor = transformers.RepetitionPenaltyLogitsProcessor(penalty)
    expected = processor(torch.tensor([prompt + written]), logits[None].clone())[0]
    found = adjusted(logits, Sampling(repetition_penalty=penalty), prompt, written)
    torch.testing.assert_close(found, expected)


def test_other_penalties_and_biases_are_openai_s_formula() -> None:
    """μ_j − c_j · α_frequency − (c_j > 0) · α_presence, of what was written alone."""
    logits = torch.randn(12, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    sampling = Sampling(
        frequency_penalty=0.5, presence_penalty=0.25, logit_bias=((7, 2.0), (1, -9.0))
    )
    found = adjusted(logits, sampling, [5, 5], [1, 7, 7, 7])
    expected = logits.clone()
    expected[1] += -0.5 - 0.25 - 9.0
    expected[7] += -1.5 - 0.25 + 2.0
    torch.testing.assert_close(found, expected)
    assert torch.equal(logits, before)


def test_draws_follow_the_distribution() -> None:
    """Chi-square of 20,000 draws against softmax, within six standard deviations."""
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    for temperature in (0.5, 1.0, 2.0):
        uniform = torch.rand(
            20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        )
        drawn = sample(logits.expand(20_000, 4), Sampling(temperature=temperature), uniform)
        expected = 20_000 * torch.softmax(logits.double() / temperature, -1)
        chi2 = float(((torch.bincount(drawn, minlength=4) - expected) ** 2 / expected).sum())
        assert chi2 < 3 + 6 * 6**0.5


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    logits = torch.log(torch.tensor([0.1, 0.5, 0.15, 0.25]))
    kept = {
        p: set(frequencies(logits, Sampling(top_p=p)).nonzero().flatten().tolist())
        for p in (0.4, 0.6, 0.8, 1.0)
    }
    assert kept == {0.4: {1}, 0.6: {1, 3}, 0.8: {1, 2, 3}, 1.0: {0, 1, 2, 3}}


@given(
    st.integers(2, 600),
    st.sampled_from(RULES),
    st.floats(0, 1, exclude_max=True, allow_subnormal=False),
    st.integers(0, 2**31),
)
@settings(max_examples=150)
def test_a_token_without_probability_is_never_drawn(
    size: int, sampling: Sampling, number: float, seed: int
) -> None:
    """Half of the tokens are forbidden, as by a grammar; what a row draws is its own affair."""
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(3, size, generator=generator)
    logits[:, torch.randperm(size, generator=generator)[: size // 2]] = float("-inf")
    uniform = torch.tensor([number, 0.0, 1 - 2**-53], dtype=torch.float64)
    drawn = sample(logits, sampling, uniform)
    assert logits.gather(1, drawn[:, None]).isfinite().all()
    for row in range(3):
        assert sample(logits[row : row + 1], sampling, uniform[row : row + 1]) == drawn[row]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"frequency_penalty": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_k": 0},
        {"min_p": 1.1},
        {"repetition_penalty": 0.0},
        {"logprobs": -1},
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Sampling(**wrong)
