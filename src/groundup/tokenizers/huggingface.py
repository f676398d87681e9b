"""`tokenizer.json`, the Hugging Face format: `tokenizers` and `transformers` load what we save and
give the same ids.

The format stores bytes as printable characters, by GPT-2's table: printable Latin-1 characters
stand for themselves, the 68 others for U+0100 and on.
"""

from pathlib import Path
from typing import Any

from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import read_json, write_json
from groundup.tokenizers.bpe import BPE, Pair
from groundup.tokenizers.byte import Bytes
from groundup.tokenizers.patterns import CHARACTER, PATTERNS
from groundup.tokenizers.piece import UNKNOWN, Pieces

AnyTokenizer = BPE | Bytes | Pieces

_REGEX = {**PATTERNS, CHARACTER: r"[\s\S]"}  # the format's own regular expressions lack (?s:.)


def save_tokenizer(path: Path, tokenizer: AnyTokenizer) -> None:
    """Write the tokenizer as Hugging Face JSON, atomically."""
    write_json(path, _document(tokenizer))


def load_tokenizer(path: Path) -> AnyTokenizer:
    """Read a tokenizer that `save_tokenizer` wrote, or another of the same arrangement.

    Ids must be the bytes in order, the merges in order, the special tokens (of the other kinds: as
    the kind arranges them); and nothing else in the file may change the ids (a normalizer, a
    template around the text). Raises `ArtifactError`, in one sentence, for anything else.
    """
    raw = read_json(path)
    try:
        special = sorted(raw["added_tokens"], key=lambda token: token["id"])
        tokenizer = _read(path, raw, [_text(token["content"]) for token in special])
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ArtifactError(f"{path} is not a tokenizer of a known kind ({error!r}).") from error
    except InputError as error:
        raise ArtifactError(f"{path}: {error}") from error
    _check(path, {**raw, "added_tokens": special}, _document(tokenizer))
    return tokenizer


def _read(path: Path, raw: dict[str, Any], special: list[str]) -> AnyTokenizer:
    """The tokenizer that the file's vocabulary and merges describe; the rest is not looked at."""
    model = raw["model"]
    kind, ids = model["type"], dict(model["vocab"])
    if kind == "WordLevel":
        pieces = [_text(piece) for piece in sorted(ids, key=lambda piece: ids[piece])]
        return Pieces(pieces[1:], _pattern(raw["pre_tokenizer"]), special)
    if kind != "BPE":
        raise ArtifactError(f"{path} holds a {kind} model: only BPE and WordLevel are supported.")
    if raw["pre_tokenizer"]["type"] == "ByteLevel" and not model["merges"]:
        return Bytes(special)
    merges = [_merge(path, merge, ids) for merge in model["merges"]]
    return BPE.learned(merges, _pattern(raw["pre_tokenizer"]["pretokenizers"][0]), special)


def _check(path: Path, raw: dict[str, Any], expected: dict[str, Any]) -> None:
    """Refuse a file in which anything that decides the ids differs from what we would write."""
    ids, ours = raw["model"]["vocab"], expected["model"]["vocab"]
    for name in [*ours, *ids]:
        if ids.get(name) != ours.get(name):
            raise ArtifactError(
                f"{path}: the token {name!r} has the id {ids.get(name)}, where its "
                f"kind's order gives {ours.get(name)}; other arrangements are not supported."
            )
    if [t["id"] for t in raw["added_tokens"]] != [t["id"] for t in expected["added_tokens"]]:
        raise ArtifactError(f"{path}: the special tokens must have the last ids, without holes.")
    for part in ("normalizer", "pre_tokenizer", "post_processor", "added_tokens"):
        if raw.get(part) != expected[part]:
            raise ArtifactError(f"{path}: its {part} is of a kind that is not supported.")
    for option in sorted(expected["model"].keys() - {"vocab", "merges"}):
        # null, false and an empty string all say that an option is off
        if (raw["model"].get(option) or None) != (expected["model"][option] or None):
            raise ArtifactError(f"{path}: its model.{option} is of a kind that is not supported.")


def _document(tokenizer: AnyTokenizer) -> dict[str, Any]:
    """The whole file as a JSON value."""
    special = tokenizer.special_tokens.items()
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(text, token) for text, token in special],
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(tokenizer),
        "post_processor": None,
        "decoder": {"type": "Fuse"}
        if isinstance(tokenizer, Pieces)
        else {**_byte_level(), "use_regex": True},
        "model": _model(tokenizer),
    }


def _pre_tokenizer(tokenizer: AnyTokenizer) -> dict[str, Any]:
    as_bytes = {**_byte_level(), "use_regex": False}
    if isinstance(tokenizer, Bytes):
        return as_bytes
    split = {
        "type": "Split",
        "pattern": {"Regex": _REGEX[tokenizer.pattern]},
        "behavior": "Isolated",
        "invert": False,
    }
    if isinstance(tokenizer, Pieces):
        return split
    return {"type": "Sequence", "pretokenizers": [split, as_bytes]}


def _model(tokenizer: AnyTokenizer) -> dict[str, Any]:
    if isinstance(tokenizer, Pieces):
        vocab = {piece: token for token, piece in enumerate([UNKNOWN, *tokenizer.pieces])}
        return {"type": "WordLevel", "vocab": vocab, "unk_token": UNKNOWN}
    merges = () if isinstance(tokenizer, Bytes) else tokenizer.merges
    names = [_printable(content) for content in tokenizer.vocabulary.ordinary.values()]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {name: token for token, name in enumerate(names)},
        "merges": [[names[left], names[right]] for left, right in merges],
    }


def _byte_level() -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def _added_token(text: str, token: int) -> dict[str, Any]:
    return {
        "id": token,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _pattern(split: dict[str, Any]) -> str:
    expression = split["pattern"]["Regex"]
    for name, known in _REGEX.items():
        if known == expression:
            return name
    raise ValueError(f"unknown pattern {expression}")


def _text(content: object) -> str:
    if not isinstance(content, str):
        raise TypeError(f"the special token {content!r} is not a string")
    return content


def _merge(path: Path, merge: str | list[str], ids: dict[str, int]) -> Pair:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    for name in (left, right):
        if name not in ids:
            raise ArtifactError(f"{path}: a merge names the token {name!r}, which does not exist.")
    return ids[left], ids[right]


def _printable(token: bytes) -> str:
    return token.decode("latin-1").translate(_PRINTABLE)


def _printable_table() -> dict[int, int]:
    """GPT-2's table, of the bytes that are not printable as they are."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in printable]
    return {byte: 0x100 + i for i, byte in enumerate(hidden)}


_PRINTABLE = _printable_table()
