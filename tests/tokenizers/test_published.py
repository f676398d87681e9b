"""tiktoken's rank files and GPT-2's two files, against the libraries that read them."""

import json
from pathlib import Path

import pytest

from groundup.core.errors import ArtifactError, InputError
from groundup.tokenizers import BPE, train_bpe
from groundup.tokenizers.patterns import PATTERNS
from groundup.tokenizers.published import (
    load_encoding,
    load_ranks,
    load_vocab_and_merges,
    save_ranks,
    save_vocab_and_merges,
)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tiktoken's, by the files' names alone."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")


TEXTS = ["naïve 北京 🙂\n\n  x 12345", "it's 'S aaaaaaa", "", " "]


@pytest.fixture(scope="module")
def tokenizer(source_files: list[str]) -> BPE:
    return train_bpe(source_files, vocab_size=900, pattern="gpt2", special_tokens=["<|end|>"])


def test_tiktoken_reads_our_ranks(tokenizer: BPE, source_files: list[str], tmp_path: Path) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    load_tiktoken_bpe = pytest.importorskip("tiktoken.load").load_tiktoken_bpe
    path = tmp_path / "x.tiktoken"
    save_ranks(path, tokenizer)
    special = dict(tokenizer.special_tokens)
    peer = tiktoken.Encoding(
        "x",
        pat_str=PATTERNS["gpt2"],
        mergeable_ranks=load_tiktoken_bpe(str(path)),
        special_tokens=special,
    )
    ours = load_ranks(path, "gpt2", special)
    for text in [*TEXTS, *source_files]:
        assert ours.encode(text) == peer.encode(text) == tokenizer.encode(text)
    assert ours.decode(ours.encode(TEXTS[0])) == TEXTS[0]


def test_ranks_in_another_order_with_holes_equal_tiktoken(source_files: list[str]) -> None:
    """Bytes in another order, as in GPT-2, ids with holes, and tokens that no merge reaches."""
    tiktoken = pytest.importorskip("tiktoken")
    learned = train_bpe(source_files[:4], vocab_size=500, pattern="cl100k")
    tokens = [learned.token_bytes(i) for i in range(500)]
    ranks = {content: 1000 + 3 * i for i, content in enumerate(tokens[200:256])}
    ranks |= {content: 2 * i for i, content in enumerate(tokens[:200])}
    ranks |= {content: 2000 + 7 * i for i, content in enumerate(tokens[256:])}
    ranks |= {b" unreachable": 9000, "北京大学".encode(): 9001}
    peer = tiktoken.Encoding(
        "x", pat_str=PATTERNS["cl100k"], mergeable_ranks=ranks, special_tokens={"<|x|>": 600}
    )
    ours = BPE.from_ranks(ranks, "cl100k", {"<|x|>": 600})
    for text in [*TEXTS, *source_files, "an unreachable 北京大学 one"]:
        assert ours.encode(text) == peer.encode(text)
    asked = ours.encode("a<|x|>", allowed_special="all")
    assert asked == peer.encode("a<|x|>", allowed_special="all")
    assert ours.decode_bytes(asked) == b"a<|x|>"


def test_tokenizers_reads_our_two_files(
    tokenizer: BPE, source_files: list[str], tmp_path: Path
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    vocab, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    save_vocab_and_merges(vocab, merges, tokenizer)
    peer = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(vocab), str(merges)))
    peer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    loaded = load_vocab_and_merges(vocab, merges)
    assert loaded.fingerprint == tokenizer.fingerprint
    for text in [*TEXTS, *source_files]:
        assert loaded.encode(text) == peer.encode(text).ids == tokenizer.encode(text)
    assert loaded.special_tokens == {"<|end|>": 899}


def test_what_a_form_cannot_say_is_refused(tokenizer: BPE, tmp_path: Path) -> None:
    ranked = BPE.from_ranks({bytes([b]): b for b in range(256)}, "gpt2", {})
    with pytest.raises(InputError, match="cannot say"):
        save_vocab_and_merges(tmp_path / "a", tmp_path / "b", ranked)
    vocab, merges = tmp_path / "vocab.json", tmp_path / "merges.txt"
    save_vocab_and_merges(vocab, merges, tokenizer)
    lines = merges.read_text().splitlines()
    merges.write_text("\n".join([lines[0], *lines[100:], *lines[1:100]]))
    with pytest.raises(InputError, match="order of their ids"):
        save_ranks(tmp_path / "ranks", load_vocab_and_merges(vocab, merges))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("YQ== 1\nYg==\n", "line 2: 'Yg==' is no rank"),
        ("YQ= 1\n", "line 1"),
        ("YQ== one\n", "line 1"),
        ("YQ== 1\nYQ== 2\n", "line 2"),
        ("YQ== 1\nYg== 1\n", "stands for two tokens"),
        ("YQ== 1\n", "no token for the byte 0x00"),
    ],
)
def test_a_damaged_rank_file_is_one_sentence(content: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "x.tiktoken"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=sentence):
        load_ranks(path, "gpt2", {})


@pytest.mark.parametrize(
    ("vocab", "merges", "sentence"),
    [
        ([], "", "does not map"),
        ({"a": "b"}, "", "does not map"),
        ({"a": 1, "b": 2}, "#version\na c\n", "line 2: 'a c' does not name"),
        ({"a": 1, "b": 2}, "a b c", "line 1"),
        ({"a": 1, "b": 2}, "a b", "is no token|no token for the byte|makes"),
        ({"a": 1}, "", "no token for the byte"),
    ],
)
def test_two_damaged_files_are_one_sentence(
    vocab: object, merges: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_text(merges)
    with pytest.raises(ArtifactError, match=sentence):
        load_vocab_and_merges(tmp_path / "vocab.json", tmp_path / "merges.txt")


@pytest.mark.parametrize("name", ["r50k_base", "p50k_base", "cl100k_base", "o200k_base"])
def test_encodings_are_tiktoken_s_by_their_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its own pattern and special tokens, over a file of ranks that is made here."""
    tiktoken = pytest.importorskip("tiktoken")
    from tiktoken_ext import openai_public

    trained = train_bpe([Path(__file__).read_text(encoding="utf-8")], vocab_size=400)
    path = tmp_path / f"{name}.tiktoken"
    save_ranks(path, trained)
    ranks = tiktoken.load.load_tiktoken_bpe(str(path))
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: ranks)
    theirs = getattr(openai_public, name)()
    theirs.pop("explicit_n_vocab", None)
    oracle, ours = tiktoken.Encoding(**theirs), load_encoding(path)
    assert ours.special_tokens == theirs["special_tokens"]
    text = Path(__file__).read_text(encoding="utf-8") + "It'S 12345\r\n\n  日本<|endoftext|> x"
    assert ours.encode(text, allowed_special="all") == oracle.encode(text, allowed_special="all")


def test_a_file_of_another_name_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="named after none of tiktoken's encodings: r50k_base"):
        load_encoding(tmp_path / "mine.tiktoken")
