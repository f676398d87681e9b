"""Text ↔ token ids. One protocol; byte-pair encoding, its training, and the Hugging Face format."""

from groundup.tokenizers.bpe import BPE
from groundup.tokenizers.bpe_training import train_bpe
from groundup.tokenizers.huggingface import load_tokenizer, save_tokenizer
from groundup.tokenizers.streaming import StreamDecoder
from groundup.tokenizers.tokenizer import Tokenizer

__all__ = ["BPE", "StreamDecoder", "Tokenizer", "load_tokenizer", "save_tokenizer", "train_bpe"]
