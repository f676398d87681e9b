"""Character-level BPE with spaces as letters, against Hugging Face's tokenizers."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.errors import ArtifactError
from groundup.tokenizers import StreamDecoder, load_tokenizer, save_tokenizer, token_spans
from groundup.tokenizers.sentence_pieces import SentencePieces

tokenizers = pytest.importorskip("tokenizers")

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPECIAL = ["<unk>", "<s>", "</s>"]
TEXTS = [
    "Hello world",
    " two  words   here ",
    "",
    " ",
    "\n\n\tx\n",
    "naïve 北京 🙂 \u2581x ▁ é́",
    "a<s>b </s> c",
    "<s> leading",
    "☂▄▂ 日 half of a character's bytes",
]


def steps(kind: str) -> tuple[Any, Any]:
    """The normalizer and the pre-tokenizer of a published kind."""
    replace = tokenizers.normalizers.Replace(" ", "▁")
    if kind == "llama":
        prepend = tokenizers.normalizers.Prepend("▁")
        return tokenizers.normalizers.Sequence([prepend, replace]), None
    if kind == "gemma":
        return replace, tokenizers.pre_tokenizers.Split(" ", "merged_with_previous")
    scheme, split = kind.split()
    return None, tokenizers.pre_tokenizers.Metaspace("▁", scheme, split == "split")


SCHEMES = [f"{s} {c}" for s in ("always", "first", "never") for c in ("split", "whole")]
KINDS = ["llama", "gemma", *SCHEMES]


@pytest.fixture(scope="module", params=KINDS)
def pair(
    request: pytest.FixtureRequest,
    source_files: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[SentencePieces, Any]:
    """Ours, and theirs, of the same file; its merges are learned over words, and in one kind across
    them."""
    learned = tokenizers.Tokenizer(tokenizers.models.BPE())
    normalizer, pre_tokenizer = steps(request.param)
    if normalizer is not None:
        learned.normalizer = normalizer
    learned.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace("▁", "never", True)
    if request.param == "gemma":
        learned.pre_tokenizer = tokenizers.pre_tokenizers.Split("\n", "isolated")
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=700, show_progress=False)
    learned.train_from_iterator([*source_files[:3], "北京日 naïve é\t\n\n\n" * 9], trainer)
    model = json.loads(learned.to_str())["model"]
    names = [*SPECIAL, *BYTES, *model["vocab"]]
    shown = []
    if request.param == "gemma":  # line ends are added, and merged; a tab stands for its byte
        shown = [name for name in names if name.strip("\n") == ""]
        names.remove("\t")
        names[names.index("<0x09>")] = "\t"
    theirs = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab={name: i for i, name in enumerate(names)},
            merges=[tuple(merge) for merge in model["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    if normalizer is not None:
        theirs.normalizer = normalizer
    if pre_tokenizer is not None:
        theirs.pre_tokenizer = pre_tokenizer
    theirs.add_special_tokens([tokenizers.AddedToken(name, normalized=False) for name in SPECIAL])
    theirs.add_tokens([tokenizers.AddedToken(name, normalized=False) for name in shown])
    back = [
        tokenizers.decoders.Replace("▁", " "),
        tokenizers.decoders.ByteFallback(),
        tokenizers.decoders.Fuse(),
    ]
    if not request.param.startswith(("never", "gemma")):
        back.append(tokenizers.decoders.Strip(" ", 1, 0))
    theirs.decoder = tokenizers.decoders.Sequence(back)
    path = tmp_path_factory.mktemp("pieces") / "tokenizer.json"
    theirs.save(str(path))
    ours = load_tokenizer(path)
    assert isinstance(ours, SentencePieces)
    return ours, theirs


def test_ids_are_theirs(pair: tuple[SentencePieces, Any], source_files: list[str]) -> None:
    ours, theirs = pair
    for text in [*TEXTS, *source_files]:
        expected = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, allowed_special="all") == expected, text[:40]
        assert ours.decode(expected) == theirs.decode(expected, skip_special_tokens=False)
    texts = [*TEXTS, source_files[0]]
    assert ours.encode_batch(texts, allowed_special="all") == [
        ours.encode(text, allowed_special="all") for text in texts
    ]


@settings(max_examples=60)
@given(text=st.text(st.sampled_from("ab \n▁é北日☂\u0301𝕏<s>"), max_size=30))
def test_ids_of_any_text_are_theirs(pair: tuple[SentencePieces, Any], text: str) -> None:
    ours, theirs = pair
    expected = theirs.encode(text, add_special_tokens=False).ids
    assert ours.encode(text, allowed_special="all") == expected


def test_what_we_write_they_read(
    pair: tuple[SentencePieces, Any], source_files: list[str], tmp_path: Path
) -> None:
    ours, theirs = pair
    save_tokenizer(tmp_path / "tokenizer.json", ours)
    peer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*TEXTS, source_files[0]]:
        ids = theirs.encode(text).ids
        assert peer.encode(text).ids == ids
        assert peer.decode(ids) == theirs.decode(ids)
    assert load_tokenizer(tmp_path / "tokenizer.json").fingerprint == ours.fingerprint


def test_a_stream_has_every_space(pair: tuple[SentencePieces, Any]) -> None:
    """What is written behind a text goes on with one; spans cover what is read."""
    ours, _ = pair
    decoder, ids = StreamDecoder(ours), ours.encode_behind(" two 北☂")
    assert "".join(map(decoder.push, ids)) + decoder.finish() in (" two 北☂", "  two 北☂")
    spans = token_spans(ours, "ab 北☂")
    assert b"".join(span.content for span in spans).decode().strip() == "ab 北☂"


def test_other_kinds_are_one_sentence(pair: tuple[SentencePieces, Any], tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    whole = json.loads(pair[1].to_str())
    for change, said in (
        ({"pre_tokenizer": {"type": "Whitespace"}}, "is not supported"),
        ({"model": whole["model"] | {"ignore_merges": True}}, "model.ignore_merges"),
        (
            {"model": whole["model"] | {"vocab": {"<0x00>": 0}, "merges": []}},
            "has no <0x01>, which byte_fallback needs",
        ),
    ):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(ArtifactError, match=said):
            load_tokenizer(path)
