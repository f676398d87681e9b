from hypothesis import given
from hypothesis import strategies as st

from groundup.curate.document import Document
from groundup.curate.duplicates.digest import content_digest
from groundup.curate.duplicates.steps import ExactDuplicates
from groundup.curate.notes import Notes

TEXTS = st.lists(st.text(st.sampled_from("ab \n"), max_size=4))


def run(texts):
    documents = [Document(text, f"d{n}", "s") for n, text in enumerate(texts)]
    records = []
    notes = Notes("exact duplicates", records.append)
    kept = [document.id for document in ExactDuplicates().apply(documents, notes)]
    return kept, [(record["id"], record["reason"]) for record in records]


def test_the_first_is_kept_and_the_reason_names_it():
    assert run(["a b", "c", "a\n  b\n", "ab"]) == (
        ["d0", "d1", "d3"],
        [("d2", "has the text of d0")],
    )


@given(TEXTS)
def test_what_is_kept_is_the_first_of_each_text_up_to_white_space(texts):
    first = {tuple(text.split()): f"d{n}" for n, text in reversed(list(enumerate(texts)))}
    kept, rejected = run(texts)
    assert kept == sorted(first.values(), key=lambda name: int(name[1:]))
    assert len(kept) + len(rejected) == len(texts)


@given(st.text(), st.text())
def test_digests_are_equal_exactly_for_the_same_words(a, b):
    assert (content_digest(a) == content_digest(b)) == (a.split() == b.split())


def test_documents_may_have_the_same_id():
    """Python has one object for every empty string, and for every `0`."""
    documents = [Document("same", "", "s"), Document("same", "", "s"), Document("other", "", "s")]
    notes = Notes("exact duplicates", lambda _: None)
    kept = [document.text for document in ExactDuplicates().apply(documents, notes)]
    assert kept == ["same", "other"]
