"""What we save, Hugging Face loads and gives the same ids; what is damaged is refused."""

import json
from pathlib import Path

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


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda raw: raw["model"].update(type="WordPiece"), "only BPE"),
        (lambda raw: raw["model"]["merges"].append(["zzzz", "a"]), "does not exist"),
        (lambda raw: raw["model"]["vocab"].update({"c": 5000}), "other arrangements"),
        (lambda raw: raw["model"]["vocab"].update({"zz": 300}), "other arrangements"),
        (lambda raw: raw.update(normalizer={"type": "NFC"}), "normalizer is of a kind"),
        (lambda raw: raw.update(post_processor={"type": "Bert"}), "post_processor is of a kind"),
        (lambda raw: raw["model"].update(ignore_merges=True), "ignore_merges is of a kind"),
        (lambda raw: raw["model"].update(byte_fallback=True), "byte_fallback is of a kind"),
        (lambda raw: raw["added_tokens"][0].update(lstrip=True), "added_tokens is of a kind"),
        (lambda raw: raw["added_tokens"][0].update(content=7), "not a tokenizer of a known kind"),
        (
            lambda raw: raw["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True),
            "pre_tokenizer is of a kind",
        ),
        (lambda raw: raw["added_tokens"][0].update(id=9999), "last ids"),
        (lambda raw: raw.pop("model"), "not a tokenizer of a known kind"),
        (
            lambda raw: raw["pre_tokenizer"]["pretokenizers"].pop(0),
            "not a tokenizer of a known kind",
        ),
    ],
)
def test_a_damaged_file_is_refused(damage, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    save_tokenizer(path, BPE.learned([(97, 98)], "gpt2", ["<|end|>"]))
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
