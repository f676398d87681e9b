"""`groundup tokenizer`."""

import hashlib
import json
import sys
import time
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from groundup.cli.corpus import Corpus
    from groundup.tokenizers import AnyTokenizer, PieceCounts

_FREQUENT = 20  # tokens in the table of the most frequent ones
_BPE_SIZE = 4096  # as the main job's
_HELD_OUT = 0.1  # of the bytes
_SAVE_SECONDS = 30.0  # between two writes of the counts
_SIZES = (512, 1024, 4096, 16384, 32768)
_paths = click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


@click.group()
def command() -> None:
    """Train tokenizers, compare them, and see what they make of a text."""


@command.command(
    short_help="Show where the tokens of a text begin and end.",
    epilog="""\b
Examples:
  groundup tokenizer inspect notes.txt --tokenizer runs/quickstart
  groundup tokenizer inspect notes.txt --tokenizer characters --limit 50
  echo "héllo 北京" | groundup tokenizer inspect - --ids""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--tokenizer",
    "name",
    default="bytes",
    show_default=True,
    help="A tokenizer.json, a run's folder, bytes, or characters (those of the text).",
)
@click.option(
    "--limit", type=click.IntRange(min=0), default=500, show_default=True, help="Tokens to show."
)
@click.option("--ids", "ids_only", is_flag=True, help="Print all ids, and nothing else.")
@_json
def inspect(file: Path, name: str, limit: int, ids_only: bool, as_json: bool) -> None:
    """Show where the tokens of FILE begin and end; `-` reads standard input.

    A space is shown as ·, a tab as ⇥, a line's end as ↵, and a part of a character by its bytes,
    as ‹E5›. Special tokens in the text are text like any other, as they are in training.
    """
    from rich.console import Console

    from groundup.report.tokens import frequency_table, has_colors, tokens_text
    from groundup.tokenizers import token_ends

    text = _read_text(file)
    tokenizer = _find_tokenizer(name, text)
    ids, ends = token_ends(tokenizer, text, disallowed_special=frozenset())
    data, frequent = text.encode("utf-8"), _frequent(tokenizer, ids)
    ratio = len(data) / len(ids)
    if as_json:
        facts = {"characters": len(text), "bytes": len(data), "tokens": len(ids)}
        facts |= {"bytes_per_token": ratio, "vocabulary": tokenizer.vocab_size}
        click.echo(json.dumps({**facts, "frequent": frequent, "ids": ids.tolist()}))
    elif ids_only:
        click.echo(" ".join(map(str, ids.tolist())))
    else:
        console = Console(highlight=False)
        bounds = [0, *ends[:limit].tolist()]
        shown = [data[start:end] for start, end in pairwise(bounds)]
        text_shown = tokens_text(shown, color=has_colors(console))
        console.print(text_shown, soft_wrap=True, end="" if text_shown.plain[-1:] == "\n" else "\n")
        if limit < len(ids):
            click.echo(f"… and {len(ids) - limit:,} tokens more: --limit shows more of them.")
        console.print(frequency_table(frequent, len(ids)))
        click.echo(
            f"{len(text):,} characters, {len(data):,} bytes, {len(ids):,} tokens of a vocabulary "
            f"of {tokenizer.vocab_size:,}: {ratio:.2f} bytes per token."
        )


@command.command(
    short_help="Train a tokenizer on files and folders.",
    epilog="""\b
Examples:
  groundup tokenizer train my-documents/ --out tokenizer.json --special '<|endoftext|>'
  groundup tokenizer train a.txt b.jsonl --out words.json --kind words --min-frequency 3
  groundup tokenizer train huge/ --out 32k.json --vocab-size 32768 --counts huge.npz""",
)
@_paths
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The tokenizer.json to write.",
)
@click.option(
    "--kind", type=click.Choice(["bpe", "words", "characters"]), default="bpe", show_default=True
)
@click.option(
    "--vocab-size",
    type=int,
    help=f"Ids, special tokens included. Default: {_BPE_SIZE} for bpe, else as many as there are.",
)
@click.option(
    "--pattern",
    metavar="NAME|REGEX",
    help="How text is cut into words: gpt2, cl100k, qwen2, o200k, or a regular expression that "
    "matches a word, which is slower. Default: cl100k.",
)
@click.option("--special", multiple=True, metavar="TEXT", help="A special token; repeatable.")
@click.option(
    "--min-frequency",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="What occurs less often gets no token of its own.",
)
@click.option("--max-token-length", type=click.IntRange(min=2), help="In bytes; for bpe.")
@click.option(
    "--counts",
    "counts_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the counts of words in this file, so that a killed run goes on where it was, and "
    "another vocabulary of the same files needs no counting; for bpe.",
)
@_json
def train(paths: tuple[Path, ...], out: Path, as_json: bool, **options: Any) -> None:
    """Train a tokenizer on files and folders; the same files give the same tokenizer."""
    from groundup.cli.corpus import Corpus
    from groundup.core.progress import make_console, progress_bar
    from groundup.tokenizers import save_tokenizer

    console = make_console()
    corpus = Corpus(paths)
    tokenizer = _train(corpus, console, **options)
    documents = tokens = size = 0
    with progress_bar(console, "measure", None) as advance:
        for document in corpus.documents(advance):
            documents += 1
            tokens += len(tokenizer.encode_to_numpy([document.text])[0])
            size += document.size
    save_tokenizer(out, tokenizer)
    corpus.say_rejected(console)
    if as_json:
        facts = {"out": str(out), "fingerprint": tokenizer.fingerprint}
        facts |= {"vocabulary": tokenizer.vocab_size, "documents": documents, "bytes": size}
        facts |= {"tokens": tokens, "bytes_per_token": size / tokens}
        click.echo(json.dumps({**facts, "rejected": corpus.rejected}))
    else:
        click.echo(
            f"{out}: a vocabulary of {tokenizer.vocab_size:,}, {size / tokens:.2f} bytes per token "
            f"on the {size:,} bytes that it was trained on."
        )


@command.command(
    short_help="Measure kinds and sizes of tokenizers on held-out text.",
    epilog="""\b
Examples:
  groundup tokenizer compare my-documents/
  groundup tokenizer compare notes.txt --with gpt2/tokenizer.json --out comparison/""",
)
@_paths
@click.option(
    "--with",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Another tokenizer.json, or a run's folder; repeatable.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for comparison.json and a plot, comparison.svg.",
)
@_json
def compare(
    paths: tuple[Path, ...], others: tuple[Path, ...], out: Path | None, as_json: bool
) -> None:
    """Train tokenizers on nine tenths of the text, and measure them on the rest.

    Bytes, characters, words, and byte-pair encodings of the sizes that the text can fill.
    """
    from groundup.cli.corpus import Corpus
    from groundup.core.files import write_json, write_text
    from groundup.core.progress import make_console, progress_bar
    from groundup.report.comparison import comparison_svg, print_comparison
    from groundup.tokenizers import find_tokenizer
    from groundup.tokenizers.comparison import compare_tokenizers

    console = make_console()
    corpus = Corpus(paths)
    given = {str(path): find_tokenizer(path) for path in others}
    with progress_bar(console, "read", None) as advance:
        training, held_out = corpus.split(_HELD_OUT, advance)
    with progress_bar(console, "train and measure", None) as advance:
        result = compare_tokenizers(training, held_out, _SIZES, given, advance)
    result["rejected"] = corpus.rejected
    corpus.say_rejected(console)
    if out is not None:
        write_json(out / "comparison.json", result)
        write_text(out / "comparison.svg", comparison_svg(result))
    if as_json:
        click.echo(json.dumps(result))
        return
    print_comparison(result)
    if out is not None:
        click.echo(f"The plot: {out / 'comparison.svg'}")


def _read_text(file: Path) -> str:
    """The file, or standard input, as text. Raises `InputError` where it is none, or empty."""
    from groundup.core.errors import InputError

    name = "standard input" if str(file) == "-" else str(file)
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    if not data:
        raise InputError(f"{name} is empty: there are no tokens to show.")
    if b"\0" in data:
        raise InputError(f"{name} is binary, or not in UTF-8: it holds NUL bytes.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not valid UTF-8 at byte {error.start} (0x{data[error.start]:02X}): convert "
            "it first."
        ) from error


def _find_tokenizer(name: str, text: str) -> "AnyTokenizer":
    """The tokenizer of that name, which may be made for `text`, or that is stored there."""
    from groundup.tokenizers import Bytes, find_tokenizer, train_pieces
    from groundup.tokenizers.patterns import CHARACTER

    if name == "bytes":
        return Bytes()
    if name == "characters":
        return train_pieces([text], pattern=CHARACTER)[0]
    return find_tokenizer(Path(name))


def _frequent(tokenizer: "AnyTokenizer", ids: "NDArray[np.uint32]") -> list[dict[str, Any]]:
    """The most frequent tokens; of equally frequent ones, the lower id first."""
    import numpy as np

    from groundup.report.tokens import token_text

    distinct, counts = np.unique(ids, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_FREQUENT]
    rows = []
    for token, times in zip(distinct[most].tolist(), counts[most].tolist(), strict=True):
        content = tokenizer.token_bytes(token)
        rows.append(
            {"id": token, "times": times, "bytes": content.hex(" "), "text": token_text(content)}
        )
    return rows


def _train(
    corpus: "Corpus",
    console: "Console",
    *,
    kind: str,
    vocab_size: int | None,
    pattern: str | None,
    special: tuple[str, ...],
    min_frequency: int,
    max_token_length: int | None,
    counts_file: Path | None,
) -> "AnyTokenizer":
    from groundup.core.progress import progress_bar
    from groundup.tokenizers import train_bpe, train_pieces
    from groundup.tokenizers.patterns import CHARACTER

    if kind == "characters" and pattern:
        raise click.UsageError("--pattern cuts words: --kind characters has none.")
    if kind != "bpe" and max_token_length:
        raise click.UsageError("--max-token-length is for --kind bpe.")
    if kind != "bpe" and counts_file:
        raise click.UsageError("--counts is for --kind bpe.")
    pattern = pattern or "cl100k"
    if kind != "bpe":
        with progress_bar(console, "read", None) as advance:
            return train_pieces(
                corpus.texts(advance),
                pattern=CHARACTER if kind == "characters" else pattern,
                vocab_size=vocab_size,
                min_frequency=min_frequency,
                special_tokens=special,
            )[0]
    with progress_bar(console, "read", None) as advance:
        counts = _count(corpus.texts(advance), pattern, special, counts_file)
    if counts.too_low:
        console.print(
            f"the rarest words were dropped to save memory: counts are up to {counts.too_low:,} "
            "too low.",
            soft_wrap=True,
        )
    vocab_size = _BPE_SIZE if vocab_size is None else vocab_size
    with progress_bar(console, "merge", vocab_size - 256 - len(special)) as advance:
        return train_bpe(
            counts,
            vocab_size=vocab_size,
            min_frequency=min_frequency,
            max_token_length=max_token_length,
            progress=advance,
        )


def _count(
    texts: "Iterator[str]", pattern: str, special: tuple[str, ...], file: Path | None
) -> "PieceCounts":
    """The counts of the texts' pieces; from `file` as far as it has them.

    Raises `InputError` where the file has those of other texts, or of another pattern.
    """
    from groundup.core.errors import InputError
    from groundup.tokenizers import PieceCounts

    counts = PieceCounts(pattern, special)
    if file is None:
        counts.add(texts)
        return counts
    if file.exists():
        counts = PieceCounts.load(file)
    if (counts.pattern, counts.special_tokens) != (pattern, special):
        raise InputError(
            f"{file} has counts for another --pattern or --special: give another file."
        )
    seen = _digest("", islice(texts, counts.documents))
    if counts.corpus not in ("", seen):
        raise InputError(f"{file} has counts of other text: give another file.")
    saved = time.monotonic()
    for some in _portions(texts):
        counts.add(some)
        counts.corpus = _digest(counts.corpus, some)
        if time.monotonic() - saved > _SAVE_SECONDS:
            counts.save(file)
            saved = time.monotonic()
    counts.save(file)
    return counts


def _portions(texts: "Iterator[str]") -> "Iterator[list[str]]":
    """The texts, many at a time. Where one portion ends depends on nothing but the texts."""
    from groundup.tokenizers.piece_counts import AT_ONCE

    portion, characters = [], 0
    for text in texts:
        portion.append(text)
        characters += len(text)
        if characters >= AT_ONCE:
            yield portion
            portion, characters = [], 0
    if portion:
        yield portion


def _digest(before: str, texts: "Iterable[str]") -> str:
    """A digest of the texts behind those that have the digest `before`."""
    for text in texts:
        content = before.encode() + text.encode("utf-8", "surrogatepass")
        before = hashlib.blake2b(content, digest_size=16).hexdigest()
    return before
