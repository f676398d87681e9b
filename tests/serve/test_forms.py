"""Answers of a given form: what OpenAI's client asks for, and what a server must bear of it."""

import json
import re
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel
from tests.serve.conftest import serving, small

from groundup.serve import Served
from groundup.tokenizers import BPE

ASKED = {"model": "small", "seed": 1, "messages": [{"role": "user", "content": "a"}]}
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["cat", "dog"]}, "old": {"type": "boolean"}},
    "required": ["kind", "old"],
    "additionalProperties": False,
}


def form(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}


@pytest.fixture(scope="module")
def address():
    with serving(small(context=300)) as address:
        yield address


def test_a_schema_is_kept_to(address: str) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    done = client.chat.completions.create(**ASKED, n=4, response_format=form(SCHEMA))
    for choice in done.choices:
        value = json.loads(choice.message.content or "")
        assert value["kind"] in ("cat", "dog")
        assert isinstance(value["old"], bool)
        assert choice.finish_reason == "stop"


class Pet(BaseModel):
    kind: str
    old: bool
    friend: "Pet | None"


def test_the_client_s_classes_are_parsed(address: str) -> None:
    """What `parse` sends for a class that calls itself; most answers are cut off."""
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    parsed = 0
    for seed in range(12):
        try:
            done = client.chat.completions.parse(**{**ASKED, "seed": seed}, response_format=Pet)
        except openai.LengthFinishReasonError:
            continue
        assert isinstance(done.choices[0].message.parsed, Pet)
        parsed += 1
        if parsed == 2:
            break
    assert parsed


def test_a_pattern_is_kept_to_in_a_stream_and_a_completion(address: str) -> None:
    pattern = {"type": "regex", "pattern": "[ab]{2,6}!"}
    asked = {"model": "small", "prompt": "x", "max_tokens": 20, "response_format": pattern}
    told = httpx.post(f"{address}/v1/completions", json=asked).json()["choices"][0]
    assert re.fullmatch("[ab]{2,6}!", told["text"])
    assert told["finish_reason"] == "stop"
    text = ""
    body = {**ASKED, "stream": True, "response_format": pattern}
    with httpx.stream("POST", f"{address}/v1/chat/completions", json=body) as lines:
        for line in lines.iter_lines():
            if line.startswith("data: {"):
                text += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
    assert re.fullmatch("[ab]{2,6}!", text)


def test_some_object(address: str) -> None:
    body = {**ASKED, "response_format": {"type": "json_object"}, "n": 3}
    done = httpx.post(f"{address}/v1/chat/completions", json=body).json()
    for choice in done["choices"]:
        if choice["finish_reason"] == "stop":
            assert isinstance(json.loads(choice["message"]["content"]), dict)


DEEP: Any = {}
for _ in range(300):
    DEEP = {"items": DEEP}


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (form({"enum": []}), "no value fits the schema"),
        (form({"not": {}}), "cannot be kept to"),
        (form({"$ref": "#/nowhere"}), "there is no #/nowhere"),
        (form({"type": "string", "pattern": "(?=a)"}), "look around"),
        (form({"const": "\ud800"}), ""),
        (form({"$ref": "#/\ud800"}), "there is no #/\\ud800"),
        (form({"type": "object", "required": [["a"]]}), "is no name of a property"),
        (form([]), "response_format"),
        (form(DEEP), "too large or too deep"),
        (form({"enum": ["x" * 100_000]}), "more than 65,536 characters"),
        ({"type": "regex", "pattern": "(" * 3000}, "more than 64 groups"),
        ({"type": "regex", "pattern": ""}, "response_format"),
        ({"type": "regex"}, "response_format"),
        ({"type": "verse"}, "response_format"),
        ({"type": "json_schema"}, "response_format"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_form_that_cannot_be_kept_to_is_refused(address: str, wanted: Any, sentence: str) -> None:
    body = json.dumps({**ASKED, "max_tokens": 5, "response_format": wanted})
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{address}/v1/chat/completions", content=body, headers=headers)
    if answer.status_code == 200:
        assert sentence == ""
        return
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]["message"]


def test_a_form_that_turns_out_too_large_ends_its_own_answer(address: str) -> None:
    pattern = {"type": "regex", "pattern": "x(a?b?){600}c"}
    body = {**ASKED, "response_format": pattern}
    answer = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 400
    assert "make it simpler" in answer.json()["error"]["message"]
    told = []
    with httpx.stream(
        "POST", f"{address}/v1/chat/completions", json={**body, "stream": True}, timeout=60
    ) as lines:
        told = [line for line in lines.iter_lines() if line.startswith("data:")]
    assert "make it simpler" in told[-2]
    assert told[-1] == "data: [DONE]"
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}
    assert httpx.post(f"{address}/v1/chat/completions", json=ASKED).status_code == 200


def test_what_no_token_spells_is_refused_before_a_stream_begins() -> None:
    """The model has the half of all bytes that is ASCII."""
    model = replace(small().model.config, vocab_size=128).build(0)
    tokenizer = BPE.learned([], "gpt2")
    with serving(Served("small", model, tokenizer, [0], [], None)) as address:
        pattern = {"type": "regex", "pattern": "é"}
        body = {"model": "small", "prompt": "a", "stream": True, "response_format": pattern}
        answer = httpx.post(f"{address}/v1/completions", json=body)
        assert answer.status_code == 400
        assert "no token for what must come next" in answer.json()["error"]["message"]
