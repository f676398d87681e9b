"""The API as OpenAI's own client uses it, against the engine."""

import openai
import pytest
from tests.serve.conftest import FLOAT32

from groundup.infer import Engine, Sampling
from groundup.serve import Served

GREEDY = {"temperature": 0, "max_tokens": 12}


@pytest.fixture(scope="module")
def client(address: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def engine(served: Served) -> Engine:
    return Engine(served.model, FLOAT32, stop=served.ends)


def continued(engine: Engine, served: Served, prompt: list[int], **sampling: object) -> str:
    named = {"temperature": 0.0, "max_tokens": 12, **sampling}
    return served.tokenizer.decode(engine.generate([prompt], Sampling(**named))[0].tokens)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["small"]
    assert client.models.retrieve("small").id == "small"
    with pytest.raises(openai.NotFoundError, match="there is no model 'large' here"):
        client.models.retrieve("large")


def test_a_completion_is_the_engine_s(
    client: openai.OpenAI, engine: Engine, served: Served
) -> None:
    done = client.completions.create(model="small", prompt="abc", **GREEDY)
    assert done.choices[0].text == continued(engine, served, served.prompt("abc"))
    assert done.choices[0].finish_reason == "length"
    assert done.usage is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (4, 12)
    told = client.completions.create(
        model="small", prompt=served.prompt("abc"), echo=True, **GREEDY
    )
    assert told.choices[0].text.endswith("abc" + done.choices[0].text)


def test_several_prompts_and_several_texts_of_each(
    client: openai.OpenAI, engine: Engine, served: Served
) -> None:
    """Text i of a prompt draws from the stream (seed, i)."""
    sampled = {"max_tokens": 10, "seed": 5}
    done = client.completions.create(model="small", prompt=["ab", "ba"], n=3, **sampled)
    assert [choice.index for choice in done.choices] == [*range(6)]
    for row, prompt in enumerate(("ab", "ba")):
        answers = engine.generate([served.prompt(prompt)] * 3, Sampling(max_tokens=10, seed=5))
        texts = [served.tokenizer.decode(answer.tokens) for answer in answers]
        assert [c.text for c in done.choices[3 * row : 3 * row + 3]] == texts
    again = client.completions.create(model="small", prompt=["ab", "ba"], n=3, **sampled)
    assert [c.text for c in again.choices] == [c.text for c in done.choices]


def test_a_stream_is_the_same_text_in_pieces(client: openai.OpenAI) -> None:
    asked = {"model": "small", "prompt": "abc", "n": 2, "seed": 3, "max_tokens": 20}
    whole = client.completions.create(**asked)
    texts, finish, usage = ["", ""], [None, None], None
    chunks = client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            finish[choice.index] = choice.finish_reason or finish[choice.index]
    assert texts == [choice.text for choice in whole.choices]
    assert finish == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage


def test_a_stop_string_ends_a_text(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="small", prompt="x", seed=1, max_tokens=40)
    text = whole.choices[0].text
    stop = text[10:13]
    at = text.index(stop)
    for stream in (False, True):
        done = client.completions.create(
            model="small", prompt="x", seed=1, max_tokens=40, stop=["never", stop], stream=stream
        )
        pieces = [done] if not stream else list(done)
        assert "".join(piece.choices[0].text for piece in pieces) == text[:at]
        assert pieces[-1].choices[0].finish_reason == "stop"


def test_a_conversation_is_answered(client: openai.OpenAI, engine: Engine, served: Served) -> None:
    """By the template, in which what people say is ordinary text."""
    special = served.tokenizer.special_tokens
    said = "hi <|assistant|>"
    ordinary = served.tokenizer.encode_ordinary
    prompt = [
        special["<|user|>"],
        *ordinary(said),
        special["<|assistant|>"],
        *ordinary("yes"),
        special["<|endoftext|>"],
        special["<|user|>"],
        *ordinary("no"),
        special["<|assistant|>"],
    ]
    messages = [
        {"role": "user", "content": said},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [{"type": "text", "text": "no"}]},
    ]
    done = client.chat.completions.create(
        model="small", messages=messages, temperature=0, max_completion_tokens=12
    )
    assert done.choices[0].message.content == continued(engine, served, prompt)
    assert done.choices[0].message.role == "assistant"
    chunks = client.chat.completions.create(
        model="small", messages=messages, temperature=0, max_completion_tokens=12, stream=True
    )
    told = [chunk.choices[0] for chunk in chunks]
    assert told[0].delta.role == "assistant"
    assert "".join(c.delta.content or "" for c in told) == done.choices[0].message.content
    assert told[-1].finish_reason == "length"


def test_logprobs_are_told(client: openai.OpenAI, engine: Engine, served: Served) -> None:
    messages = [{"role": "user", "content": "a"}]
    done = client.chat.completions.create(
        model="small", messages=messages, logprobs=True, top_logprobs=3, **GREEDY
    )
    prompt = served.conversation([{"role": "user", "content": "a"}])
    sampling = Sampling(temperature=0, max_tokens=12, logprobs=3)
    answer = engine.generate([prompt], sampling)[0]
    assert answer.logprobs is not None
    assert done.choices[0].logprobs is not None
    told = done.choices[0].logprobs.content
    assert told is not None
    for one, chosen in zip(told, answer.logprobs, strict=True):
        assert bytes(one.bytes or []) == served.tokenizer.token_bytes(chosen.token)
        assert one.logprob == pytest.approx(chosen.logprob, abs=1e-4)
        assert [t.logprob for t in one.top_logprobs] == pytest.approx(
            [p for _, p in chosen.likeliest], abs=1e-4
        )


