"""`groundup tokenizer`: on real text, in a pipe, and on input that cannot be used."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from groundup.cli import main
from groundup.cli import tokenizer as tokenizer_cli
from groundup.tokenizers import PieceCounts, Pieces, load_tokenizer, piece_counts, train_bpe

TEXT = "naïve 北\n\tdef f(x): return 12345 <|end|>\n"


def tokens_of(path: Path) -> list[bytes]:
    tokenizer = load_tokenizer(path)
    return [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]


class Shell:
    """Runs `groundup tokenizer` in this process; returns exit code, output and errors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str | Path | int) -> tuple[int, str, str]:
        line = ["groundup", "tokenizer", *map(str, arguments)]
        self._monkeypatch.setattr(sys, "argv", line)
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        assert isinstance(code, int)
        return code, *self._capsys.readouterr()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.fixture
def corpus(tmp_path: Path, source_files: list[str]) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for number, text in enumerate(source_files):
        (folder / f"{number}.py").write_text(text, encoding="utf-8")
    (folder / "bad.txt").write_bytes(b"\x81\x8d\x8f")
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8", newline="")
    return path


def test_inspect_marks_the_tokens(shell: Shell, text: Path) -> None:
    code, output, _ = shell("inspect", text)
    assert code == 0
    assert "│n│a│‹C3›│‹AF›│v│e│·│‹E5›│‹8C›│‹97›│↵\n│⇥│d│e│f│" in output
    assert "\x1b" not in output
    assert f"{len(TEXT)} characters, 43 bytes, 43 tokens" in output
    _, output, _ = shell("inspect", text, "--tokenizer", "characters", "--limit", "7")
    assert output.startswith("│n│a│ï│v│e│·│北│\n… and 33 tokens more")


def test_inspect_gives_what_the_tokenizer_gives(shell: Shell, text: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    out = run / "tokenizer" / "tokenizer.json"
    shell("train", text, "--out", out, "--vocab-size", "258", "--special", "<|end|>")
    tokenizer = load_tokenizer(out)
    ids = tokenizer.encode_ordinary(TEXT)
    assert shell("inspect", text, "--tokenizer", run, "--ids")[1].split() == list(map(str, ids))
    result = json.loads(shell("inspect", text, "--tokenizer", out, "--json")[1])
    assert result["ids"] == ids
    assert result["bytes_per_token"] == len(TEXT.encode()) / len(ids)
    assert sum(row["times"] for row in result["frequent"]) <= len(ids)
    for row in result["frequent"]:
        assert bytes.fromhex(row["bytes"]) == tokenizer.token_bytes(row["id"])
        assert row["times"] == ids.count(row["id"])


def test_inspect_reads_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "groundup", "tokenizer", "inspect", "-", "--ids"],
        input="hé\r\n".encode(),
        capture_output=True,
        check=False,
    )
    assert done.stdout.split() == [b"104", b"195", b"169", b"13", b"10"]


