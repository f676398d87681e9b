"""How a `tokenizer.json` holds `SentencePieces`: as BPE with `byte_fallback`, whose normalizer or
pre-tokenizer writes ▁ for spaces."""

from collections.abc import Mapping, Sequence
from typing import Any

from groundup.core.errors import ArtifactError
from groundup.tokenizers.merging import Pair
from groundup.tokenizers.sentence_pieces import SPACE, Prefix, SentencePieces

_OFF = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")
_REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
_PREPEND = {"type": "Prepend", "prepend": SPACE}
# It cuts behind spaces, of which none are left.
_GEMMA = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious"}
_SCHEMES: dict[str, Prefix] = {"always": "missing", "first": "first", "never": "never"}


def read_sentence_pieces(
    raw: Mapping[str, Any],
    ids: Mapping[str, int],
    added: Mapping[str, int],
    merges: Sequence[Pair],
) -> SentencePieces:
    """ids: of all tokens, by their names; added: of those that are special. Raises `ArtifactError`
    for whatever would change the ids in a way that is not supported."""
    for option in _OFF:
        if raw["model"].get(option):
            raise ArtifactError(f"its model.{option} is of a kind that is not supported.")
    # Some have a character in the place of its byte.
    byte_ids = [ids.get(_byte(b), ids.get(chr(b), -1) if b < 0x80 else -1) for b in range(256)]
    if -1 in byte_ids:
        lacking = _byte(byte_ids.index(-1))
        raise ArtifactError(f"its vocabulary has no {lacking}, which byte_fallback needs.")
    # Those that are no special tokens, such as Gemma's line ends, are text like any other.
    plain = {token["content"] for token in raw["added_tokens"] if not token["special"]}
    special = {name: token for name, token in added.items() if name not in plain & ids.keys()}
    others = ids.keys() - special.keys() - {_byte(byte) for byte in range(256)}
    prefix, cut = _way(raw.get("normalizer"), raw.get("pre_tokenizer"))
    return SentencePieces(
        {ids[name]: name for name in sorted(others, key=ids.__getitem__)},
        byte_ids,
        merges,
        special,
        prefix=prefix,
        cut=cut,
        whole={name: ids[name] for name in sorted(plain & ids.keys(), key=ids.__getitem__)},
    )


def _way(normalizer: Any, pre_tokenizer: Any) -> tuple[Prefix, bool]:
    """Where a space is put, and whether words are cut."""
    steps = normalizer
    if isinstance(normalizer, dict):
        steps = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
    gemma = pre_tokenizer and {**pre_tokenizer, "invert": None} == {**_GEMMA, "invert": None}
    if steps in ([_PREPEND, _REPLACE], [_REPLACE]) and (pre_tokenizer is None or gemma):
        return ("every" if _PREPEND in steps else "never"), False
    if not steps and pre_tokenizer and pre_tokenizer["type"] == "Metaspace":
        old = "always" if pre_tokenizer.get("add_prefix_space", True) else "never"
        scheme = pre_tokenizer.get("prepend_scheme", old)
        if pre_tokenizer["replacement"] == SPACE and scheme in _SCHEMES:
            return _SCHEMES[scheme], pre_tokenizer.get("split", True)
    raise ArtifactError(
        f"its normalizer {normalizer} with its pre_tokenizer {pre_tokenizer} is not supported."
    )


def written(tokenizer: SentencePieces) -> dict[str, Any]:
    """The parts of a file that say how text becomes ids and back."""
    names = {id_: _byte(b) for b, id_ in enumerate(tokenizer.byte_ids)} | tokenizer.names
    special = tokenizer.special_tokens
    vocab = {name: token for token, name in sorted(names.items())} | dict(special)
    scheme = next((s for s, prefix in _SCHEMES.items() if prefix == tokenizer.prefix), None)
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme}
    by_normalizer = scheme is None or (tokenizer.prefix == "never" and not tokenizer.cut)
    replacing = [_PREPEND, _REPLACE] if scheme is None else [_REPLACE]
    back: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if tokenizer.prefix != "never":
        back.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "normalizer": {"type": "Sequence", "normalizers": replacing} if by_normalizer else None,
        "pre_tokenizer": None if by_normalizer else {**metaspace, "split": tokenizer.cut},
        "decoder": {"type": "Sequence", "decoders": back},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [[names[left], names[right]] for left, right in tokenizer.merges],
        },
    }


def _byte(byte: int) -> str:
    return f"<0x{byte:02X}>"
