"""The older forms in which BPE vocabularies are published: tiktoken's rank files, and GPT-2's
vocab.json with merges.txt."""

import base64
import binascii
from collections.abc import Callable, Mapping
from pathlib import Path

from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import read_json, write_bytes, write_json
from groundup.tokenizers.bpe import BPE
from groundup.tokenizers.byte_alphabet import from_printable, printable
from groundup.tokenizers.split import Pattern
from groundup.tokenizers.vocabulary import Vocabulary


def load_ranks(path: Path, pattern: Pattern, special: Mapping[str, int]) -> BPE:
    """tiktoken's file: a line a token, its bytes in base64 and its rank, which is its id.

    The file has neither the pattern nor the special tokens. Raises `ArtifactError` for a line of
    another form, and what `BPE.from_ranks` refuses.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(_lines(path), 1):
        if not line:
            continue
        try:
            token, rank = line.split()
            content = base64.b64decode(token, validate=True)
            if content in ranks:
                raise ValueError("a token that was there before")
            ranks[content] = int(rank)
        except (ValueError, binascii.Error) as error:
            where = f"{path}, line {number}"
            raise ArtifactError(f"{where}: {line[:40]!r} is no rank ({error}).") from error
    return _built(path, lambda: BPE.from_ranks(ranks, pattern, special))


# tiktoken's encodings, by the names of their files: their patterns and special tokens.
_ENCODINGS: dict[str, tuple[Pattern, dict[str, int]]] = {
    "r50k_base": ("gpt2", {"<|endoftext|>": 50256}),
    "p50k_base": ("gpt2", {"<|endoftext|>": 50256}),
    "cl100k_base": (
        "cl100k",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": ("o200k", {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}),
}


def load_encoding(path: Path) -> BPE:
    """One of tiktoken's encodings from its file, which is named after it: `cl100k_base.tiktoken`.

    Raises `ArtifactError` as `load_ranks` does, and for other names.
    """
    if path.stem not in _ENCODINGS:
        names = ", ".join(_ENCODINGS)
        raise ArtifactError(f"{path} is named after none of tiktoken's encodings: {names}.")
    return load_ranks(path, *_ENCODINGS[path.stem])


def save_ranks(path: Path, tokenizer: BPE) -> None:
    """Write the tokens as tiktoken's file, atomically.

    Raises `InputError` for a tokenizer whose merges do not come in the order of their ids: ranks
    could not tell their order.
    """
    made = [token for _, token in tokenizer.table.merges.values()]
    if made != sorted(made):
        raise InputError("the merges are not in the order of their ids, as ranks must be.")
    lines = [
        f"{base64.b64encode(content).decode()} {token}\n"
        for token, content in tokenizer.vocabulary.ordinary.items()
    ]
    write_bytes(path, "".join(lines).encode())


def load_vocab_and_merges(vocab: Path, merges: Path, pattern: Pattern = "gpt2") -> BPE:
    """GPT-2's two files: ids by token, in the alphabet of bytes, and a merge a line.

    Tokens that are neither bytes nor made by a merge are special: no text becomes them. Raises
    `ArtifactError` for a line of another form, and what `BPE.from_merges` refuses.
    """
    ids = read_json(vocab)
    if not isinstance(ids, dict) or not all(isinstance(token, int) for token in ids.values()):
        raise ArtifactError(f"{vocab} does not map tokens to ids.")
    pairs: list[tuple[str, str]] = []
    for number, line in enumerate(_lines(merges), 1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        names = line.split(" ")
        unknown = [name for name in names if name not in ids]
        if len(names) != 2 or unknown:
            raise ArtifactError(
                f"{merges}, line {number}: {line[:40]!r} does not name two tokens of {vocab.name}."
            )
        pairs.append((names[0], names[1]))
    made = {left + right for left, right in pairs}
    ordinary = {name for name in ids if name in made or len(name) == 1}
    special = {name: token for name, token in ids.items() if name not in ordinary}
    tokens = {ids[name]: from_printable(name) for name in ordinary}
    return _built(
        merges,
        lambda: BPE.from_merges(
            Vocabulary(tokens, special), [(ids[left], ids[right]) for left, right in pairs], pattern
        ),
    )


def save_vocab_and_merges(vocab: Path, merges: Path, tokenizer: BPE) -> None:
    """Write GPT-2's two files, each atomically. Raises `InputError` where whole pieces become ids
    without merging, which the files cannot say."""
    if tokenizer.table.whole:
        raise InputError("vocab.json and merges.txt cannot say that whole pieces become ids.")
    names = {token: printable(text) for token, text in tokenizer.vocabulary.ordinary.items()}
    lines = [f"{names[left]} {names[right]}\n" for left, right in tokenizer.merges]
    special = dict(tokenizer.special_tokens)
    write_json(vocab, {name: token for token, name in names.items()} | special)
    write_bytes(merges, ("#version: 0.2\n" + "".join(lines)).encode("utf-8"))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path} is not text ({error.reason}).") from error


def _built(path: Path, build: Callable[[], BPE]) -> BPE:
    try:
        return build()
    except InputError as error:
        raise ArtifactError(f"{path}: {error}") from error
