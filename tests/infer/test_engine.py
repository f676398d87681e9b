"""Generation with a cache equals generation without, alone or in a batch."""

import pytest
import torch

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.infer import Engine, Sampling
from groundup.infer.sampling import sample
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, DecoderModel

FLOAT32 = Device(torch.device("cpu"), torch.float32)
PROMPTS = [[3, 1, 4], [1], [5, 9, 2, 6, 5, 3, 5], [8, 9]]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "as planned"])
def model(request: pytest.FixtureRequest) -> DecoderModel:
    config = Decoder(
        vocab_size=31,
        context=24,
        width=32,
        depth=2,
        attention=GroupedQuery(heads=4, kv_heads=2, head_width=8, shift=request.param),
        mlp=GLU(hidden=48),
        embedding_in_head=request.param,
    )
    model = config.build(0)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def greedy_without_cache(model: DecoderModel, prompt: list[int], count: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
    return tokens[len(prompt) :]


def test_greedy_tokens_equal_those_without_a_cache(model: DecoderModel) -> None:
    engine = Engine(model, FLOAT32, stop=[])
    answers = engine.generate(PROMPTS, Sampling(max_tokens=12, temperature=0))
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        assert answer.tokens == greedy_without_cache(model, prompt, 12)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_stop_token_ends_one_row_and_not_the_others(
    model: DecoderModel, temperature: float
) -> None:
    sampling = Sampling(max_tokens=12, temperature=temperature, seed=3)
    free = Engine(model, FLOAT32, stop=[]).generate(PROMPTS, sampling)
    stop = free[0].tokens[4]
    stopped = Engine(model, FLOAT32, stop=[stop]).generate(PROMPTS, sampling)
    for before, after in zip(free, stopped, strict=True):
        if stop in before.tokens:
            assert after.tokens == before.tokens[: before.tokens.index(stop)]
            assert after.finish == "stop"
        else:
            assert (after.tokens, after.finish) == (before.tokens, "length")
    assert stopped[0].finish == "stop"


def test_a_stream_is_the_completion_token_by_token(model: DecoderModel) -> None:
    engine = Engine(model, FLOAT32, stop=[0])
    sampling = Sampling(max_tokens=10, seed=1)
    assert (
        list(engine.stream(PROMPTS[0], sampling))
        == engine.generate([PROMPTS[0]], sampling)[0].tokens
    )


def test_a_row_s_draws_do_not_depend_on_its_neighbours(model: DecoderModel) -> None:
    engine = Engine(model, FLOAT32, stop=[])
    sampling = Sampling(max_tokens=8, seed=2)
    first_alone = engine.generate(PROMPTS[:1], sampling)[0]
    assert engine.generate(PROMPTS, sampling)[0] == first_alone


def test_generation_stops_where_the_context_is_full(model: DecoderModel) -> None:
    engine = Engine(model, FLOAT32, stop=[])
    answer = engine.generate([[1] * 20], Sampling(max_tokens=100))[0]
    assert len(answer.tokens) == 4
    assert answer.finish == "length"


def test_a_prompt_that_does_not_fit_is_one_sentence(model: DecoderModel) -> None:
    engine = Engine(model, FLOAT32, stop=[])
    with pytest.raises(InputError, match="24 tokens, and the model's context holds 24"):
        engine.generate([[1] * 24], Sampling())
    with pytest.raises(InputError, match="24 tokens"):
        engine.stream([1] * 24, Sampling())  # before a token is asked for
    with pytest.raises(InputError, match="is empty"):
        engine.generate([[]], Sampling())


def test_the_engine_does_not_touch_the_model(model: DecoderModel) -> None:
    before = model.embedding.weight.clone()
    bfloat16 = Device(torch.device("cpu"), torch.bfloat16)
    engine = Engine(model, bfloat16, stop=[])
    engine.generate(PROMPTS, Sampling(max_tokens=2))
    assert engine.model.embedding.weight.dtype == torch.bfloat16
    assert torch.equal(model.embedding.weight, before)


def test_samples_follow_the_distribution() -> None:
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
    logits = torch.log(torch.tensor([[0.1, 0.5, 0.15, 0.25]]))
    uniform = torch.linspace(0, 0.9999, 500, dtype=torch.float64)
    drawn = {
        p: set(sample(logits.expand(500, 4), Sampling(top_p=p), uniform).tolist())
        for p in (0.4, 0.6, 0.8, 1.0)
    }
    assert drawn == {0.4: {1}, 0.6: {1, 3}, 0.8: {1, 2, 3}, 1.0: {0, 1, 2, 3}}


@pytest.mark.parametrize(
    "wrong", [{"max_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}]
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Sampling(**wrong)
