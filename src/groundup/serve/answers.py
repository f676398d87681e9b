"""What both kinds of answers are made of."""

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundup.infer import Sampling
from groundup.infer.sequence import Chosen
from groundup.loading import Served
from groundup.serve.worker import Delta


@dataclass(frozen=True)
class Asked:
    """kind: what the answer's name begins with. field: of the request, in which the prompts are.
    n: texts of each prompt."""

    kind: str
    field: str
    prompts: Sequence[Sequence[int]]
    n: int
    sampling: Sampling
    stop: Sequence[str]


class Answer:
    """One request's: what stands in each of its objects, and how many tokens there were."""

    def __init__(self, asked: Asked, model: str):
        self.asked = asked
        self.head: dict[str, Any] = {
            "id": f"{asked.kind}-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def usage(self, written: int) -> dict[str, int]:
        """A prompt is counted once, however many texts continue it."""
        read = sum(map(len, self.asked.prompts))
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


@dataclass
class Text:
    """A whole one."""

    text: str = ""
    tokens: int = 0
    chosen: list[Chosen] = field(default_factory=list)
    finish: str | None = None


async def collect(deltas: AsyncIterator[Delta], count: int) -> list[Text]:
    """The whole texts, in order."""
    texts = [Text() for _ in range(count)]
    async for delta in deltas:
        text = texts[delta.index]
        text.text += delta.text
        text.tokens += delta.tokens
        text.chosen += delta.chosen
        text.finish = delta.finish
    return texts


def token_text(served: Served, token: int) -> str:
    """A token as text; half a character is U+FFFD."""
    return served.tokenizer.token_bytes(token).decode("utf-8", errors="replace")
