"""PDF files, written here by hand: what is read, in which order, and what is rejected."""

import io
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.curate.pdf.writing import LETTER, Text, paragraph, write_pdf

from groundup.curate.document import Document
from groundup.curate.input_file import InputFile
from groundup.curate.pdf import reader
from groundup.curate.readers import read_file

pytest.importorskip("pypdfium2")

WORDS = "the tide took what sand there was along this coast and gave it back in other years".split()
PROSE = [
    "In winter the harbour is still, and",
    "the boats lie on the shingle with",
    "their keels to the wind.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pdf")


def read(folder: Path, data: bytes) -> tuple[list[Document], list[str]]:
    path = folder / "a.pdf"
    path.write_bytes(data)
    reasons: list[str] = []
    documents = read_file(InputFile(path, "a.pdf", "test"), lambda _, why: reasons.append(why))
    return [*documents], reasons


def text(folder: Path, *pages: list[Text], **options: int) -> str:
    documents, reasons = read(folder, write_pdf(pages, **options))
    assert reasons == []
    return documents[0].text


def lines(count: int, chars: int, seed: int = 0) -> list[str]:
    """Lines of words, each as full as it can be."""
    chance = random.Random(seed)
    line, filled = chance.choice(WORDS), []
    while len(filled) < count:
        word = chance.choice(WORDS)
        if len(line) + 1 + len(word) > chars:
            filled.append(line)
            line = word
        else:
            line += " " + word
    return filled


def test_lines_become_paragraphs(folder: Path) -> None:
    shown = text(
        folder,
        [
            Text(50, 700, "The harbour", size=16),
            *paragraph(50, 670, PROSE),
            *paragraph(50, 620, ["A paragraph behind a gap is", "another one."]),
            *paragraph(62, 596, ["One that is indented, too, be-"]),
            *paragraph(50, 584, ["cause it begins further right."]),
        ],
    )
    assert shown == (
        "The harbour\n\n"
        "In winter the harbour is still, and the boats lie on the shingle with their keels to the "
        "wind.\n\n"
        "A paragraph behind a gap is another one.\n\n"
        "One that is indented, too, because it begins further right."
    )


def test_a_document_says_how_many_pages_it_has(folder: Path) -> None:
    ((document,), _) = read(folder, write_pdf([paragraph(50, 700, PROSE), [], []]))
    assert (document.id, document.metadata) == ("a.pdf", {"pages": 3})


@given(
    columns=st.integers(1, 3),
    rows=st.integers(6, 20),
    shift=st.floats(0, 12),
    seed=st.integers(0, 1000),
    title=st.booleans(),
    across=st.booleans(),
)
@settings(max_examples=40)
def test_columns_are_read_one_after_the_other(
    folder: Path, columns: int, rows: int, shift: float, seed: int, title: bool, across: bool
) -> None:
    """Whether they are drawn so or row by row, and whether or not their rows are at one height."""
    width = {1: 70, 2: 34, 3: 22}[columns]
    step = (width + 2) * LETTER * 10
    texts = [lines(rows, width, seed + column) for column in range(columns)]
    drawn = [
        Text(50 + column * step, 600 - 12 * row - (shift if column else 0), texts[column][row])
        for column in range(columns)
        for row in range(rows)
    ]
    if across:
        drawn.sort(key=lambda text: -text.y)
    head = [Text(80, 650, "What the sea does at night to the coast of this land")] if title else []
    assert text(folder, [*head, *drawn]).split() == [
        *(word for line in head for word in line.text.split()),
        *(word for column in texts for line in column for word in line.split()),
    ]


def test_a_line_across_all_columns_parts_them(folder: Path) -> None:
    """Columns above a title are read before it, those below after it."""
    pieces = [lines(5, 34, seed) for seed in range(4)]
    title = "HERE BEGINS ANOTHER PART OF THE PAGE, OF TWO COLUMNS AS WELL"
    shown = text(
        folder,
        [
            *paragraph(50, 700, pieces[0]),
            *paragraph(270, 700, pieces[1]),
            Text(70, 610, title),
            *paragraph(50, 580, pieces[2]),
            *paragraph(270, 580, pieces[3]),
        ],
    )
    expected = [*pieces[0], *pieces[1], title, *pieces[2], *pieces[3]]
    assert shown.split() == " ".join(expected).split()


def test_a_sentence_that_a_page_cuts_in_two_is_put_together(folder: Path) -> None:
    first = ["The last of the boats came home when", "it was dark, and those who had waited"]
    second = ["on the pier went home as well, with-", "out a word."]
    shown = text(folder, paragraph(50, 100, first), paragraph(50, 700, second))
    assert shown == (
        "The last of the boats came home when it was dark, and those who had waited on the pier "
        "went home as well, without a word."
    )


def test_rows_of_a_table_stay_rows(folder: Path) -> None:
    rows = [("Port", "Boats", "Fish"), ("North", "12", "340 t"), ("South", "7", "95 t")]
    cells = [
        Text(50 + 120 * column, 700 - 14 * row, cell)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
    ]
    assert text(folder, cells) == "\n".join("\t".join(row) for row in rows)


def test_verses_and_items_stay_lines(folder: Path) -> None:
    verses = ["The sea is calm tonight and wide,", "The stars", "Stand over all that there is."]
    items = ["\x95 one net", "\x95 two oars, of which the second is for", "  the boy"]
    shown = text(
        folder,
        [
            *paragraph(50, 700, verses),
            *paragraph(50, 600, [item.encode("latin-1").decode("cp1252") for item in items]),
        ],
    )
    assert (
        shown == "\n".join(verses) + "\n\n• one net\n• two oars, of which the second is for the boy"
    )


