"""Grammars that are asked for again and again, over the vocabulary of one model."""

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from functools import cached_property
from threading import Lock

from groundup.core.errors import InputError
from groundup.infer.grammar.expression import Grammar
from groundup.infer.grammar.regex import regex_grammar
from groundup.infer.grammar.schema import Schema, json_grammar, object_grammar
from groundup.infer.grammar.tokens import TokenBytes, TokenGrammar
from groundup.tokenizers import Tokenizer

_KEPT = 32
_LONGEST = 1 << 16  # characters of a schema


class Grammars:
    """Keeps those that were asked for last, with what is known of their states.

    May be asked by several threads: each makes another grammar, and those that ask for one that is
    being made wait for it. A `TokenGrammar` is for the engine's thread alone.
    """

    def __init__(self, tokenizer: Tokenizer, size: int, ends: Sequence[int]):
        """size: of the model's vocabulary. ends: tokens that end a text."""
        self._tokenizer, self._size, self._ends = tokenizer, size, ends
        self._known: OrderedDict[Hashable, Future[TokenGrammar]] = OrderedDict()
        self._lock = Lock()

    def regex(self, pattern: str) -> TokenGrammar:
        """Texts that a regular expression matches; `InputError` for what is none."""
        return self._of(("regex", pattern), lambda: regex_grammar(pattern))

    def objects(self) -> TokenGrammar:
        """Objects of JSON."""
        return self._of("objects", object_grammar)

    def schema(self, schema: Schema) -> TokenGrammar:
        """Values that a JSON Schema allows; `InputError` where it cannot be kept to."""
        try:
            key = "schema", json.dumps(schema, ensure_ascii=False)
        except RecursionError as error:
            raise InputError("the schema is nested too deeply: make it simpler.") from error
        if len(key[1]) > _LONGEST:
            raise InputError(f"the schema has more than {_LONGEST:,} characters: make it simpler.")
        return self._of(key, lambda: json_grammar(schema))

    @cached_property
    def _tokens(self) -> TokenBytes:
        return TokenBytes(self._tokenizer, self._size, self._ends)

    def _of(self, key: Hashable, make: Callable[[], Grammar]) -> TokenGrammar:
        with self._lock:
            tokens = self._tokens  # which every grammar needs, and which are made once
            known = key in self._known
            found = self._known.setdefault(key, Future())
            self._known.move_to_end(key)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        if not known:
            try:
                found.set_result(TokenGrammar(make(), tokens))
            except BaseException as error:
                self._forget(key, found)
                found.set_exception(error)
        return found.result()

    def _forget(self, key: Hashable, failed: Future[TokenGrammar]) -> None:
        with self._lock:
            if self._known.get(key) is failed:
                del self._known[key]
