import pytest

from groundup.curate.rules.sentences import count_sentences, is_ended


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("", 0),
        ("Home", 1),
        ("It rains. It pours!", 2),
        ("“Does it rain?” she asked. “It does.” He sighed…  Then he left.", 4),
        ("Mr. Smith and Dr. J. K. Jones met Mrs. Brown. They talked.", 2),
        ("See e.g. the table at 3.14 or example.com.", 1),
        ("Wait... What?! No.", 3),
        ("(He came.) [She left.] They met.", 3),
        ("今日は雨だ。「本当か？」そうだ。", 3),
    ],
)
def test_sentences_are_counted(line: str, sentences: int) -> None:
    assert count_sentences(line) == sentences


@pytest.mark.parametrize(
    "line", ["It rains.", "“It rains!”", "(Does it?)", "雨だ。」", "वर्षा।", "…"]
)
def test_a_line_ends_as_a_sentence_does(line: str) -> None:
    assert is_ended(line)


@pytest.mark.parametrize("line", ["", "Home", "“Home”", "one, two;", "5 > 4"])
def test_a_line_ends_without_a_sentence(line: str) -> None:
    assert not is_ended(line)


def test_a_long_row_of_marks_takes_no_time() -> None:
    assert count_sentences("." * 200_000 + " a") == 1