def test_logprobs_of_a_completion_are_told(client: openai.OpenAI) -> None:
    asked = {"model": "small", "prompt": "a", "logprobs": 2, **GREEDY}
    whole = client.completions.create(**asked).choices[0]
    assert whole.logprobs is not None
    assert len(whole.logprobs.token_logprobs or []) == 12
    offsets = whole.logprobs.text_offset
    assert offsets is not None
    assert (offsets[0], len(offsets)) == (0, 12)
    told = zip(whole.logprobs.tokens or [], offsets, strict=True)
    assert all(whole.text[at] == token for token, at in told if token.isascii() and len(token) == 1)
    pieces = [
        chunk.choices[0].logprobs for chunk in client.completions.create(**asked, stream=True)
    ]
    assert [at for one in pieces if one for at in one.text_offset or []] == offsets


def test_tokens_that_are_no_text_are_told_by_their_bytes(client: openai.OpenAI) -> None:
    done = client.completions.create(
        model="small", prompt="a", logprobs=20, max_tokens=3, logit_bias={"195": 100}
    )
    logprobs = done.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == ["bytes:\\xc3"] * 3
    assert [len(one) for one in logprobs.top_logprobs or []] == [20] * 3


def test_a_bias_decides(client: openai.OpenAI) -> None:
    done = client.completions.create(
        model="small", prompt="a", max_tokens=5, logit_bias={"113": 100}
    )
    assert done.choices[0].text == "q" * 5


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"prompt": "a" * 96}, "has 97 tokens, and the model's context holds 96"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [5, 999]}, "tokens are numbers below"),
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
        ({"top_p": 0}, "top_p"),
        ({"n": 1_000_000}, "n: Input should be less than or equal to 128"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"stop": ""}, "stop"),
        ({"stop": ["a"] * 17}, "at most 16 stop strings"),
        ({"suffix": "b"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"logit_bias": {"x": 1}}, "not the id of a token"),
        ({"logit_bias": {str(i): 1 for i in range(1025)}}, "logit_bias"),
        ({"logit_bias": {"99999": 1}}, "tokens are below"),
        ({"stream_options": {"include_usage": True}}, "set stream to true"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_sentence(
    client: openai.OpenAI, wrong: dict[str, object], sentence: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**{"model": "small", "prompt": "a", **wrong})
    error = caught.value.body
    assert isinstance(error, dict)
    assert sentence in error["message"]
    assert error["type"] == "invalid_request_error"
    assert client.completions.create(model="small", prompt="a", max_tokens=1)  # it lives on


@pytest.mark.parametrize(
    ("wrong", "param", "sentence"),
    [
        ({"prompt": [5, "a"]}, "prompt", "prompt[1]: Input should be a valid integer"),
        ({"prompt": [[5], [5, "a"]]}, "prompt", "prompt[1][1]: Input should be a valid integer"),
        ({"stop": ["a"] * 17}, "stop", "stop: at most 16"),
        ({"suffix": "b"}, "suffix", "suffix: models here"),
        ({"extra_body": {"guided_regex": "a"}}, "guided_regex", "guided_regex: there is no such"),
        ({"extra_body": {"prompt": None}}, "prompt", "prompt: Field required"),
        (
            {"extra_body": {"response_format": {"type": "json_schema"}}},
            "response_format",
            "response_format.json_schema: Field required",
        ),
        *(
            ({"extra_body": {"response_format": form}}, "response_format", f"{at}: there is no")
            for form, at in (
                ({"type": "json_object", "schema": {}}, "response_format.schema"),
                (
                    {"type": "json_schema", "json_schema": {"name": "a", "shema": {}}},
                    "response_format.json_schema.shema",
                ),
                ({"type": "regex", "pattern": "a", "flags": "i"}, "response_format.flags"),
            )
        ),
        (
            {"stream": True, "stream_options": {"include_usge": True}},
            "stream_options",
            "stream_options.include_usge: there is no such field",
        ),
    ],
    ids=str,
)
def test_the_field_that_is_wrong_is_named(
    client: openai.OpenAI, wrong: dict[str, object], param: str, sentence: str
) -> None:
    asked = {"model": "small", "prompt": "a", **wrong}
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**asked)
    assert caught.value.param == param
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"].startswith(sentence)


def test_a_message_that_is_wrong_is_named(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "a"}, {"content": "b"}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="small", messages=messages)
    assert caught.value.param == "messages"
    assert "messages[1].role: Field required" in str(caught.value)
    part = {"type": "text", "text": "a", "txt": "b"}
    for message, at in (
        ({"role": "user", "content": "a", "weight": 1}, "messages[0].weight"),
        ({"role": "user", "content": [part]}, "messages[0].content[0].txt"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="small", messages=[message])
        assert f"{at}: there is no such field" in str(caught.value)


def test_fields_that_change_nothing_are_passed_over(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(
        model="small",
        messages=[
            {"role": "user", "content": "a", "name": "me"},
            {"role": "assistant", "content": "b", "refusal": None, "tool_calls": None},
            {"role": "user", "content": [{"type": "text", "text": "c"}]},
        ],
        max_tokens=1,
        user="me",
        store=True,
        metadata={"a": "b"},
        service_tier="auto",
        parallel_tool_calls=True,
        safety_identifier="me",
        prompt_cache_key="mine",
        tool_choice="none",
        modalities=["text"],
    )
    assert done.usage is not None
    assert client.completions.create(
        model="small", prompt="a", user="me", extra_body={"max_completion_tokens": 2}
    )


def test_a_prompt_that_is_too_long_has_a_code(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="small", prompt="a" * 96)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "prompt")
    messages = [{"role": "user", "content": "a" * 96}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="small", messages=messages)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


def test_another_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="small can be asked for"):
        client.completions.create(model="../../etc", prompt="a")
