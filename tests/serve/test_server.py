"""What a server must bear: strangers, the impatient, the clumsy, and many at once."""

import asyncio
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.serve.conftest import FLOAT32, running, serving, small

from groundup.align.chat import CHAT_TEMPLATE
from groundup.infer import Engine, Sampling
from groundup.infer.grammar import Grammars
from groundup.serve import Limits, Served, create_app
from groundup.serve.guard import Guard

ASKED = {"model": "small", "prompt": "abc", "max_tokens": 8, "seed": 1}
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
ENDLESS = {"max_tokens": 19_000, "stream": True, "logit_bias": {"256": -100}}


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
        (b'{"model": "\\ud800", "prompt": "a"}', 404, "there is no model"),
        (b'{"model": "small", "prompt": "a", "\\ud800": 1}', 400, ""),
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
    answer = httpx.get(address + COMPLETIONS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


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
            assert answer.headers["retry-after"] == "1"
            other = httpx.post(address + COMPLETIONS, json={**ASKED, "model": "large"})
            assert other.status_code == 404
            assert "2 requests are open already" in answer.json()["error"]["message"]
        for _ in range(100):
            if httpx.post(address + COMPLETIONS, json=ASKED).status_code == 200:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the places were not free again")


def test_as_many_as_may_be_are_let_in_of_a_burst() -> None:
    """And none of the others, however close together they come."""

    async def burst(address: str) -> list[int]:
        async with httpx.AsyncClient(timeout=60) as client:
            asked = client.build_request("POST", address + COMPLETIONS, json={**ASKED, **ENDLESS})
            answers = [client.send(asked, stream=True) for _ in range(12)]
            answers = await asyncio.gather(*answers)
            for answer in answers:
                await answer.aclose()
            return sorted(answer.status_code for answer in answers)

    with serving(small(context=20_000), limits=Limits(requests=2)) as address:
        assert asyncio.run(burst(address)) == [200] * 2 + [429] * 10


def test_a_request_s_own_texts_are_counted(served: Served) -> None:
    with serving(served, limits=Limits(texts=4)) as address:
        for n, status in ((5, 429), (4, 200), (4, 200)):
            answer = httpx.post(address + COMPLETIONS, json={**ASKED, "n": n})
            assert answer.status_code == status
        wrong = {**ASKED, "logit_bias": {"999": 1}, "n": 4}
        for _ in range(3):  # what fails gives its place back
            assert httpx.post(address + COMPLETIONS, json=wrong).status_code == 400
        assert httpx.post(address + COMPLETIONS, json={**ASKED, "n": 4}).status_code == 200


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


def test_texts_end_before_the_connections_do() -> None:
    """A server that stops tells of it, and does not only hang up."""
    app = create_app([small(context=20_000)], FLOAT32)
    with running(app) as address:
        with httpx.stream("POST", address + COMPLETIONS, json={**ASKED, **ENDLESS}) as answer:
            lines = answer.iter_lines()
            next(lines)
            app.state.leave()
            told = [line for line in lines if line]
        assert "the server is stopping" in told[-2]
        assert told[-1] == "data: [DONE]"
        answer = httpx.post(address + COMPLETIONS, json=ASKED)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert httpx.get(f"{address}/health").json()["status"] == "stopping"


def test_what_nobody_has_foreseen_is_told_in_the_same_form(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one request, of which the others know nothing."""
    submit = Engine.submit

    def clumsy(self: Engine, prompt: Any, sampling: Sampling, stream: int = 0) -> Any:
        if sampling.max_tokens == 7:
            raise RuntimeError("a defect")
        return submit(self, prompt, sampling, stream)

    monkeypatch.setattr(Engine, "submit", clumsy)
    with serving(served) as address:
        for stream in (False, True):
            wrong = {**ASKED, "max_tokens": 7, "stream": stream}
            answer = httpx.post(address + COMPLETIONS, json=wrong)
            assert answer.status_code == 500
            assert answer.json()["error"]["type"] == "server_error"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "defect" not in answer.text
        assert httpx.post(address + COMPLETIONS, json=ASKED).status_code == 200


def test_pieces_come_some_times_a_second() -> None:
    """A small model writes faster: what it has written meanwhile comes together, the first token
    at once, and every token is told."""
    asked = {**ASKED, **ENDLESS, "max_tokens": 600, "logprobs": 0}
    told, times, begin = 0, [], time.monotonic()
    with (
        serving(small(context=1000)) as address,
        httpx.stream("POST", address + COMPLETIONS, json=asked, timeout=60) as answer,
    ):
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                told += len(json.loads(line[6:])["choices"][0]["logprobs"]["tokens"])
                times.append(time.monotonic())
    assert told == 600
    # A piece for the first token and for the last, and else one every twentieth of a second.
    assert len(times) <= 3 + 20 * (times[-1] - begin)
    assert len(times) < 600


def test_a_slow_form_keeps_nobody_else(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many ask for it as there are threads, and more: a text without a form is written."""
    made = threading.Event()

    def slow(_: Grammars, __: str) -> None:
        assert made.wait(60)

    monkeypatch.setattr(Grammars, "regex", slow)
    form = {"response_format": {"type": "regex", "pattern": "a"}}
    with serving(served) as address, ThreadPoolExecutor(16) as clients:
        asking = [
            clients.submit(httpx.post, address + COMPLETIONS, json={**ASKED, **form}, timeout=90)
            for _ in range(16)
        ]
        try:
            for free in ({}, {"response_format": {"type": "text"}}):
                told = httpx.post(address + COMPLETIONS, json={**ASKED, **free}, timeout=30)
                assert told.status_code == 200
            assert not any(one.done() for one in asking)
        finally:
            made.set()
        assert {one.result().status_code for one in asking} == {200}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_that_has_failed_says_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Engine) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Engine, "step", fails)
    with serving(served) as address:
        for _ in range(2):
            answer = httpx.post(address + COMPLETIONS, json=ASKED)
            assert answer.status_code == 500
            assert "the engine has failed" in answer.json()["error"]["message"]
        answer = httpx.get(f"{address}/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "failed")


def test_a_client_that_stands_still_frees_its_place() -> None:
    """It asks for a long stream, and reads none of it."""
    limits = Limits(patience=0.5)
    with serving(small(context=20_000), limits=limits) as address:
        host, port = address.removeprefix("http://").split(":")
        body = json.dumps({**ASKED, **ENDLESS, "logprobs": 20}).encode()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((host, int(port)))
            head = f"POST {COMPLETIONS} HTTP/1.1\r\nhost: localhost\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            for wanted in (1, 0):  # it is taken up, and given up
                end = time.monotonic() + 60
                while figures(address)["groundup_running_sequences"] != wanted:
                    assert time.monotonic() < end
                    time.sleep(0.02)
            assert figures(address)["groundup_generated_tokens_total"] < 19_000
        assert httpx.post(address + COMPLETIONS, json=ASKED).status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    told: list[Any] = []

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        told.append(message)

    guard = Guard(never, None, 100, patience=0.01)
    scope = {"type": "http", "headers": [(b"content-length", b"5")]}
    asyncio.run(guard(scope, never, send))
    assert told[0]["status"] == 408
    assert "after 0.01 seconds" in json.loads(told[1]["body"])["error"]["message"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:80", 200),
        ("10.0.0.1:80", 200),
        ("[::1]", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ],
)
def test_names_of_strangers_lead_nowhere(named: str, host: str, status: int) -> None:
    answer = httpx.get(f"{named}/health", headers={"host": host})
    assert answer.status_code == status


@pytest.fixture(scope="module")
def named(served: Served):
    with serving(served, hosts={"localhost"}) as address:
        yield address


def test_a_message_with_half_a_character_is_refused(address: str) -> None:
    body = b'{"model": "small", "messages": [{"role": "user", "content": "\\ud800"}]}'
    headers = {"content-type": "application/json"}
    answer = httpx.post(address + CHAT, content=body, headers=headers)
    assert answer.status_code == 400


def test_usage_is_null_until_it_is_known(address: str) -> None:
    said = [{"role": "user", "content": "a"}]
    more = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": 3}
    for path, asked in ((COMPLETIONS, ASKED), (CHAT, {"model": "small", "messages": said})):
        answer = httpx.post(address + path, json={**asked, **more})
        told = [json.loads(one[6:]) for one in answer.text.split("\n\n") if one[6:7] == "{"]
        assert [one["usage"] for one in told[:-1]] == [None] * (len(told) - 1)
        assert told[-1]["usage"]["completion_tokens"] == 3


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
        asked = {**ASKED, "prompt": [5, 290], "echo": True}
        assert httpx.post(address + COMPLETIONS, json=asked).status_code == 400
        assert httpx.get(f"{address}/health").status_code == 200
