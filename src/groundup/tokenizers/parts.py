"""A long text in parts that can be encoded apart, so that a file need not fit into memory."""

from collections.abc import Iterator
from typing import TextIO

from groundup.tokenizers.bpe import BPE
from groundup.tokenizers.patterns import CHARACTER, PATTERNS
from groundup.tokenizers.piece import Pieces
from groundup.tokenizers.sentence_pieces import SentencePieces
from groundup.tokenizers.tokenizer import Tokenizer

_PART = 1 << 20  # characters


def text_parts(file: TextIO, tokenizer: Tokenizer, size: int = _PART) -> Iterator[str]:
    """Stretches of about `size` characters, whose ids are together those of the whole text.

    A cut is before a space that follows a visible ASCII character: every published pattern cuts
    there, whatever is on the other side. A text without such a place, and one for a pattern of the
    user's own, stays whole.
    """
    if not _may_be_cut(tokenizer):
        yield file.read()
        return
    waiting: list[str] = []
    while chunk := file.read(size):
        cut = _last_cut(chunk)
        if cut == 0:
            waiting.append(chunk)
            continue
        yield "".join([*waiting, chunk[:cut]])
        waiting = [chunk[cut:]]
    if rest := "".join(waiting):
        yield rest


def _may_be_cut(tokenizer: Tokenizer) -> bool:
    if isinstance(tokenizer, SentencePieces):  # a part begins otherwise than a whole does
        return False
    if isinstance(tokenizer, BPE | Pieces):
        return tokenizer.pattern in (*PATTERNS, CHARACTER)
    return True


def _last_cut(text: str) -> int:
    """Where the last cut in `text` is, or 0."""
    at = text.rfind(" ")
    while at > 0 and not "!" <= text[at - 1] <= "~":
        at = text.rfind(" ", 0, at)
    return max(at, 0)
