"""`/v1/completions`: texts that are continued."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from groundup.infer.grammar import Grammars
from groundup.infer.sequence import Chosen
from groundup.loading import Served
from groundup.serve.answers import Answer, Asked, collect
from groundup.serve.errors import ApiError
from groundup.serve.schema import CompletionRequest
from groundup.serve.worker import Delta
from groundup.tokenizers import StreamDecoder


def asked(request: CompletionRequest, served: Served, grammars: Grammars, seed: int) -> Asked:
    """What the engine is asked for. Raises `ApiError` for tokens that the model has not, and
    `InputError` for what it cannot do, or tell."""
    prompts = [_tokens(prompt, served) for prompt in request.prompts]
    for index in range(len(prompts)):  # the tokenizer may have fewer tokens than the model
        _echo(request, served, index * request.n)
    sampling = request.sampling(16, seed, request.logprobs, grammars)
    return Asked("cmpl", "prompt", prompts, request.n, sampling, request.stops)


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
    texts = await collect(deltas, request.texts)
    choices = [
        {
            "index": index,
            "text": _echo(request, served, index) + text.text,
            "logprobs": _Told(served)(text.chosen) if request.logprobs is not None else None,
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
    head = {**_head(of), **request.no_usage}
    tells = [_Told(served) for _ in range(request.texts)]
    async for delta in deltas:
        written += delta.tokens
        text = delta.text
        if request.echo and delta.index not in told:
            text = _echo(request, served, delta.index) + text
        told.add(delta.index)
        logprobs = tells[delta.index](delta.chosen) if request.logprobs is not None else None
        choice = {"index": delta.index, "text": text, "logprobs": logprobs}
        yield {**head, "choices": [{**choice, "finish_reason": delta.finish}]}
    if request.tells_usage:
        yield {**_head(of), "choices": [], "usage": of.usage(written)}


def _head(of: Answer) -> dict[str, Any]:
    return {**of.head, "object": "text_completion"}


def _echo(request: CompletionRequest, served: Served, index: int) -> str:
    prompt = request.prompts[index // request.n]
    if not request.echo:
        return ""
    return prompt if isinstance(prompt, str) else served.tokenizer.decode(prompt)


class _Told:
    """The tokens of one text, piece by piece, and where in what is written each of them begins, in
    characters: one that several tokens make up is there with the last of them."""

    def __init__(self, served: Served):
        self._tokenizer = served.tokenizer
        self._decoder, self._at = StreamDecoder(served.tokenizer), 0

    def __call__(self, chosen: Sequence[Chosen]) -> dict[str, Any]:
        return {
            "tokens": [self._text(one.token) for one in chosen],
            "token_logprobs": [one.logprob for one in chosen],
            "top_logprobs": [self._likeliest(one) for one in chosen],
            "text_offset": [self._offset(one.token) for one in chosen],
            # Not OpenAI's: the pages put characters together of several tokens.
            "bytes": [list(self._tokenizer.token_bytes(one.token)) for one in chosen],
        }

    def _offset(self, token: int) -> int:
        before, whole = self._at, _whole(self._tokenizer.token_bytes(token))
        self._at += len(self._decoder.push(token))
        # What was left unfinished before it becomes U+FFFD, behind which the token begins.
        return before if whole is None else self._at - len(whole)

    def _likeliest(self, one: Chosen) -> dict[str, float]:
        """By their texts; of tokens that look the same the likeliest."""
        found: dict[str, float] = {}
        for token, logprob in one.likeliest:
            found.setdefault(self._text(token), logprob)
        return found

    def _text(self, token: int) -> str:
        """As OpenAI spells it: what is no UTF-8 by its bytes."""
        raw = self._tokenizer.token_bytes(token)
        whole = _whole(raw)
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw) if whole is None else whole


def _whole(raw: bytes) -> str | None:
    """The text of bytes; None for halves of characters."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
