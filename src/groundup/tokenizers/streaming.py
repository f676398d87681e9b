"""Decode tokens one by one without ever showing half a character."""

import codecs

from groundup.tokenizers.tokenizer import Tokenizer


class StreamDecoder:
    """A token may end in the middle of a character; its bytes wait for the next token."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The characters that are complete with this token."""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        """What is left: an unfinished character as U+FFFD."""
        return self._decoder.decode(b"", final=True)
