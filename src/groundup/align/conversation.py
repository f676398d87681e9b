"""A conversation as the tokens after which a model is to answer, by the model's own template.

Templates are Jinja, as Hugging Face's tokenizers keep them; they run in Jinja's sandbox. What
people have written stays ordinary text, whatever it holds: special tokens are read in what the
template adds, and nowhere else.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from groundup.core.errors import InputError
from groundup.tokenizers import Tokenizer
from groundup.tokenizers.special import cut_special

Messages = Sequence[Mapping[str, str]]  # each with its role and its content

_CHANGED = (
    "the chat template changes what messages say, so that special tokens in them could not be told "
    "from its own: send the text to /v1/completions."
)

# Characters of Unicode's private use, which stand for a message's content.
_MARK = "\ue000{}\ue001"
_MARKS = re.compile("\ue000([0-9]+)\ue001")


def encode_conversation(
    tokenizer: Tokenizer, template: str, messages: Messages, roles: Mapping[str, str]
) -> list[int]:
    """The tokens of a conversation, and of the beginning of the next answer.

    roles: special tokens that templates know by name, as `bos_token`.
    Raises `InputError` where the template refuses the messages, or changes them so that what is
    whose cannot be told.
    """
    special = tokenizer.special_tokens
    ids: list[int] = []
    ordinary = ""
    for is_special, part in _parts(tokenizer, template, messages, roles):
        if is_special:
            ids += [*_stretch(tokenizer, ordinary, ids), special[part]]
            ordinary = ""
        else:
            ordinary += part
    return [*ids, *_stretch(tokenizer, ordinary, ids)]


def _stretch(tokenizer: Tokenizer, text: str, before: Sequence[int]) -> list[int]:
    return tokenizer.encode_behind(text) if before else tokenizer.encode_ordinary(text)


def _parts(
    tokenizer: Tokenizer, template: str, messages: Messages, roles: Mapping[str, str]
) -> Iterator[tuple[bool, str]]:
    """Special tokens, and ordinary text between them."""
    special = tokenizer.special_tokens.keys()
    contents = [message["content"] for message in messages]
    text = _render(template, messages, roles)
    marked = [{**m, "content": _MARK.format(i)} for i, m in enumerate(messages)]
    pieces = _MARKS.split(_render(template, marked, roles))  # text, number, text, number, …
    filled, at = [pieces[0]], len(pieces[0])
    said = [*zip(pieces[1::2], pieces[2::2], strict=True)]
    for i, (number, behind) in enumerate(said, start=1):
        ways = [way + behind for way in _told(contents[int(number)])]
        fits = [
            way.removesuffix(behind)
            for way in ways
            if (text[at:] == way if i == len(said) else text.startswith(way, at))
        ]
        if len(fits) != 1:  # or one could be taken for another, and what was said for the template
            raise InputError(_CHANGED)
        filled += [fits[0], behind]
        at += len(fits[0]) + len(behind)
    if "".join(filled) != text:
        raise InputError(_CHANGED)
    for i, piece in enumerate(filled):
        if i % 2:
            yield False, piece
        else:
            yield from cut_special(piece, special, "all", ())


def _told(content: str) -> list[str]:
    """What templates write of a message: all of it, or without the white space around it; of an
    answer with thoughts, as Qwen's and DeepSeek's do, what comes behind them."""
    answer = content.rpartition("</think>")[2]
    ways = (content, content.strip(), answer, answer.lstrip("\n"), answer.strip())
    return sorted(dict.fromkeys(ways), key=len, reverse=True)


def _render(template: str, messages: Messages, roles: Mapping[str, str]) -> str:
    try:
        compiled = _compiled(template)
        return compiled.render(messages=list(messages), add_generation_prompt=True, **roles)
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise InputError(f"the chat template refuses these messages: {error}") from error


@lru_cache(maxsize=16)
def _compiled(template: str) -> Template:
    """With what Hugging Face lets templates use (transformers, `chat_template_utils`)."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment.from_string(template)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _refuse(message: Any) -> None:
    raise TemplateError(str(message))
