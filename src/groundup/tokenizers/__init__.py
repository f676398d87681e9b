"""Text ↔ token ids. One protocol; characters, bytes, words and byte-pair encoding; its training,
and the Hugging Face format."""

from groundup.tokenizers.bpe import BPE
from groundup.tokenizers.bpe_training import train_bpe
from groundup.tokenizers.byte import Bytes
from groundup.tokenizers.huggingface import (
    AnyTokenizer,
    find_tokenizer,
    load_tokenizer,
    save_tokenizer,
)
from groundup.tokenizers.piece import Pieces, Rarity, train_pieces
from groundup.tokenizers.piece_counts import PieceCounts
from groundup.tokenizers.pretrained import Pretrained, load_pretrained, save_pretrained
from groundup.tokenizers.published import load_encoding
from groundup.tokenizers.spans import TokenSpan, token_ends, token_spans
from groundup.tokenizers.streaming import StreamDecoder
from groundup.tokenizers.tokenizer import Tokenizer

__all__ = [
    "BPE",
    "AnyTokenizer",
    "Bytes",
    "PieceCounts",
    "Pieces",
    "Pretrained",
    "Rarity",
    "StreamDecoder",
    "TokenSpan",
    "Tokenizer",
    "find_tokenizer",
    "load_encoding",
    "load_pretrained",
    "load_tokenizer",
    "save_pretrained",
    "save_tokenizer",
    "token_ends",
    "token_spans",
    "train_bpe",
    "train_pieces",
]
