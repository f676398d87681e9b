"""`groundup curate train-extractor`: on pages made here, and on input that cannot be used."""

import gzip
import json
from pathlib import Path

import pytest
from tests.cli.shell import Shell
from tests.curate.extract.test_extractor import PAGE, PARAGRAPHS

from groundup.curate.extract import extractor_of

pytest.importorskip("resiliparse")


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell("curate train-extractor", monkeypatch, capsys)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    for word in ("harbour", "port", "town", "bay"):
        page = PAGE.replace("harbour", word).encode()
        if word == "bay":
            (folder / "bay.html.gz").write_bytes(gzip.compress(page))
        else:
            (folder / f"{word}.html").write_bytes(page)
        text = "\n".join(PARAGRAPHS).replace("harbour", word)
        (folder / f"{word}.txt").write_text(text, encoding="utf-8")
    return folder


SMALL = ("--set", "trees=20", "--set", "depth=2", "--set", "penalty=0.1")


def test_one_is_trained_and_measured(shell: Shell, pages: Path, tmp_path: Path) -> None:
    out = tmp_path / "own.safetensors"
    code, output, errors = shell(pages, "--out", out, *SMALL, "--json")
    assert code == 0, errors
    result = json.loads(output)
    assert result["pages"] == 4
    assert result["scores"]["this one, pages not seen"] == {"f1": 1, "precision": 1, "recall": 1}
    assert 0 < result["scores"]["resiliparse"]["f1"] < 1
    assert extractor_of(str(out))(PAGE) == "\n\n".join(PARAGRAPHS)
    code, output, _ = shell(pages, "--out", out, *SMALL)
    assert "trained on 4 pages" in output
    assert "this one, pages not seen    1.000" in output


def test_what_cannot_be_used_is_one_sentence(shell: Shell, pages: Path, tmp_path: Path) -> None:
    out = tmp_path / "own.safetensors"

    def sentence(folder: Path) -> str:
        code, output, errors = shell(folder, "--out", out, *SMALL)
        assert (code, output) == (2, "")
        assert len(errors.splitlines()) == 1
        return errors

    (tmp_path / "empty").mkdir()
    assert "holds 0 pages" in sentence(tmp_path / "empty")
    (pages / "bay.html.gz").write_bytes(b"\x1f\x8bno")
    assert "bay.html.gz cannot be read" in sentence(pages)
    (pages / "bay.txt").unlink()
    assert "bay.txt cannot be read" in sentence(pages)
    assert not out.exists()
