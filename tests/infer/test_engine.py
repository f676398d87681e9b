"""Generation with a cache equals generation without, alone or in a batch."""

from dataclasses import replace

import pytest
import torch
from tests.families import CONFIG, KINDS, scrambled

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.infer import Engine, Sampling
from groundup.infer.cache import PAGE, position_bytes
from groundup.infer.memory import state_bytes
from groundup.layers import GLU, GroupedQuery, MoE
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


def texts(count: int, longest: int, vocab: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(7)
    lengths = torch.randint(1, longest, (count,), generator=generator).tolist()
    return [torch.randint(vocab, (n,), generator=generator).tolist() for n in lengths]


EXPERTS = replace(CONFIG, mlp=MoE(experts=4, active=2, hidden=24))


@pytest.mark.parametrize("kind", [*KINDS, "experts"])
@torch.no_grad()
def test_tokens_are_the_same_alone_together_and_whatever_the_passes(kind: str) -> None:
    """Greedy, in float32: without a cache, alone, in a batch, in another order, few tokens a pass,
    few rows, and so little memory that sequences give way to each other."""
    model = scrambled(EXPERTS if kind == "experts" else KINDS[kind])
    prompts = texts(7, 34, 61)
    prompts[3] = prompts[5] = [*prompts[0][:20], 5] * 2  # three begin alike, two are alike
    sampling = Sampling(max_tokens=12, temperature=0)
    expected = [greedy_without_cache(model, prompt, 12) for prompt in prompts]
    expected = [e[: 48 - len(p)] for e, p in zip(expected, prompts, strict=True)]

    def found(engine: Engine, order: list[int]) -> list[list[int]]:
        answers = engine.generate([prompts[i] for i in order], sampling)
        return [answers[order.index(i)].tokens for i in range(len(prompts))]

    engine = Engine(model, FLOAT32, stop=[])
    assert found(engine, [*range(7)]) == expected
    assert found(engine, [4, 2, 6, 0, 1, 5, 3]) == expected
    assert [engine.generate([p], sampling)[0].tokens for p in prompts] == expected
    each, states = position_bytes(model.config, torch.float32), state_bytes(model)
    for rows, at_once, positions in ((256, 5, 48), (2, 64, 48 * 3), (7, 16, 48)):
        memory = positions * each + 2 * rows * states
        engine = Engine(model, FLOAT32, stop=[], rows=rows, at_once=at_once, memory=memory)
        assert found(engine, [*range(7)]) == expected
        assert engine.running == engine.waiting == 0
        assert all(kind.pages.free == kind.pages.count for kind in engine.cache.kinds)
    assert engine.preempted or states  # beside which there is room for more pages


def test_a_sequence_that_gave_way_draws_the_same_tokens(model: DecoderModel) -> None:
    sampling = Sampling(max_tokens=16, seed=4, repetition_penalty=1.2)
    prompts = texts(6, 8, 31)
    expected = Engine(model, FLOAT32, stop=[]).generate(prompts, sampling)
    memory = 24 * position_bytes(model.config, torch.float32)
    engine = Engine(model, FLOAT32, stop=[], memory=memory)
    assert engine.generate(prompts, sampling) == expected
    assert engine.preempted


def test_a_prompt_is_read_once_for_all_that_continue_it(model: DecoderModel) -> None:
    """Tokens of all passes: of the prompt those of one reading, and a full page less for each of
    the others."""
    engine = Engine(model, FLOAT32, stop=[])
    read = []
    original = model.__class__.hidden

    def counting(self: DecoderModel, tokens: torch.Tensor, **named: object) -> torch.Tensor:
        read.append(tokens.numel())
        return original(self, tokens, **named)

    engine.model.hidden = counting.__get__(engine.model)
    prompt = [*range(20)]
    engine.generate([prompt] * 5, Sampling(max_tokens=1))
    beginnings = 20 - PAGE + engine.cache.shifts
    assert sum(read) == 20 + 4 * beginnings
    engine.generate([prompt], Sampling(max_tokens=1))
    assert read[-1] == beginnings


def test_a_cancelled_sequence_leaves_at_once(model: DecoderModel) -> None:
    engine = Engine(model, FLOAT32, stop=[], rows=1)
    first, second = (engine.submit([1, 2], Sampling(max_tokens=9)) for _ in range(2))
    engine.step()
    assert (engine.running, engine.waiting) == (1, 1)
    engine.cancel(first)
    engine.cancel(second)
    assert (engine.running, engine.waiting, engine.step()) == (0, 0, [])
    assert first.completion().finish == "cancelled"
    assert len(first.completion().tokens) == 1
    stream = engine.stream([1, 2], Sampling(max_tokens=9))
    next(stream)
    stream.close()
    assert engine.running == 0
    assert all(kind.pages.free == kind.pages.count for kind in engine.cache.kinds)


@torch.no_grad()
def test_likelihoods_are_sums_of_logprobs(model: DecoderModel) -> None:
    """Of pairs that share contexts, in passes of few tokens, against the model without a cache."""
    contexts = [[*range(19)], [4], [*range(18)]]
    pairs = [(c, e) for c in contexts for e in ([5, 6, 7], [1], [9, 2])]
    pairs += [([1] * 20, [int(model(torch.tensor([[1] * 20]))[0, -1].argmax())])]
    for at_once in (3, 200):
        found = Engine(model, FLOAT32, stop=[2], at_once=at_once).loglikelihood(pairs)
        for (context, ending), likelihood in zip(pairs, found, strict=True):
            logits = model(torch.tensor([[*context, *ending]]))[0, len(context) - 1 : -1]
            logprobs = logits.log_softmax(-1)
            expected = logprobs.gather(1, torch.tensor(ending)[:, None]).sum().item()
            assert likelihood.logprob == pytest.approx(expected, abs=1e-4)
            assert likelihood.greedy == (logits.argmax(-1).tolist() == ending)
    assert found[-1].greedy
    with pytest.raises(InputError, match="is empty"):
        Engine(model, FLOAT32, stop=[]).loglikelihood([([], [1])])
    with pytest.raises(InputError, match="has 25 tokens"):
        Engine(model, FLOAT32, stop=[]).loglikelihood([([1] * 20, [1] * 6)])


@torch.no_grad()
def test_logprobs_are_the_model_s_whatever_the_sampling(model: DecoderModel) -> None:
    engine = Engine(model, FLOAT32, stop=[])
    sampling = Sampling(max_tokens=6, temperature=0.3, top_k=2, logprobs=3)
    answer = engine.generate([[3, 1]], sampling)[0]
    assert answer.logprobs is not None
    logprobs = model(torch.tensor([[3, 1, *answer.tokens]]))[0, 1:-1].log_softmax(-1)
    for row, chosen, token in zip(logprobs, answer.logprobs, answer.tokens, strict=True):
        assert chosen.token == token
        assert chosen.logprob == pytest.approx(float(row[token]), abs=1e-4)
        likeliest = row.topk(3)
        assert [t for t, _ in chosen.likeliest] == likeliest.indices.tolist()
        assert [p for _, p in chosen.likeliest] == pytest.approx(
            likeliest.values.tolist(), abs=1e-4
        )


def test_too_little_memory_for_one_text_is_one_sentence(model: DecoderModel) -> None:
    with pytest.raises(InputError, match="does not hold one text as long as the context"):
        Engine(model, FLOAT32, stop=[], memory=1000)


@pytest.mark.parametrize("kind", ["mamba", "delta", "hybrid"])
def test_states_have_their_part_of_the_memory(kind: str) -> None:
    """As many texts as half of it has room for; what is reckoned is what is taken."""
    model = scrambled(KINDS[kind])
    each = state_bytes(model)
    memory = 2 * max(3 * each, model.config.context * position_bytes(model.config, torch.float32))
    rows = memory // (2 * each)
    engine = Engine(model, FLOAT32, stop=[], rows=5 + rows, memory=memory)
    assert engine.cache.rows == rows
    found = engine.generate([[1 + i] for i in range(rows + 2)], Sampling(max_tokens=3))
    assert len(found) == rows + 2
    taken = sum(t.nbytes for state in engine.cache.states.values() for t in state)
    assert taken == rows * each
    if kind != "hybrid":
        with pytest.raises(InputError, match=f"the state of one text takes {each:,} bytes"):
            Engine(model, FLOAT32, stop=[], memory=each)


@pytest.mark.parametrize("kind", ["grouped", "windowed", "latent", "mamba"])
def test_no_more_than_a_page_of_a_text_is_unused(kind: str) -> None:
    engine = Engine(scrambled(KINDS[kind]), FLOAT32, stop=[])
    lengths = (3, 20, 33)
    texts = [engine.submit([1] * n, Sampling(max_tokens=9), i) for i, n in enumerate(lengths)]
    assert engine.filled == (0, 0)
    for _ in range(5):
        engine.step()
        used, there = engine.filled
        assert 0 <= there - used < PAGE * len(texts)
        assert (used > 0) == (kind != "mamba")


def test_progress_is_told_of_every_completion(model: DecoderModel) -> None:
    """Whatever the order in which they end."""
    told: list[int] = []
    engine = Engine(model, FLOAT32, stop=[])
    prompts = [[1], [1] * 20, [2] * 15, [3] * 22]
    engine.generate(prompts, Sampling(max_tokens=20), advance=told.append)
    assert sum(told) == len(prompts)
    assert len(told) > 1
    told.clear()
    engine.loglikelihood([([1], [2, 3])] * 3, advance=told.append)
    assert sum(told) == 3


def test_two_streams_take_turns(model: DecoderModel) -> None:
    """Each step draws for both, and neither loses what the other's step drew for it."""
    engine = Engine(model, FLOAT32, stop=[])
    sampling = Sampling(max_tokens=9, seed=1)
    alone = [list(Engine(model, FLOAT32, stop=[]).stream(p, sampling)) for p in PROMPTS[:2]]
    streams = [engine.stream(prompt, sampling) for prompt in PROMPTS[:2]]
    assert [list(tokens) for tokens in zip(*zip(*streams, strict=True), strict=True)] == alone


def test_a_tiny_temperature_is_none(model: DecoderModel) -> None:
    engine = Engine(model, FLOAT32, stop=[])
    cold, colder = (Sampling(max_tokens=6, temperature=t) for t in (0.0, 1e-40))
    assert engine.generate(PROMPTS, cold) == engine.generate(PROMPTS, colder)
