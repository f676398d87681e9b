"""The user's own examples for fine-tuning, as JSON lines.

A line is `{"prompt": …, "completion": …}` or `{"messages": [{"role": "user", "content": …},
{"role": "assistant", "content": …}]}`. The whole line is the problem that a verifier sees.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groundup.align.pairs import Pair
from groundup.core.errors import InputError


def read_examples(path: Path) -> list[Pair]:
    """All examples of the file. Raises `InputError` with the first line that is malformed."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: --chat takes a file of JSON lines.")
    pairs = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip():
            pairs.append(_example(line, f"{path}, line {number}"))
    if len(pairs) < 2:
        raise InputError(
            f"{path} holds {len(pairs)} examples: two are needed at least, one to test with."
        )
    return pairs


def split_examples(pairs: Sequence[Pair], share: float) -> tuple[list[Pair], list[Pair]]:
    """Training and held-out examples; equal prompts fall on the same side.

    At least one prompt is held out. Raises `InputError` where there is only one prompt.
    """
    by_hash = sorted(pairs, key=lambda pair: hashlib.sha256(pair.prompt.encode()).digest())
    prompts = list(dict.fromkeys(pair.prompt for pair in by_hash))
    if len(prompts) < 2:
        raise InputError("all examples have the same prompt: at least two are needed.")
    held_out = set(prompts[: max(1, round(share * len(prompts)))])
    return (
        [pair for pair in pairs if pair.prompt not in held_out],
        [pair for pair in by_hash if pair.prompt in held_out],
    )


def _example(line: bytes, where: str) -> Pair:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where} is not JSON ({error}).") from error
    if not isinstance(record, dict):
        raise InputError(f"{where} is not a JSON object.")
    prompt, completion = _turns(record, where)
    if not prompt or not completion:
        raise InputError(f"{where} has an empty prompt or an empty answer.")
    return Pair(prompt=prompt, completion=completion, problem=record)


def _turns(record: dict[str, Any], where: str) -> tuple[str, str]:
    if "messages" in record:
        messages = record["messages"]
        roles = [m.get("role") for m in messages] if isinstance(messages, list) else []
        if roles != ["user", "assistant"]:
            raise InputError(f"{where}: messages must be one of a user and one of an assistant.")
        values = [message.get("content") for message in messages]
    else:
        values = [record.get("prompt"), record.get("completion")]
    prompt, completion = values
    if not isinstance(prompt, str) or not isinstance(completion, str):
        raise InputError(f"{where} has neither prompt and completion nor messages as text.")
    return prompt, completion
