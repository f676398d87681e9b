"""What we save, Hugging Face loads and gives the same ids; what is damaged is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import ArtifactError
from groundup.tokenizers import (
    BPE,
    AnyTokenizer,
    Bytes,
    load_tokenizer,
    save_tokenizer,
    train_bpe,
    train_pieces,
)
from groundup.tokenizers.huggingface import load_tokenizer_file, save_tokenizer_file
from groundup.tokenizers.patterns import PATTERNS


@pytest.fixture(scope="module", params=sorted(PATTERNS))
def tokenizer(request: pytest.FixtureRequest, source_files: list[str]) -> BPE:
    return train_bpe(
        source_files, vocab_size=600, pattern=request.param, special_tokens=["<|end|>", "<|user|>"]
    )


def test_tokenizers_gives_the_same_ids(
    tokenizer: BPE, source_files: list[str], tmp_path: Path
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    save_tokenizer(tmp_path / "tokenizer.json", tokenizer)
    peer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*source_files, "naïve 北京 🙂\n\n  x", "'S 12345"]:
        assert peer.encode(text).ids == tokenizer.encode(text)
        assert peer.decode(tokenizer.encode(text)) == text
    asked = "a<|user|>b<|end|>"
    assert peer.encode(asked).ids == tokenizer.encode(asked, allowed_special="all")


def test_transformers_loads_it(tokenizer: BPE, source_files: list[str], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save_tokenizer(tmp_path / "tokenizer.json", tokenizer)
    peer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    assert peer(source_files[0])["input_ids"] == tokenizer.encode(source_files[0])
    assert len(peer) == tokenizer.vocab_size


def test_we_load_what_tokenizers_saves_again(tokenizer: BPE, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    save_tokenizer(tmp_path / "ours.json", tokenizer)
    tokenizers.Tokenizer.from_file(str(tmp_path / "ours.json")).save(str(tmp_path / "theirs.json"))
    assert load_tokenizer(tmp_path / "theirs.json").fingerprint == tokenizer.fingerprint


def test_a_round_trip_keeps_the_fingerprint(tokenizer: BPE, tmp_path: Path) -> None:
    save_tokenizer(tmp_path / "tokenizer.json", tokenizer)
    assert load_tokenizer(tmp_path / "tokenizer.json").fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("kind", ["bytes", "character", "gpt2", "cl100k"])
def test_other_kinds_are_saved_and_loaded_too(
    kind: str, source_files: list[str], tmp_path: Path
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    special = ["<|end|>", "<|user|>"]
    ours: AnyTokenizer = (
        Bytes(special)
        if kind == "bytes"
        else train_pieces(source_files[:1], pattern=kind, special_tokens=special)[0]
    )
    path = tmp_path / "tokenizer.json"
    save_tokenizer(path, ours)
    peer = tokenizers.Tokenizer.from_file(str(path))
    for text in [*source_files, "naïve 北京 🙂\n\n  x\r", "a<|user|>b<|end|>"]:
        ids = ours.encode(text, allowed_special="all")
        assert peer.encode(text).ids == ids
        assert peer.decode(ids, skip_special_tokens=False) == ours.decode(ids)
    peer.save(str(tmp_path / "theirs.json"))
    loaded = load_tokenizer(tmp_path / "theirs.json")
    assert type(loaded) is type(ours)
    assert loaded.fingerprint == ours.fingerprint


def split(expression: str) -> dict[str, Any]:
    return {
        "type": "Split",
        "pattern": {"Regex": expression},
        "behavior": "Isolated",
        "invert": False,
    }


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
PUNCTUATION = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"
DEEPSEEK = (
    rf"{PUNCTUATION}|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+| ?[\p{{P}}\p{{S}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# How published tokenizers are arranged: how text is cut, and where special tokens stand.
ARRANGEMENTS: dict[str, dict[str, Any]] = {
    "GPT-2": {"pre_tokenizer": {**BYTES, "use_regex": True}},
    "Llama 3": {
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [split(PATTERNS["cl100k"]), BYTES],
        },
        "ignore_merges": True,
        "template": True,
    },
    "Qwen": {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split(PATTERNS["qwen2"]), BYTES]},
        "normalizer": {"type": "NFC"},
    },
    "DeepSeek": {
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                split(r"\p{N}{1,3}"),
                split("[一-龥぀-ゟ゠-ヿ]+"),
                split(DEEPSEEK),
                BYTES,
            ],
        },
        "normalizer": {"type": "Sequence", "normalizers": []},
        "special_first": True,
        "template": True,
    },
}


def arranged(name: str, texts: list[str]) -> Any:
    """A small tokenizer of that arrangement, made by Hugging Face's own library."""
    tokenizers = pytest.importorskip("tokenizers")
    plan = ARRANGEMENTS[name]
    raw = json.loads(tokenizers.Tokenizer(tokenizers.models.BPE()).to_str())
    raw |= {"pre_tokenizer": plan["pre_tokenizer"], "normalizer": plan.get("normalizer")}
    raw["decoder"] = BYTES
    raw["model"]["ignore_merges"] = plan.get("ignore_merges", False)
    peer = tokenizers.Tokenizer.from_str(json.dumps(raw))
    special = ["<|begin|>", "<|end|>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=700,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special if plan.get("special_first") else [],
    )
    peer.train_from_iterator(texts, trainer)
    peer.add_special_tokens(special)
    peer.add_tokens(["<tool>"])  # an added token that a reader sees
    if plan.get("template"):
        peer.post_processor = tokenizers.processors.TemplateProcessing(
            single="<|begin|> $A",
            pair="<|begin|> $A <|begin|> $B:1",
            special_tokens=[("<|begin|>", peer.token_to_id("<|begin|>"))],
        )
    return peer


