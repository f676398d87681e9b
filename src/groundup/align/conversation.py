"""A conversation as the tokens after which a model is to answer, by the model's own template.

Templates are Jinja, as Hugging Face's tokenizers keep them; they run in Jinja's sandbox. What
people have written stays ordinary text, whatever it holds: special tokens are read in what the
template adds, and nowhere else.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from groundup.core.errors import InputError
from groundup.tokenizers import Tokenizer
from groundup.tokenizers.special import cut_special

Messages = Sequence[Mapping[str, str]]  # each with its role and its content

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
            ids += [*tokenizer.encode_ordinary(ordinary), special[part]]
            ordinary = ""
        else:
            ordinary += part
    return [*ids, *tokenizer.encode_ordinary(ordinary)]


def _parts(
    tokenizer: Tokenizer, template: str, messages: Messages, roles: Mapping[str, str]
) -> Iterator[tuple[bool, str]]:
    """Special tokens, and ordinary text between them."""
    special = tokenizer.special_tokens.keys()
    contents = [message["content"] for message in messages]
    text = _render(template, messages, roles)
    marked = [{**m, "content": _MARK.format(i)} for i, m in enumerate(messages)]
    pieces = _MARKS.split(_render(template, marked, roles))  # text, number, text, number, …
    for whose in (contents, [content.strip() for content in contents]):
        filled = [whose[int(p)] if i % 2 else p for i, p in enumerate(pieces)]
        if "".join(filled) == text:
            break
    else:
        raise InputError(
            "the chat template changes what messages say, so that special tokens in them could not "
            "be told from its own: send the text to /v1/completions."
        )
    for i, piece in enumerate(filled):
        if i % 2:
            yield False, piece
        else:
            yield from cut_special(piece, special, "all", ())


def _render(template: str, messages: Messages, roles: Mapping[str, str]) -> str:
    """With what Hugging Face lets templates use (transformers, `chat_template_utils`)."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = datetime.now().strftime
    try:
        compiled = environment.from_string(template)
        return compiled.render(messages=list(messages), add_generation_prompt=True, **roles)
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise InputError(f"the chat template refuses these messages: {error}") from error


def _refuse(message: Any) -> None:
    raise TemplateError(str(message))
