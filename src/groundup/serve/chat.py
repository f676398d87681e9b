"""`/v1/chat/completions`: conversations that are answered."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from groundup.infer.grammar import Grammars
from groundup.infer.sequence import Chosen
from groundup.loading import Served
from groundup.serve.answers import Answer, Asked, collect, token_text
from groundup.serve.schema import ChatRequest
from groundup.serve.worker import Delta


def asked(request: ChatRequest, served: Served, grammars: Grammars, seed: int) -> Asked:
    """What the engine is asked for. Raises `InputError` for what it cannot do."""
    messages = [{"role": m.role, "content": m.text} for m in request.messages]
    logprobs = (request.top_logprobs or 0) if request.logprobs else None
    sampling = request.sampling(served.model.config.context, seed, logprobs, grammars)
    prompts = [served.conversation(messages)]
    return Asked("chatcmpl", "messages", prompts, request.n, sampling, request.stops)


async def answer(
    request: ChatRequest, served: Served, of: Answer, deltas: AsyncIterator[Delta]
) -> dict[str, Any]:
    """All answers at once."""
    texts = await collect(deltas, request.n)
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text.text, "refusal": None},
            "logprobs": _told(text.chosen, served) if request.logprobs else None,
            "finish_reason": text.finish,
        }
        for index, text in enumerate(texts)
    ]
    usage = of.usage(sum(text.tokens for text in texts))
    return {**of.head, "object": "chat.completion", "choices": choices, "usage": usage}


async def chunks(
    request: ChatRequest, served: Served, of: Answer, deltas: AsyncIterator[Delta]
) -> AsyncGenerator[dict[str, Any]]:
    """Answers as they are written: who speaks, then the text, then why it ends."""
    head, written = {**of.head, "object": "chat.completion.chunk", **request.no_usage}, 0
    for index in range(request.n):
        yield {**head, "choices": [_choice(index, {"role": "assistant", "content": ""})]}
    async for delta in deltas:
        written += delta.tokens
        if delta.text or delta.chosen:
            logprobs = _told(delta.chosen, served) if request.logprobs else None
            yield {**head, "choices": [_choice(delta.index, {"content": delta.text}, logprobs)]}
        if delta.finish is not None:
            yield {**head, "choices": [_choice(delta.index, {}, finish=delta.finish)]}
    if request.tells_usage:
        yield {**head, "choices": [], "usage": of.usage(written)}


def _choice(
    index: int, delta: dict[str, Any], logprobs: Any = None, finish: str | None = None
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _told(chosen: Sequence[Chosen], served: Served) -> dict[str, Any]:
    content = [
        {
            **_one(served, one.token, one.logprob),
            "top_logprobs": [_one(served, token, logprob) for token, logprob in one.likeliest],
        }
        for one in chosen
    ]
    return {"content": content, "refusal": None}


def _one(served: Served, token: int, logprob: float) -> dict[str, Any]:
    own = list(served.tokenizer.token_bytes(token))
    return {"token": token_text(served, token), "logprob": logprob, "bytes": own}
