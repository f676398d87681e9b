"""`/v1/completions`: texts that are continued."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from groundup.infer.grammar import Grammars
from groundup.infer.sequence import Chosen
from groundup.loading import Served
from groundup.serve.answers import Answer, Asked, collect, token_text
from groundup.serve.errors import ApiError
from groundup.serve.schema import CompletionRequest
from groundup.serve.worker import Delta


def asked(request: CompletionRequest, served: Served, grammars: Grammars, seed: int) -> Asked:
    """What the engine is asked for. Raises `ApiError` for tokens that the model has not, and
    `InputError` for what it cannot do."""
    prompts = [_tokens(prompt, served) for prompt in request.prompts]
    sampling = request.sampling(16, seed, request.logprobs, grammars)
    return Asked("cmpl", prompts, request.n, sampling, request.stops)


def _tokens(prompt: str | Sequence[int], served: Served) -> list[int]:
    if isinstance(prompt, str):
        return served.prompt(prompt)
    size = served.model.config.vocab_size
    if any(token >= size for token in prompt):
        raise ApiError(400, f"prompt: tokens are numbers below {size:,}.", param="prompt")
    return list(prompt)


async def answer(
    request: CompletionRequest, served: Served, of: Answer, deltas: AsyncIterator[Delta]
) -> dict[str, Any]:
    """All texts at once."""
    texts = await collect(deltas, len(of.asked.prompts) * request.n)
    choices = [
        {
            "index": index,
            "text": _echo(request, served, index) + text.text,
            "logprobs": _told(text.chosen, served) if request.logprobs is not None else None,
            "finish_reason": text.finish,
        }
        for index, text in enumerate(texts)
    ]
    return {**_head(of), "choices": choices, "usage": of.usage(sum(t.tokens for t in texts))}


async def chunks(
    request: CompletionRequest, served: Served, of: Answer, deltas: AsyncIterator[Delta]
) -> AsyncGenerator[dict[str, Any]]:
    """Texts as they are written."""
    written, told = 0, set()
    async for delta in deltas:
        written += delta.tokens
        text = delta.text
        if request.echo and delta.index not in told:
            text = _echo(request, served, delta.index) + text
        told.add(delta.index)
        logprobs = _told(delta.chosen, served) if request.logprobs is not None else None
        choice = {"index": delta.index, "text": text, "logprobs": logprobs}
        yield {**_head(of), "choices": [{**choice, "finish_reason": delta.finish}]}
    if request.stream_options is not None and request.stream_options.include_usage:
        yield {**_head(of), "choices": [], "usage": of.usage(written)}


def _head(of: Answer) -> dict[str, Any]:
    return {**of.head, "object": "text_completion"}


def _echo(request: CompletionRequest, served: Served, index: int) -> str:
    prompt = request.prompts[index // request.n]
    if not request.echo:
        return ""
    return prompt if isinstance(prompt, str) else served.tokenizer.decode(prompt)


def _told(chosen: Sequence[Chosen], served: Served) -> dict[str, Any]:
    texts = [token_text(served, one.token) for one in chosen]
    return {
        "tokens": texts,
        "token_logprobs": [one.logprob for one in chosen],
        "top_logprobs": [
            {token_text(served, token): logprob for token, logprob in one.likeliest}
            for one in chosen
        ],
        "bytes": [list(served.tokenizer.token_bytes(one.token)) for one in chosen],
    }