def test_a_terminal_without_the_characters_gets_their_numbers(text: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "groundup", "tokenizer", "inspect", str(text)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"n\u2502a\u2502\u2039C3\u203a" in done.stdout


def test_train_gives_the_same_file_every_time(
    shell: Shell, corpus: Path, tmp_path: Path, source_files: list[str]
) -> None:
    out = tmp_path / "a.json"
    options = ["--vocab-size", "400", "--special", "<|end|>", "--pattern", "gpt2", "--json"]
    code, output, errors = shell("train", corpus, "--out", out, *options)
    assert code == 0
    assert "left out: bad.txt is not valid utf-8" in errors
    result = json.loads(output)
    size = sum(len(text.encode()) for text in source_files)
    assert (result["documents"], result["bytes"], result["vocabulary"]) == (8, size, 400)
    expected = train_bpe(source_files, vocab_size=400, pattern="gpt2", special_tokens=["<|end|>"])
    assert result["fingerprint"] == expected.fingerprint == load_tokenizer(out).fingerprint
    assert result["tokens"] == sum(len(expected.encode_ordinary(text)) for text in source_files)
    shell("train", corpus, "--out", tmp_path / "b.json", *options)
    assert (tmp_path / "b.json").read_bytes() == out.read_bytes()


def test_train_takes_a_regular_expression(shell: Shell, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokenizer.json"
    code, _, errors = shell(
        "train", corpus, "--out", out, "--pattern", r"\w+|\W", "--vocab-size", 300
    )
    assert code == 0, errors
    assert all(re.fullmatch(rb"(?s)[\w\x80-\xff]+|.", token) for token in tokens_of(out))


def test_train_goes_on_with_counts_that_were_kept(
    shell: Shell, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out, counts = (tmp_path / name for name in ("whole.json", "out.json", "counts.npz"))
    assert shell("train", corpus, "--out", whole, "--vocab-size", 400)[0] == 0
    train = ("train", corpus, "--out", out, "--vocab-size", 400, "--counts", counts)
    monkeypatch.setattr(piece_counts, "AT_ONCE", 5_000)
    monkeypatch.setattr(tokenizer_cli, "_SAVE_SECONDS", 0.0)
    add, calls = PieceCounts.add, []

    def killed(self: PieceCounts, texts: list[str]) -> None:
        calls.append(self.documents)
        if len(calls) == 3:
            raise KeyboardInterrupt
        add(self, texts)

    monkeypatch.setattr(PieceCounts, "add", killed)
    assert shell(*train)[0] == 130
    counted = PieceCounts.load(counts).documents
    assert 0 < counted < 8
    calls[:] = [-1, -1, -1]
    assert shell(*train)[0] == 0
    assert calls[3] == counted  # it went on there
    assert out.read_bytes() == whole.read_bytes()
    assert shell(*train)[0] == 0
    assert out.read_bytes() == whole.read_bytes()

    (corpus / "0.py").write_text("other text", encoding="utf-8")
    code, _, errors = shell(*train)
    assert (code, "counts of other text" in errors) == (2, True)
    code, _, errors = shell(*train, "--pattern", "gpt2")
    assert (code, "another --pattern or --special" in errors) == (2, True)


def test_train_makes_words_and_characters(shell: Shell, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokenizer.json"
    code, output, _ = shell(
        "train", corpus, "--out", out, "--kind", "words", "--min-frequency", "5"
    )
    assert code == 0
    words = load_tokenizer(out)
    assert isinstance(words, Pieces)
    assert f"a vocabulary of {words.vocab_size:,}" in output
    assert shell("train", corpus, "--out", out, "--kind", "characters")[0] == 0
    characters = load_tokenizer(out)
    assert isinstance(characters, Pieces)
    assert max(map(len, characters.pieces)) == 1


def test_compare_measures_on_other_text(shell: Shell, corpus: Path, tmp_path: Path) -> None:
    given, out = tmp_path / "mine.json", tmp_path / "out"
    shell("train", corpus, "--out", given, "--vocab-size", "300")
    code, output, _ = shell("compare", corpus, "--with", given, "--out", out)
    assert code == 0
    for said in ("bytes", "characters", "words", "BPE 512", "BPE 1,024", "The corpus is too small"):
        assert said in output
    result = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert result["rejected"] == {
        "bad.txt": "is not valid utf-8 (invalid start byte), nor surely in another encoding"
    }
    assert result["left_out"] == [16384, 32768]
    whole = sum(path.stat().st_size for path in corpus.glob("*.py"))
    assert result["training"]["bytes"] + result["held_out"]["bytes"] == whole
    assert 0.05 <= result["held_out"]["bytes"] / whole <= 0.15
    assert ElementTree.parse(out / "comparison.svg").getroot().tag.endswith("svg")
    assert json.loads(shell("compare", corpus, "--with", given, "--json")[1]) == result


def test_one_long_document_is_divided(
    shell: Shell, tmp_path: Path, source_files: list[str]
) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(source_files), encoding="utf-8", newline="")
    result = json.loads(shell("compare", book, "--json")[1])
    assert result["training"]["bytes"] + result["held_out"]["bytes"] == book.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["inspect", "none.txt"], "none.txt: No such file"),
        (["inspect", "empty.txt"], "empty.txt is empty"),
        (["inspect", "odd.txt"], "odd.txt is not valid UTF-8 at byte 2 (0xE9)"),
        (["inspect", "binary.bin"], "binary.bin is binary"),
        (["inspect", "."], "Is a directory"),
        (["inspect", "short.txt", "--tokenizer", "none"], "there is no tokenizer none"),
        (["inspect", "short.txt", "--tokenizer", "short.txt"], "is not valid JSON"),
        (["inspect", "short.txt", "--limit", "-1"], "--limit"),
        (["train", "none", "--out", "t.json"], "none does not exist"),
        (["train", "binary.bin", "--out", "t.json"], "holds no document"),
        (["train", "odd.txt", "--out", "t.json"], "odd.txt is not valid utf-8"),
        (["train", "empty.txt", "--out", "t.json"], "holds no text"),
        (["train", "short.txt", "--out", "t.json"], "a vocabulary of at most 267"),
        (["train", "short.txt", "--out", "t.json", "--vocab-size", "5"], "too small"),
        (["train", "short.txt", "--out", "t.json", "--special", ""], "must not be empty"),
        (["train", "short.txt", "--out", "."], "is a directory"),
        (["train", "short.txt"], "--out"),
        (["train", "short.txt", "--out", "t.json", "--pattern", "x"], "there is no pattern 'x'"),
        (["train", "short.txt", "--out", "t.json", "--pattern", "(x"], "no regular expression"),
        (["train", "short.txt", "--out", "t.json", "--pattern", r"\w+"], "does not cover the text"),
        (["train", "short.txt", "--out", "t.json", "--counts", "short.txt"], "not hold counts"),
        (
            ["train", "short.txt", "--out", "t.json", "--kind", "words", "--counts", "c.npz"],
            "--counts is for --kind bpe",
        ),
        (
            ["train", "short.txt", "--out", "t.json", "--kind", "characters", "--pattern", "gpt2"],
            "--kind characters has none",
        ),
        (
            ["train", "short.txt", "--out", "t.json", "--kind", "words", "--max-token-length", "4"],
            "--max-token-length is for --kind bpe",
        ),
        (["compare", "none"], "none does not exist"),
        (["compare", "empty.txt"], "at least two documents"),
        (["compare", "short.txt"], "at least two documents"),
        (["compare", "."], "at most 26"),
        (["compare", ".", "--with", "none"], "there is no tokenizer none"),
    ],
)
def test_unusable_input_is_one_sentence(
    shell: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_bytes(b"")
    Path("odd.txt").write_bytes(b"af\xe9 \x81\x8d")
    Path("binary.bin").write_bytes(b"\0\1\2")
    Path("short.txt").write_bytes(b"two short words")
    Path("other.txt").write_bytes(b"some other words")
    code, _, errors = shell(*arguments)
    assert code == 2
    assert sentence in errors
    assert not list(tmp_path.rglob("t.json*"))
