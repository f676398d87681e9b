"""`groundup curate train-classifier`: on labelled rows, on pages against others, on bad input."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.cli.shell import Shell

from groundup.curate.classify import Classify, load_judge
from groundup.curate.document import Document
from groundup.curate.language import Language
from groundup.curate.notes import Notes

FISH = ["a trout in the river", "the pike swims", "cold water and fish", "an eel in the sea"]
BIRDS = ["a swallow on the roof", "the finch flies", "warm wings and birds", "an owl in the air"]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell("curate train-classifier", monkeypatch, capsys)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Each sentence ten times, with a number, so that all words are known."""
    path = tmp_path / "rows.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for number in range(10):
            for label, texts in (("fish", FISH), ("en", BIRDS)):
                for text in texts:
                    file.write(json.dumps({"text": f"{text} {number}", "label": label}) + "\n")
    return path


def test_labelled_rows_make_a_classifier(shell: Shell, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, output, _ = shell(rows, "--out", out, "--label", "fish", "--precision", "0.9", "--json")
    assert code == 0
    result = json.loads(output)
    assert result == json.loads((out / "report.json").read_text())
    assert result["training"]["texts"] == 64
    assert result["held_out"]["accuracy"] == 1
    assert [row["texts"] for row in result["held_out"]["classes"]] == [8, 8]
    chosen = result["threshold"]
    assert (chosen["label"], chosen["precision"], chosen["recall"]) == ("fish", 1, 1)
    for name in ("calibration.svg", "thresholds.svg"):
        ElementTree.parse(out / name)
    notes = Notes("classify", [].append)
    step = Classify(model=str(out), label="fish", least=chosen["at"])
    documents = [Document(FISH[0], "a", "s"), Document(BIRDS[0], "b", "s")]
    assert [document.id for document in step.apply(documents, notes)] == ["a"]
    language = Language(model=str(out), least=0)
    assert [document.id for document in language.apply(documents, notes)] == ["b"]


def test_it_says_what_the_classifier_is_worth(shell: Shell, rows: Path, tmp_path: Path) -> None:
    code, output, _ = shell(rows, "--out", tmp_path / "out", "--label", "fish", "--recall", "0.9")
    assert code == 0
    output = " ".join(output.split())  # titles are as wide as their tables
    assert "On texts that were held out" in output
    assert "What is taken for what" in output
    assert "A threshold for a recall of 0.9: " in output
    assert "a classifier of 2 labels, trained on 64 texts" in output
    code, output, _ = shell(rows, "--out", tmp_path / "other")
    assert code == 0
    assert "threshold" not in output.lower()
    assert not (tmp_path / "other" / "thresholds.svg").exists()


def test_pages_are_told_from_others(
    shell: Shell, documents: Path, source_files: list[str], tmp_path: Path
) -> None:
    """Python's sources against the same with words in upper case, which is no easier by length."""
    other = tmp_path / "other"
    other.mkdir()
    for number, text in enumerate(source_files):
        (other / f"{number}.txt").write_text(text.replace("e", "é"), encoding="utf-8")
    (other / "bad.txt").write_bytes(b"a\0b")
    out = tmp_path / "out"
    code, output, errors = shell("--positive", documents, "--negative", other, "--out", out)
    assert code == 0, errors
    assert "left out: bad.txt is binary" in errors
    assert "A threshold for the best F1" in output
    assert load_judge(out).labels == ("negative", "positive")


def test_the_same_seed_gives_the_same_classifier(shell: Shell, rows: Path, tmp_path: Path) -> None:
    found = []
    for name, more in (("a", []), ("b", []), ("c", ["--set", "epochs=2"])):
        shell(rows, "--out", tmp_path / name, *more)
        found.append(load_judge(tmp_path / name).probabilities(FISH).tolist())
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give FILEs of labelled texts, or --positive and --negative"),
        (["{rows}", "--positive", "a"], "give FILEs of labelled texts, or --positive"),
        (["--positive", "stdlib"], "give FILEs of labelled texts, or --positive and"),
        (["{rows}", "--precision", "0.5", "--recall", "0.5"], "are two wishes: give one"),
        (["{rows}", "--precision", "0.5"], "are of one label: say which by --label"),
        (["none.jsonl"], "none.jsonl"),
        (["{rows}", "--text-field", "tweet"], "line 1 has no 'tweet'"),
        (["{rows}", "--label", "cat"], "there is no text of the label 'cat'"),
        (["{rows}", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["--positive", "none", "--negative", "stdlib"], "none does not exist"),
        (["{rows}", "--held-out", "2"], "2.0 is not in the range"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    arguments: list[str], sentence: str, shell: Shell, rows: Path, tmp_path: Path
) -> None:
    given = [argument.format(rows=rows) for argument in arguments]
    code, output, errors = shell(*given, "--out", tmp_path / "out")
    assert code == 2
    assert sentence in errors
    assert not output
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()
