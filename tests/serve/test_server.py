"""What a server must bear: strangers, the impatient, the clumsy, and many at once."""

import asyncio
import json
import time
from dataclasses import replace

import httpx
import pytest
from tests.serve.conftest import serving, small

from groundup.align.chat import CHAT_TEMPLATE
from groundup.serve import Limits, Served

ASKED = {"model": "small", "prompt": "abc", "max_tokens": 8, "seed": 1}
COMPLETIONS = "/v1/completions"


def figures(address: str) -> dict[str, float]:
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name.partition("{")[0]: float(value) for name, value in pairs}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/small"),
        ("POST", COMPLETIONS),
        ("POST", "/v1/chat/completions"),
        ("POST", "/tokenize"),
        ("POST", "/detokenize"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
        ("OPTIONS", COMPLETIONS),
    ],
)
def test_a_key_guards_every_route(guarded: str, method: str, path: str) -> None:
    for shown in (None, "Bearer", "Bearer wrong", "Basic secret", "Bearer secre", "secret"):
        headers = {} if shown is None else {"authorization": shown}
        answer = httpx.request(method, guarded + path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["type"] == "authentication_error"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_key_opens(guarded: str) -> None:
    headers = {"authorization": "Bearer secret"}
    assert httpx.get(f"{guarded}/v1/models", headers=headers).status_code == 200
    done = httpx.post(guarded + COMPLETIONS, json=ASKED, headers=headers)
    assert done.json()["choices"][0]["finish_reason"] in ("length", "stop")


@pytest.fixture(scope="module")
def guarded(served: Served):
    with serving(served, key="secret", limits=Limits(rows=8)) as address:
        yield address


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"{", 400, "not valid JSON"),
        (b"\xff\xfe", 400, ""),
        (b'"text"', 400, ""),
        (b"[]", 400, ""),
        (b"{}", 400, "model"),
        (b'{"model": "small", "prompt": "\\ud800"}', 400, "lone surrogate"),
        (b'{"model": "small", "prompt": "a", "temperature": NaN}', 400, ""),
        (b'{"model": "small", "prompt": {"a": 1}}', 400, "prompt"),
        (b" " * (1 << 20) + b"{}", 413, "larger than 1,048,576 bytes"),
        (b"[" * 100_000, 400, ""),
        (b'{"model": "small", "prompt": "a", "seed": ' + b"9" * 5000 + b"}", 400, ""),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_clumsy_body_is_one_sentence(
    address: str, body: bytes, status: int, sentence: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = httpx.post(address + COMPLETIONS, content=body, headers=headers)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert sentence in error["message"]
    assert "Traceback" not in answer.text
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}


def test_a_body_in_pieces_that_grows_too_large_is_refused(address: str) -> None:
    def pieces():
        for _ in range(40):
            yield b" " * (1 << 15)

    answer = httpx.post(address + COMPLETIONS, content=pieces())
    assert answer.status_code == 413


def test_routes_that_are_not_there(address: str) -> None:
    assert httpx.get(f"{address}/v1/nothing").json()["error"]["type"] == "not_found_error"
    assert httpx.get(address + COMPLETIONS).status_code == 405


def test_text_to_tokens_and_back(address: str, served: Served) -> None:
    text = "é<|user|>"
    ids = httpx.post(f"{address}/tokenize", json={"text": text}).json()["tokens"]
    assert ids == served.tokenizer.encode_ordinary(text)
    read = httpx.post(f"{address}/tokenize", json={"text": text, "special": True}).json()
    assert read == {
        "tokens": [*"é".encode(), served.tokenizer.special_tokens["<|user|>"]],
        "count": 3,
    }
    assert httpx.post(f"{address}/detokenize", json={"tokens": ids}).json() == {"text": text}
    assert httpx.post(f"{address}/detokenize", json={"tokens": [99999]}).status_code == 400


