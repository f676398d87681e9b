"""Special tokens in text: which are turned into their ids, and which are refused."""

from collections.abc import Collection, Iterator, Set
from functools import lru_cache
from typing import Literal

import regex

from groundup.core.errors import InputError

SpecialChoice = (
    Collection[str] | Literal["all"]
)  # some special tokens, by their texts, or all of them


def special_pattern(tokens: Collection[str]) -> regex.Pattern[str]:
    """Splits text at special tokens and keeps them; the longest match wins.

    Raises `InputError` for a token that is empty, occurs twice or holds a lone surrogate.
    """
    if len(set(tokens)) != len(tokens) or "" in tokens:
        raise InputError("special tokens must differ from each other and must not be empty.")
    if any("\ud800" <= character <= "\udfff" for token in tokens for character in token):
        raise InputError("a special token holds a lone surrogate, which is no character.")
    longest_first = sorted(tokens, key=len, reverse=True)
    return regex.compile("(" + "|".join(map(regex.escape, longest_first)) + ")")


@lru_cache(maxsize=64)
def _pattern(tokens: frozenset[str]) -> regex.Pattern[str]:
    """The same, made once: a text may be cut in many parts."""
    return special_pattern(tokens)


def cut_special(
    text: str, special: Set[str], allowed: SpecialChoice, disallowed: SpecialChoice
) -> Iterator[tuple[bool, str]]:
    """The parts of `text` in order, each with whether it is a special token.

    special: all that the tokenizer has. allowed: those that are cut out. disallowed: those that
    must not occur in the text; "all" means all that are not allowed. A special token that is
    neither is ordinary text.

    Raises `InputError` for a choice that is not a special token, and for a disallowed one in the
    text.
    """
    chosen = special if allowed == "all" else frozenset(allowed)
    refused = frozenset(special - chosen) if disallowed == "all" else frozenset(disallowed)
    if unknown := sorted((chosen | refused) - special):
        raise InputError(f"{unknown[0]!r} is not a special token: {sorted(special)} are.")
    if refused and (found := _pattern(refused).search(text)):
        raise InputError(
            f"the text holds the special token {found[0]!r}: allow it (allowed_special), or let it "
            "be ordinary text (disallowed_special=())."
        )
    if not chosen:
        yield False, text
        return
    for index, part in enumerate(_pattern(frozenset(chosen)).split(text)):
        if part:
            yield index % 2 == 1, part
