"""`groundup curate train-perplexity`: on real text, and on input that cannot be used."""

import json
from pathlib import Path

import pytest
from tests.cli.shell import Shell

from groundup.curate.perplexity import TrainWordModel, load_word_model, train_word_model


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell("curate train-perplexity", monkeypatch, capsys)


def test_a_model_is_trained_and_measured(shell: Shell, documents: Path, tmp_path: Path) -> None:
    out = tmp_path / "words.safetensors"
    code, output, errors = shell(documents, "--out", out, "--json")
    assert code == 0, errors
    result = json.loads(output)
    model = load_word_model(out)
    assert result["rows"] == (model.table[:, 0] > 0).sum()
    assert model.order == 3
    half, most, nearly_all = result["percentiles"].values()
    assert 1 < half <= most <= nearly_all
    code, output, _ = shell(documents, "--out", out, "--order", "2")
    assert f"{out}: " in output
    assert "pages that were held out, half have a perplexity below" in output
    assert load_word_model(out).order == 2


def test_no_more_is_read_than_is_allowed(shell: Shell, documents: Path, tmp_path: Path) -> None:
    out = tmp_path / "words.safetensors"
    code, output, _ = shell(documents, "--out", out, "--megabytes", "0.03", "--json")
    assert code == 0
    assert json.loads(output)["bytes"] < 90_000  # of 160,000


def test_the_same_text_gives_the_same_file(tmp_path: Path, source_files: list[str]) -> None:
    files = []
    for name in ("a", "b"):
        train_word_model(source_files, TrainWordModel()).save(tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Missing argument 'REFERENCE...'"),
        (["none"], "none does not exist"),
        (["{empty}"], "holds no document"),
        (["{documents}", "--order", "9"], "9 is not in the range"),
        (["{documents}", "--megabytes", "0"], "is not in the range"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    arguments: list[str], sentence: str, shell: Shell, documents: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    given = [a.format(documents=documents, empty=tmp_path / "empty") for a in arguments]
    code, output, errors = shell(*given, "--out", tmp_path / "out")
    assert code == 2
    assert sentence in errors
    assert not output
    assert "Traceback" not in errors
