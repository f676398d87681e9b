"""`tokenizer.json`, the Hugging Face format: `tokenizers` and `transformers` load what we save and
give the same ids, and we load what they save of the kinds that we have."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.core.errors import ArtifactError, InputError
from groundup.core.files import read_json, write_json
from groundup.tokenizers.bpe import BPE, Normalization
from groundup.tokenizers.byte import Bytes
from groundup.tokenizers.byte_alphabet import from_printable, printable
from groundup.tokenizers.merging import Pair
from groundup.tokenizers.patterns import CHARACTER, PATTERNS
from groundup.tokenizers.piece import UNKNOWN, Pieces
from groundup.tokenizers.pre_tokenizer import pattern_of, pre_tokenizer_of
from groundup.tokenizers.sentence_file import read_sentence_pieces, written
from groundup.tokenizers.sentence_pieces import SentencePieces
from groundup.tokenizers.vocabulary import Vocabulary

AnyTokenizer = BPE | Bytes | Pieces | SentencePieces

_ANY_CHARACTER = r"[\s\S]"  # the format's own regular expressions lack (?s:.)
_OFF = {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk"}


@dataclass(frozen=True)
class TokenizerFile:
    """What a tokenizer.json holds.

    before, after: ids that its template puts around a text. `encode` leaves them out: they belong
    to a document, not to a stretch of text. shown: added tokens that are text to a reader, and stay
    where special tokens are skipped.
    """

    tokenizer: AnyTokenizer
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    shown: frozenset[str] = frozenset()


def save_tokenizer(path: Path, tokenizer: AnyTokenizer) -> None:
    """Write the tokenizer as Hugging Face JSON, atomically."""
    save_tokenizer_file(path, TokenizerFile(tokenizer))


def load_tokenizer(path: Path) -> AnyTokenizer:
    """The tokenizer of a tokenizer.json; errors as `load_tokenizer_file`."""
    return load_tokenizer_file(path).tokenizer


def find_tokenizer(path: Path) -> AnyTokenizer:
    """The tokenizer of a tokenizer.json, or of a run's folder. Raises `InputError` where there is
    none."""
    for file in (path, path / "tokenizer" / "tokenizer.json"):
        if file.is_file():
            return load_tokenizer(file)
    raise InputError(
        f"there is no tokenizer {path}: give a tokenizer.json, or the folder of a run that has one."
    )


def save_tokenizer_file(path: Path, file: TokenizerFile) -> None:
    """Write the file, atomically."""
    tokenizer, special = file.tokenizer, file.tokenizer.special_tokens
    document: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added_token(text, token, special=text in special and text not in file.shown)
            for text, token in sorted(_added(tokenizer).items(), key=lambda item: item[1])
        ],
        "post_processor": _template(file),
    }
    sentences = isinstance(tokenizer, SentencePieces)
    document |= written(tokenizer) if sentences else _parts(tokenizer)
    write_json(path, document)


def _added(tokenizer: AnyTokenizer) -> dict[str, int]:
    whole = tokenizer.whole if isinstance(tokenizer, SentencePieces) else {}
    return {**tokenizer.special_tokens, **whole}


def _parts(tokenizer: BPE | Bytes | Pieces) -> dict[str, Any]:
    """The parts of a file that say how text becomes ids and back."""
    pieces = isinstance(tokenizer, Pieces)
    return {
        "normalizer": _normalizer(tokenizer),
        "pre_tokenizer": _pre_tokenizer(tokenizer),
        "decoder": {"type": "Fuse"} if pieces else {**_byte_level(), "use_regex": True},
        "model": _word_level(tokenizer) if pieces else _byte_pairs(tokenizer),
    }


def load_tokenizer_file(path: Path) -> TokenizerFile:
    """Read a file of byte-level BPE (GPT-2, Llama 3, Qwen, DeepSeek and their like), of BPE over
    characters (Llama 2, Mistral, Gemma), of bytes, or of whole pieces, with ids in any order.

    Raises `ArtifactError`, in one sentence, for a damaged file, other kinds, and whatever in the
    file would change the ids in a way that is not supported.
    """
    raw = read_json(path)
    try:
        added = {_text(token["content"]): int(token["id"]) for token in raw["added_tokens"]}
        _check_added(raw["added_tokens"])
        before, after = _around(raw.get("post_processor"), added)
        shown = {token["content"] for token in raw["added_tokens"] if not token["special"]}
        return TokenizerFile(_tokenizer(raw, added), before, after, frozenset(shown))
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{path} is not a tokenizer of a known kind ({error!r}).") from error
    except (InputError, ArtifactError) as error:
        raise ArtifactError(f"{path}: {error}") from error


def _tokenizer(raw: dict[str, Any], added: dict[str, int]) -> AnyTokenizer:
    model = raw["model"]
    ids = {_text(name): int(token) for name, token in model["vocab"].items()}
    if len(set(ids.values())) != len(ids):
        raise ArtifactError("an id stands for two tokens: every token must have its own.")
    if model["type"] == "WordLevel":
        return _pieces(raw, ids, added)
    if model["type"] != "BPE":
        raise ArtifactError(f"a {model['type']} model: only BPE and WordLevel are supported.")
    merges = [_merge(merge, ids) for merge in model["merges"]]
    if model.get("byte_fallback"):
        return read_sentence_pieces(raw, ids, added, merges)
    for option in sorted(_OFF):
        if model.get(option):  # null, false and an empty string all say that an option is off
            raise ArtifactError(f"its model.{option} is of a kind that is not supported.")
    pattern = pattern_of(raw.get("pre_tokenizer"))
    tokens = {token: from_printable(name) for name, token in ids.items() if name not in added}
    normalization = _normalization(raw.get("normalizer"))
    special = sorted(added, key=lambda text: added[text])
    if not merges and pattern == () and normalization is None:
        plain = Bytes(special)
        if plain.vocabulary.ordinary == tokens and plain.special_tokens == added:
            return plain
    return BPE.from_merges(
        Vocabulary(tokens, added),
        merges,
        pattern,
        whole_pieces=bool(model.get("ignore_merges")),
        normalization=normalization,
    )


def _pieces(raw: dict[str, Any], ids: dict[str, int], added: dict[str, int]) -> Pieces:
    names = sorted(ids, key=lambda name: ids[name])
    special = sorted(added, key=lambda text: added[text])
    expression = raw["pre_tokenizer"]["pattern"]["Regex"]
    known = {_ANY_CHARACTER: CHARACTER} | {PATTERNS[name]: name for name in PATTERNS}
    if raw.get("normalizer") or names[:1] != [UNKNOWN] or expression not in known:
        raise ArtifactError("whole pieces of a kind that is not supported.")
    pieces = Pieces(names[1:], known[expression], special)
    ours = {UNKNOWN: 0} | {piece: 1 + i for i, piece in enumerate(pieces.pieces)}
    if ours != ids or dict(pieces.special_tokens) != added:
        raise ArtifactError("whole pieces whose ids are not in order.")
    return pieces


def _check_added(added: Iterable[dict[str, Any]]) -> None:
    for token in added:
        for option in ("single_word", "lstrip", "rstrip"):
            if token.get(option):
                raise ArtifactError(
                    f"the added token {token['content']!r} has {option}, which is not supported."
                )


def _around(processor: dict[str, Any] | None, added: dict[str, int]) -> tuple[Any, Any]:
    """The ids that a template puts before and after a text."""
    if processor is None or processor["type"] == "ByteLevel":
        return (), ()
    if processor["type"] == "Sequence":
        parts = [_around(part, added) for part in processor["processors"]]
        before = tuple(token for part in reversed(parts) for token in part[0])
        return before, tuple(token for part in parts for token in part[1])
    if processor["type"] != "TemplateProcessing":
        raise ArtifactError(f"its post_processor {processor['type']} is not supported.")
    around: tuple[list[int], list[int]] = ([], [])
    side = 0
    for item in processor["single"]:
        if "Sequence" in item:
            side = 1
        else:
            around[side].extend(processor["special_tokens"][item["SpecialToken"]["id"]]["ids"])
    return tuple(around[0]), tuple(around[1])


def _template(file: TokenizerFile) -> dict[str, Any] | None:
    if not file.before and not file.after:
        return None
    texts = {token: text for text, token in file.tokenizer.special_tokens.items()}

    def items(tokens: tuple[int, ...], type_id: int) -> list[dict[str, Any]]:
        return [{"SpecialToken": {"id": texts[token], "type_id": type_id}} for token in tokens]

    def around(name: str, type_id: int) -> list[dict[str, Any]]:
        text = {"Sequence": {"id": name, "type_id": type_id}}
        return [*items(file.before, type_id), text, *items(file.after, type_id)]

    used = sorted({*file.before, *file.after})
    special = {texts[t]: {"id": texts[t], "ids": [t], "tokens": [texts[t]]} for t in used}
    return {
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": [*around("A", 0), *around("B", 1)],
        "special_tokens": special,
    }


def _normalization(normalizer: dict[str, Any] | None) -> Normalization | None:
    if normalizer is None or (normalizer["type"] == "Sequence" and not normalizer["normalizers"]):
        return None
    if normalizer["type"] != "NFC":
        raise ArtifactError(f"its normalizer {normalizer['type']} is not supported.")
    return "NFC"


def _normalizer(tokenizer: BPE | Bytes | Pieces) -> dict[str, Any] | None:
    if isinstance(tokenizer, BPE) and tokenizer.normalization:
        return {"type": tokenizer.normalization}
    return None


def _pre_tokenizer(tokenizer: BPE | Bytes | Pieces) -> dict[str, Any]:
    if isinstance(tokenizer, Pieces):
        name = tokenizer.pattern
        expression = _ANY_CHARACTER if name == CHARACTER else PATTERNS.get(name, name)
        return {
            "type": "Split",
            "pattern": {"Regex": expression},
            "behavior": "Isolated",
            "invert": False,
        }
    return pre_tokenizer_of(() if isinstance(tokenizer, Bytes) else tokenizer.pattern)


def _word_level(tokenizer: Pieces) -> dict[str, Any]:
    vocab = {piece: token for token, piece in enumerate([UNKNOWN, *tokenizer.pieces])}
    return {"type": "WordLevel", "vocab": vocab, "unk_token": UNKNOWN}


def _byte_pairs(tokenizer: BPE | Bytes) -> dict[str, Any]:
    names = {token: printable(text) for token, text in tokenizer.vocabulary.ordinary.items()}
    merges = () if isinstance(tokenizer, Bytes) else tokenizer.merges
    vocab = {name: token for token, name in names.items()}
    special = tokenizer.special_tokens
    if sorted(special.values()) != list(range(len(vocab), len(vocab) + len(special))):
        vocab |= special  # the reader numbers what is not in here on from the vocabulary's size
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": isinstance(tokenizer, BPE) and bool(tokenizer.table.whole),
        "vocab": vocab,
        "merges": [[names[left], names[right]] for left, right in merges],
    }


def _byte_level() -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def _added_token(text: str, token: int, *, special: bool) -> dict[str, Any]:
    return {
        "id": token,
        "content": text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": special,
    }


def _text(content: object) -> str:
    if not isinstance(content, str):
        raise TypeError(f"{content!r} is not a string")
    return content


def _merge(merge: str | list[str], ids: dict[str, int]) -> Pair:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    for name in (left, right):
        if name not in ids:
            raise ArtifactError(f"a merge names the token {name!r}, which does not exist.")
    return ids[left], ids[right]
