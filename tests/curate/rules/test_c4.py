"""C4's rules: lines that stay, lines that go and are counted, documents that are rejected."""

from pathlib import Path

import pytest

from groundup.core.config import from_dict, to_dict
from groundup.core.errors import InputError
from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.rules import C4
from groundup.curate.step import Step

PAGE = """\
Home | News | About
The keeper[1] has lived here for thirty years. He is content.

“In summer a boat comes twice a week,” he says.
It brings bread and letters! [edit]
Click here.
Please enable JavaScript to see the map.
This site uses cookies, as all others do.
Read more about it here...
It is said to be enough?
"""


def run(step: C4, text: str) -> tuple[str | None, Notes, list[dict[str, str]]]:
    records: list[dict[str, str]] = []
    notes = Notes("C4", records.append)
    kept = list(step.apply([Document(text, "d", "s")], notes))
    return (kept[0].text if kept else None), notes, records


def reason(step: C4, text: str) -> tuple[str, str]:
    kept, _, records = run(step, text)
    assert kept is None
    return records[0]["rule"], records[0]["reason"]


def test_lines_that_are_sentences_stay_and_the_others_are_counted() -> None:
    text, notes, _ = run(C4(), PAGE)
    assert text == (
        "The keeper has lived here for thirty years. He is content.\n"
        "“In summer a boat comes twice a week,” he says.\n"
        "It brings bread and letters!\n"
        "It is said to be enough?\n"
    )
    assert notes.counts == {
        "lines without terminal punctuation": 2,
        "lines of few words": 1,
        "lines about JavaScript": 1,
        "lines about policies": 1,
    }
    assert notes.values == {"sentences": {"5": 1}}


def test_what_is_done_can_be_left_out() -> None:
    step = C4(
        min_words=1, terminal_punctuation=False, javascript=False, policies=False, min_sentences=0
    )
    text, notes, _ = run(step, PAGE)
    assert text is not None
    assert len(text.splitlines()) == 9
    assert notes.counts == {}
    assert run(C4(min_sentences=0), "")[0] == ""


def test_a_line_with_a_word_too_long_goes() -> None:
    good = "It is so. " * 5
    _, notes, _ = run(C4(), f"{good}\nA word {'x' * 1001} is here.\nAnd {'x' * 1000} is not.")
    assert notes.counts == {"lines with a long word": 1}


def test_documents_are_rejected_for_what_is_left_of_them() -> None:
    good = "It is so. " * 5
    assert reason(C4(), "It is so. " * 4) == ("min_sentences", "has 4 sentences, fewer than 5")
    assert reason(C4(), good + "Lorem Ipsum dolor.")[0] == "lorem_ipsum"
    assert reason(C4(), good + "if (a) { b }.") == ("curly_brackets", "has a curly bracket")
    assert run(C4(), good + "\n.menu { color: red }")[0] is not None  # that line goes
    assert run(C4(curly_brackets=False, lorem_ipsum=False), good + "{lorem ipsum}.")[0]


def test_bad_words_are_those_of_a_list(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("Heck\n\ngolly  gosh\n東京\n", encoding="utf-8")
    step = C4(bad_words=str(path), min_sentences=1)
    for text in ["What the HECK?", "Golly, gosh, he said.", "_heck_ is here.", "It is 東京 here."]:
        assert reason(step, text)[0] == "bad_words"
    sentence = "has 'golly gosh', which is on the list of bad words"
    assert reason(step, "Oh Golly-Gosh no.")[1] == sentence
    for text in ["He checks heckling.", "Golly, he said, gosh.", "It is 東 or 京."]:
        assert run(step, text)[0] is not None


def test_a_list_that_is_none_is_an_error(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.write_text("\n!\n")
    binary.write_bytes(b"\xff\xfe")
    for path, sentence in [
        (tmp_path / "none.txt", "none.txt: No such file or directory."),
        (empty, "empty.txt has no words: write one a line."),
        (binary, "binary.txt is not valid UTF-8 (invalid start byte)."),
    ]:
        with pytest.raises(InputError) as error:
            run(C4(bad_words=str(path)), PAGE)
        assert str(error.value).endswith(sentence)


def test_it_is_a_config_and_a_step() -> None:
    step: Step = C4()
    assert from_dict(C4, to_dict(step)) == step
