"""From tokens to text as it is written: whole characters, up to a string that ends it."""

from collections.abc import Sequence

from groundup.core.errors import InputError
from groundup.tokenizers import StreamDecoder, Tokenizer


class Writer:
    """Text of tokens that come one by one.

    What may be the beginning of a stop string is held back until it is known not to be one. So
    nothing that is told is ever taken back, and no stop string is told, wherever tokens end in it.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()):
        """stop: strings, before the first of which the text ends."""
        if not all(stop):
            raise InputError("a stop string is empty: it would end every text at once.")
        self._decoder = StreamDecoder(tokenizer)
        self._stop = stop
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """What is certain with this token. After a stop string, nothing more."""
        return self._tell(self._decoder.push(token))

    def finish(self) -> str:
        """What was held back, when no more tokens come; an unfinished character as U+FFFD."""
        told = self._tell(self._decoder.finish())
        if self.stopped:
            return told
        held, self._held = self._held, ""
        return told + held

    def _tell(self, text: str) -> str:
        if self.stopped:
            return ""
        self._held += text
        found = [(at + len(s), at) for s in self._stop if (at := self._held.find(s)) >= 0]
        if found:  # the one that is complete first, as if characters came one by one
            told, self._held, self.stopped = self._held[: min(found)[1]], "", True
            return told
        keep = max((_begun(self._held, stop) for stop in self._stop), default=0)
        told = self._held[: len(self._held) - keep]
        self._held = self._held[len(told) :]
        return told


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of the text are the beginning of a stop string."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
