from hypothesis import given
from hypothesis import strategies as st

from groundup.curate.cut import cut_document, paragraph_end
from groundup.curate.document import Document

TEXTS = st.text(st.sampled_from("ab é\n"), max_size=300)


def parts(text, max_bytes):
    return list(cut_document(Document(text, "f", "s", {"k": 1}), max_bytes))


def test_a_short_document_stays_as_it_is():
    document = Document("one\n\ntwo\n", "f", "s")
    assert list(cut_document(document, 100)) == [document]


def test_a_long_document_is_cut_at_paragraphs():
    cut = parts("first one\n\nsecond\n\nthird and last\n", 22)
    assert [part.text for part in cut] == ["first one\n\nsecond\n\n", "third and last\n"]
    assert [part.id for part in cut] == ["f#1", "f#2"]
    assert {(part.source, part.metadata["k"]) for part in cut} == {("s", 1)}


@given(TEXTS, st.integers(1, 50))
def test_the_parts_joined_are_the_text(text, max_bytes):
    assert "".join(part.text for part in parts(text, max_bytes)) == text


@given(st.text(st.sampled_from("ab \n"), max_size=300), st.integers(1, 50))
def test_parts_of_ascii_are_no_longer_than_asked(text, max_bytes):
    cut = parts(text, max_bytes)
    assert all(part.size <= max_bytes for part in cut)
    assert all(part.text for part in cut) or not text


def test_the_limit_is_in_bytes_whatever_the_script():
    assert [part.text for part in parts("éé éé éé", 10)] == ["éé ", "éé éé"]
    assert [part.text for part in parts("ee ee ee", 5)] == ["ee ", "ee ee"]


def test_the_best_boundary_in_the_second_half_wins():
    assert paragraph_end("aaaaa\n\nb\nc d", 10) == 7
    assert paragraph_end("a\n\nbbbb\nc d", 10) == 8  # the blank line comes too early
    assert paragraph_end("aaaaaaa b c d", 10) == 10
    assert paragraph_end("a" * 20, 10) == 10
    assert paragraph_end("short", 10) == 5