def test_what_runs_along_the_margin_comes_last(folder: Path) -> None:
    stamp = Text(20, 300, "stamped on the ninth of May", turn=1)
    shown = text(folder, [stamp, *paragraph(50, 700, PROSE)])
    assert shown.endswith("their keels to the wind.\n\nstamped on the ninth of May")


@pytest.mark.parametrize("turn", range(4))
def test_a_page_may_be_turned(folder: Path, turn: int) -> None:
    """As it is written, and as it is to be shown."""
    place = [(50, 700, 0, -12), (100, 50, 12, 0), (550, 100, 0, 12), (500, 700, -12, 0)][turn]
    x, y, right, up = place
    drawn = [Text(x + right * n, y + up * n, line, turn=turn) for n, line in enumerate(PROSE)]
    assert text(folder, drawn) == " ".join(PROSE)
    assert text(folder, drawn, rotate=90 * turn) == " ".join(PROSE)


def test_running_heads_and_page_numbers_are_left_out(folder: Path) -> None:
    pages = []
    bodies = [lines(8, 40, seed) for seed in range(6)]
    for number, body in enumerate(bodies):
        body = paragraph(50, 650, [*body[:-1], body[-1] + "."])
        head = "THE LOG OF THE SWALLOW" if number % 2 else "CHAPTER ONE: THE NORTH"
        pages.append([Text(50, 760, head), *body, Text(300, 30, f"- {number + 7} -")])
    pages[3].append(Text(50, 45, "* The swallow, a boat."))
    shown = text(folder, *pages)
    assert shown == "\n\n".join(
        f"{' '.join(body)}." + ("\n\n* The swallow, a boat." if number == 3 else "")
        for number, body in enumerate(bodies)
    )


def test_numbers_that_do_not_count_with_the_pages_stay(folder: Path) -> None:
    years = [1802, 1809, 1817, 1823, 1824]
    pages = [[Text(50, 700, f"In {year}")] for year in years]
    assert text(folder, *pages) == "\n\n".join(f"In {year}" for year in years)


def test_ligatures_become_letters_and_control_characters_go(folder: Path) -> None:
    assert text(folder, [Text(50, 700, "\x01sh, \x02oes and sta\x03")]) == "fish, floes and staff"


def test_what_matplotlib_writes(folder: Path) -> None:
    """Another writer, with fonts of its own in the file, which has no spaces."""
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=(8.5, 11))
    for number, line in enumerate(PROSE):
        figure.text(0.1, 0.9 - 0.02 * number, line)
    file = io.BytesIO()
    figure.savefig(file, format="pdf")
    documents, _ = read(folder, file.getvalue())
    assert [document.text for document in documents] == [" ".join(PROSE)]


def test_a_file_without_a_password_may_be_encrypted(folder: Path) -> None:
    """Against printing, for instance: its text is anybody's to read."""
    documents, _ = read(folder, write_pdf([paragraph(50, 700, PROSE)], password=""))
    assert [document.text for document in documents] == [" ".join(PROSE)]


WHOLE = write_pdf([paragraph(50, 700, PROSE)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (write_pdf([paragraph(50, 700, PROSE)], password="secret"), "needs a password"),
        (write_pdf([[]]), "has no text (its pages are pictures, or empty)"),
        (b"", "is no PDF (it does not begin with %PDF-)"),
        (b"<html>not found</html>", "is no PDF (it does not begin with %PDF-)"),
        (b"%PDF-1.4\n%%EOF", "is damaged ("),
        (WHOLE[:-200], "is cut short (it does not end with %%EOF)"),
        (WHOLE[:300], "is cut short (it does not end with %%EOF)"),
    ],
    ids=["password", "empty page", "empty", "html", "nothing in it", "end cut off", "half"],
)
def test_a_bad_file_is_rejected(folder: Path, data: bytes, reason: str) -> None:
    documents, reasons = read(folder, data)
    assert documents == []
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)


def test_blanks_behind_the_end_do_no_harm(folder: Path) -> None:
    assert len(read(folder, WHOLE + b"\0" * 5000 + b"\n")[0]) == 1


@pytest.mark.parametrize("password", [None, "", "secret"])
def test_wherever_a_file_is_cut_off_it_is_read_or_rejected(
    folder: Path, password: str | None
) -> None:
    whole = write_pdf([paragraph(50, 700, PROSE)] * 2, password=password)
    for length in range(0, len(whole), 10):
        for end in (b"", b"\n%%EOF\n"):
            documents, reasons = read(folder, whole[:length] + end)
            assert len(documents) + len(reasons) == 1


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=30))
@settings(max_examples=200)
def test_whatever_bytes_are_damaged_a_file_is_read_or_rejected(
    folder: Path, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(WHOLE)
    for place, byte in damage:
        data[place] = byte
    documents, reasons = read(folder, bytes(data))
    assert len(documents) + len(reasons) == 1


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("_PAGES", 2, "has 3 pages, more than 2"),
        ("_CHARS", 200, "has more than 200 characters"),
        ("_SECONDS", 0.001, "took more than 0.001 seconds"),
    ],
)
def test_limits(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float, reason: str
) -> None:
    if limit == "_SECONDS":
        monkeypatch.setattr(reader, "_pages", lambda _: time.sleep(5))
    monkeypatch.setattr(reader, limit, value)
    assert read(folder, write_pdf([paragraph(50, 700, PROSE)] * 3)) == ([], [reason])