@pytest.mark.parametrize("name", sorted(ARRANGEMENTS))
def test_published_arrangements_give_the_same_ids(
    name: str, source_files: list[str], tmp_path: Path
) -> None:
    texts = [*source_files, "naïve cafe\u0301 北京大学 ひらがな 🙂\n\n  x 12345.6", "it's 'S $x_y"]
    peer = arranged(name, texts)
    peer.save(str(tmp_path / "theirs.json"))
    file = load_tokenizer_file(tmp_path / "theirs.json")
    assert file.shown == {"<tool>"}
    save_tokenizer_file(tmp_path / "ours.json", file)
    again = type(peer).from_file(str(tmp_path / "ours.json"))
    for text in [*texts, "a<|begin|>b<tool>c<|end|>"]:
        ids = peer.encode(text).ids
        ours = file.tokenizer.encode(text, allowed_special="all")
        assert [*file.before, *ours, *file.after] == ids
        assert again.encode(text).ids == ids
        assert again.encode(text, "b").ids == peer.encode(text, "b").ids
        assert again.decode(ids) == peer.decode(ids)
    assert load_tokenizer(tmp_path / "ours.json").fingerprint == file.tokenizer.fingerprint


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda raw: raw["model"].update(type="WordPiece"), "only BPE"),
        (lambda raw: raw["model"]["merges"].append(["zzzz", "a"]), "does not exist"),
        (lambda raw: raw["model"]["merges"].append(["a", "c"]), "which is no token"),
        (lambda raw: raw["model"]["merges"].append(["a", "b"]), "merged twice"),
        (lambda raw: raw["model"]["vocab"].update({"c": 98}), "stands for two tokens"),
        (lambda raw: raw["model"]["vocab"].pop("c"), "no token for the byte 0x63"),
        (lambda raw: raw["model"]["vocab"].update({"c": -4}), "must not be negative"),
        (lambda raw: raw["model"]["vocab"].update({"中": 300}), "alphabet of bytes"),
        (lambda raw: raw.update(normalizer={"type": "Lowercase"}), "normalizer Lowercase is not"),
        (lambda raw: raw.update(post_processor={"type": "Bert"}), "post_processor Bert is not"),
        (lambda raw: raw["model"].update(byte_fallback=True), "has no <0x00>, which byte_fallback"),
        (lambda raw: raw["model"].update(dropout=0.1), "dropout is of a kind"),
        (lambda raw: raw["added_tokens"][0].update(lstrip=True), "has lstrip"),
        (lambda raw: raw["added_tokens"][0].update(content=7), "not a tokenizer of a known kind"),
        (lambda raw: raw["added_tokens"][0].update(id=97), "stands for two tokens"),
        (
            lambda raw: raw["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True),
            "add_prefix_space",
        ),
        (lambda raw: raw.pop("model"), "not a tokenizer of a known kind"),
        (lambda raw: raw["pre_tokenizer"]["pretokenizers"].pop(1), "does not end in bytes"),
        (lambda raw: raw.update(pre_tokenizer=None), "no pre_tokenizer"),
    ],
)
def test_a_damaged_file_is_refused(damage, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    save_tokenizer(path, BPE.learned([(97, 98)], "cl100k", ["<|end|>"]))
    raw = json.loads(path.read_text())
    damage(raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(ArtifactError, match=sentence):
        load_tokenizer(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    save_tokenizer(path, BPE.learned([(97, 98)], "gpt2"))
    path.write_text(path.read_text()[:100])
    with pytest.raises(ArtifactError, match="not valid JSON"):
        load_tokenizer(path)
