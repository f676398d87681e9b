"""`groundup bench`."""

import click

from groundup.cli.lazy_group import LazyGroup

_COMMANDS = {
    "train": "Training throughput at nanoGPT's shape.",
    "learn": "What a time teaches: our recipe and nanoGPT's, on the same tokens.",
    "data": "Opening a billion tokens and reading batches of them.",
    "curate": "Curation: main text, near-duplicates, classifiers, masks, the whole pipeline.",
    "crawl": "Make a crawl around texts, to see what curation is worth.",
    "tokenizer": "Encoding, decoding and training tokenizers.",
    "ngram": "Training a 5-gram and scoring with it.",
    "models": "A forward pass of each decoder.",
    "optimizers": "A step of each optimizer.",
    "kernels": "Fused operations.",
    "parallel": "Training steps of several processes, what they send, and how fast.",
    "inference": "Generation: alone, together, prompts, and requests that come one by one.",
    "serving": "The server under load.",
}


@click.group(cls=LazyGroup, summaries=_COMMANDS, prefix="bench_")
def command() -> None:
    """Measure this machine and groundup, side by side with its peers."""
