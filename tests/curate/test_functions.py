"""Steps that call the user's own functions, and what is said where those fail."""

from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import InputError
from groundup.curate.document import Document
from groundup.curate.functions import Call, Score
from groundup.curate.notes import Notes

SOURCE = """
import numpy as np

def marks(texts):
    return [text.count("!") for text in texts]

def shares(texts):
    return np.array([text.count("!") / len(text) for text in texts])

def short(texts):
    return [1.0]

def word(texts):
    return ["many" for _ in texts]

def nothing(texts):
    return [float("nan") for _ in texts]

def together(texts):
    if len(texts) > 1:
        raise RuntimeError("one at a time\\nplease")
    return [0.0]

def no_questions(document):
    document.metadata["asks"] = document.text.count("?")
    if "?" in document.text:
        return f"asks {document.metadata['asks']} questions"

def true(document):
    return True

def broken(document):
    return document.metadata["nowhere"]

number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def run(step: Score | Call, *texts: str) -> tuple[list[Document], list[dict[str, Any]], Notes]:
    rejected: list[dict[str, Any]] = []
    notes = Notes(step.title, rejected.append)
    documents = [Document(text, f"d{n}", "s") for n, text in enumerate(texts)]
    return list(step.apply(documents, notes)), rejected, notes


def test_scores_are_written_down_and_limited(file: Path) -> None:
    step = Score(function=f"{file}:marks", least=1, most=2)
    kept, rejected, notes = run(step, "a", "b!", "c!!", "d!!!")
    assert [document.metadata for document in kept] == [{"marks": 1}, {"marks": 2}]
    assert [record["reason"] for record in rejected] == [
        "has 0, less than 1",
        "has 3, more than 2",
    ]
    assert notes.rejected == {"marks": 2}
    assert notes.values["marks"] == {"0": 1, "1": 1, "2": 1, "3": 1}


def test_an_array_of_scores_is_as_good_as_a_list(file: Path) -> None:
    kept, _, _ = run(Score(function=f"{file}:shares", name="calls"), "ab!!")
    assert kept[0].metadata == {"calls": 0.5}
    assert isinstance(kept[0].metadata["calls"], float)


def test_a_function_gives_the_reason_to_drop_a_document(file: Path) -> None:
    kept, rejected, notes = run(Call(function=f"{file}:no_questions"), "Yes.", "Why? How?")
    assert [document.metadata for document in kept] == [{"asks": 0}]
    assert rejected[0]["reason"] == "asks 2 questions"
    assert notes.rejected == {"no_questions": 1}


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (Score(function="shares"), "d1 with ZeroDivisionError: division by zero (line 8)."),
        (Score(function="short"), "returned 1 scores for 3 texts."),
        (Score(function="word"), "returned 'many' for document d0: a score is a number."),
        (Score(function="nothing"), "returned nan for document d0: a score is a number."),
        (Score(function="together"), "d0 with RuntimeError: one at a time please (line 21)."),
        (Score(function="number"), "is not a function: name a function, or an instance of a class, "
         "that takes a list of texts."),
        (Score(function="none"), "defines no 'none'."),
        (Call(function="true"), "returned True for document d0: return None to keep a document, or "
         "the reason to drop it."),
        (Call(function="broken"), "failed for document d0 with KeyError: 'nowhere' (line 33)."),
    ],
)  # fmt: skip
def test_a_defect_ends_the_run_with_one_sentence(
    step: Score | Call, sentence: str, file: Path
) -> None:
    step = type(step)(function=f"{file}:{step.function}")
    with pytest.raises(InputError) as raised:
        run(step, "a!", "", "b")
    assert str(raised.value).endswith(sentence)
    assert "\n" not in str(raised.value)


def test_interruptions_are_no_defects(file: Path) -> None:
    file.write_text("def stop(document):\n    raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        run(Call(function=f"{file}:stop"), "a")