def test_a_client_that_vanishes_frees_its_place() -> None:
    """One that streams, and one that waits for the whole."""
    with serving(small(context=20_000), limits=Limits(rows=1)) as address:
        asked = {**ASKED, "max_tokens": 19_000, "logit_bias": {"256": -100}}
        with httpx.stream("POST", address + COMPLETIONS, json={**asked, "stream": True}) as answer:
            next(answer.iter_lines())
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(address + COMPLETIONS, json=asked, timeout=0.3)
        # There is one place, so this has an answer only when both have left it.
        done = httpx.post(address + COMPLETIONS, json=ASKED, timeout=20)
        assert done.status_code == 200
        told = figures(address)
        assert told["groundup_waiting_sequences"] == 0
        assert told["groundup_generated_tokens_total"] < 19_000


def test_too_many_requests_are_told_to_come_again() -> None:
    limits = Limits(rows=1, requests=2)
    with serving(small(context=20_000), limits=limits) as address:
        asked = {**ASKED, "max_tokens": 19_000, "stream": True, "logit_bias": {"256": -100}}
        with (
            httpx.stream("POST", address + COMPLETIONS, json=asked) as first,
            httpx.stream("POST", address + COMPLETIONS, json=asked),
        ):
            lines = first.iter_lines()  # which closes its stream when it is let go
            next(lines)
            answer = httpx.post(address + COMPLETIONS, json=ASKED)
            assert answer.status_code == 429
            assert "2 requests are open already" in answer.json()["error"]["message"]
        for _ in range(100):
            if httpx.post(address + COMPLETIONS, json=ASKED).status_code == 200:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the places were not free again")


def test_many_clients_at_once(address: str) -> None:
    """200 that stream, each with a seed of its own: every text is what it is alone."""

    async def stream(client: httpx.AsyncClient, seed: int) -> str:
        asked = {**ASKED, "seed": seed, "stream": True}
        text = ""
        async with client.stream("POST", address + COMPLETIONS, json=asked) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    text += json.loads(line[6:])["choices"][0]["text"]
        assert line == "" or line == "data: [DONE]"
        return text

    async def all_of_them() -> list[str]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            return await asyncio.gather(*(stream(client, seed) for seed in range(200)))

    texts = asyncio.run(all_of_them())
    for seed in (0, 77, 199):
        done = httpx.post(address + COMPLETIONS, json={**ASKED, "seed": seed}).json()
        assert done["choices"][0]["text"] == texts[seed]
    assert figures(address)["groundup_running_sequences"] == 0


def test_a_server_that_stops_ends_its_streams() -> None:
    with serving(small(context=20_000)) as address:
        asked = {**ASKED, "max_tokens": 300, "stream": True, "logit_bias": {"256": -100}}
        answer = httpx.stream("POST", address + COMPLETIONS, json=asked)
        opened = answer.__enter__()
        lines = opened.iter_lines()
        next(lines)
    assert list(lines)[-2:] == ["data: [DONE]", ""]  # what had begun was finished
    answer.__exit__(None, None, None)


def test_a_base_model_does_not_converse(served: Served) -> None:
    assert served.template == CHAT_TEMPLATE
    with serving(replace(served, template=None)) as address:
        asked = {"model": "small", "messages": [{"role": "user", "content": "a"}]}
        answer = httpx.post(f"{address}/v1/chat/completions", json=asked)
        assert answer.status_code == 400
        assert "was not taught to converse" in answer.json()["error"]["message"]


def test_an_id_that_the_tokenizer_lacks_is_never_drawn(served: Served) -> None:
    """A model has rows to spare; a bias towards one of them does not end the server."""
    model = replace(served.model.config, vocab_size=300).build(0)
    with serving(replace(served, model=model)) as address:
        asked = {**ASKED, "logit_bias": {"290": 100}, "logprobs": 20}
        for _ in range(2):
            answer = httpx.post(address + COMPLETIONS, json=asked)
            assert answer.status_code == 200
            assert len(answer.json()["choices"][0]["logprobs"]["tokens"]) > 0
        assert httpx.get(f"{address}/health").status_code == 200
