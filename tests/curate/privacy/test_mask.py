"""What masking promises: nothing of the chosen kinds is left, nothing else changes, no text takes
long."""

import json
import pickle
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from groundup.core.config import from_dict, to_dict
from groundup.core.errors import ConfigError
from groundup.curate.document import Document
from groundup.curate.notes import Notes
from groundup.curate.privacy import DETECTORS, KINDS, Mask

LABELS = Path(__file__).parents[4] / "shared" / "data" / "pii" / "synth_dataset_v2_part.json"

DATA = {
    "email": "ada@example.org",
    "ip": "8.8.4.4",
    "card": "4242 4242 4242 4242",
    "iban": "GB29NWBK60161331926819",
    "phone": "+44 20 7946 0958",
    "us_ssn": "SSN 219-09-9999",
    "es_dni": "DNI 12345678Z",
    "secret": "AKIAIOSFODNN7EXAMPLE",
    "url_credentials": "https://ada:secret@example.org",
    "mac": "3c:22:fb:1a:2b:3d",
}
PIECES = [*DATA.values(), "555-0123", "tel", "BSN 111222333", "943 476 5919 NHS", "12345678Z"]
GLUE = [
    "",
    " ",
    ", ",
    "\n",
    "-",
    "/",
    ".",
    ":",
    "@",
    "1",
    "a",
    "x" * 60,
    " 12 ",
    "+",
    "(",
    "é",
    "话",
]
TEXTS = st.lists(st.sampled_from([*PIECES, *GLUE]), max_size=30).map("".join)
NUMBERS = st.text("0123456789 -./:@+abxXZ", max_size=200)


def document(text: str) -> Document:
    return Document(text=text, id="d", source="s", metadata={"n": 1})


def masked(step: Mask, *texts: str) -> tuple[list[str], dict[str, Any]]:
    notes = Notes("mask", [].append)
    documents = step.apply([document(text) for text in texts], notes)
    return [one.text for one in documents], notes.as_dict()["counts"]


def test_data_are_replaced_and_counted() -> None:
    texts, counts = masked(
        Mask(), "Write to ada@example.org or bo@example.net.", "No data.", "From 8.8.4.4!"
    )
    assert texts == ["Write to <EMAIL> or <EMAIL>.", "No data.", "From <IP>!"]
    assert counts == {"email": 2, "ip": 1}


def test_examples_keep_the_shape_and_are_nobody_s() -> None:
    data = "ada@bo.org, 8.8.4.4, 2606:4700::1, 4242 4242 4242 4242, NL91ABNA0417164300, "
    [found], _ = masked(Mask(replacement="example"), data + "+44 20 7946 0958")
    assert found == (
        "email@example.com, 192.0.2.1, 2001:db8::1, 0000 0000 0000 0000, XX00XXXX0000000000, "
        "+00 00 0000 0000"
    )


@pytest.mark.parametrize("kind", [kind for kind in DATA if kind != "url_credentials"])
def test_only_the_chosen_kinds_are_masked(kind: str) -> None:
    others = [value for other, value in DATA.items() if other not in (kind, "url_credentials")]
    [found], counts = masked(Mask(kinds=(kind,)), " | ".join([DATA[kind], *others]))
    assert counts == {kind: 1}
    assert found.endswith(f"<{kind.upper()}> | " + " | ".join(others))


def test_private_and_hardware_addresses_only_where_asked_for() -> None:
    text = "10.0.0.1 is 3c:22:fb:1a:2b:3d"
    assert masked(Mask(), text)[0] == [text]
    assert masked(Mask(kinds=("private_ip", "mac")), text)[0] == ["<PRIVATE_IP> is <MAC>"]


def test_where_two_kinds_find_a_place_the_stronger_has_it() -> None:
    assert masked(Mask(), "phone, IBAN NL91 ABNA 0417 1643 00")[0] == ["phone, IBAN <IBAN>"]
    assert masked(Mask(), "https://a:b@c.example/")[0] == ["https://<URL_CREDENTIALS>@c.example/"]


@pytest.mark.parametrize("replacement", ["placeholder", "example"])
@example(text="https://ada:secret@example.org")
@given(text=st.one_of(TEXTS, NUMBERS))
def test_nothing_is_left_and_a_second_time_changes_nothing(replacement: Any, text: str) -> None:
    finder = FINDERS[replacement]
    once, _ = finder.mask(text)
    assert finder.find(once) == []
    assert finder.mask(once) == (once, {})


FINDERS = {
    replacement: Mask(kinds=KINDS, replacement=replacement).finder()
    for replacement in ("placeholder", "example")
}


@given(st.text(st.characters(exclude_characters="0123456789@")))
def test_a_text_without_digits_and_at_is_left_as_it_is(text: str) -> None:
    assert FINDERS["placeholder"].mask(text) == (text, {})


@given(TEXTS)
def test_data_stand_in_order_and_do_not_overlap(text: str) -> None:
    found = FINDERS["placeholder"].find(text)
    assert all(one.begin < one.end for one in found)
    assert all(a.end <= b.begin for a, b in pairwise(found))


WORDS = " ".join(sorted({word for detector in DETECTORS for word in detector.context}))
ADVERSARIAL = """
a. 1- @a. a@ 1_ 12_ (1)_ +1 +1_ 1. 1: a1: ::1 1/ A1 0x12_ -1 + ( GB82 GB82_ eyJhbGciOi1. api_key=
token="a1b2c3d4e5f6g7h8! http://a: http://a1:b@ xoxb-1234567890- sk-a1B 4111_1111_ 12345678Z_
-----BEGIN_PRIVATE_KEY----- 212-555-0123/ a@b.co_ 8.8.8.8, a1@a1. 0_0_ RSSMRA85T10A
1234567890123456_"""


@pytest.mark.parametrize("piece", ADVERSARIAL.split())
def test_no_text_takes_long(piece: str) -> None:
    piece = piece.replace("_", " ")
    repeated = piece * (100_000 // len(piece))
    begin = time.perf_counter()
    FINDERS["placeholder"].mask(repeated)
    FINDERS["placeholder"].mask(WORDS + repeated)
    FINDERS["placeholder"].mask((WORDS + piece * 200) * (100_000 // len(WORDS + piece * 200)))
    assert time.perf_counter() - begin < 10  # about a second on a busy machine


def test_it_survives_the_way_to_another_process_and_to_a_file() -> None:
    step = Mask(kinds=("email", "phone"), replacement="example")
    assert pickle.loads(pickle.dumps(step)) == step
    assert from_dict(Mask, json.loads(json.dumps(to_dict(step)))) == step


def test_unknown_kinds_are_named() -> None:
    with pytest.raises(ConfigError, match="there is no kind 'mail': there are secret"):
        from_dict(Mask, {"kinds": ["mail"]})
    with pytest.raises(ConfigError, match="at least one kind"):
        from_dict(Mask, {"kinds": []})


@pytest.mark.skipif(not LABELS.exists(), reason="../shared/data/pii is not here")
def test_labelled_data_are_found() -> None:
    kinds = {"CREDIT_CARD": "card", "EMAIL_ADDRESS": "email", "IBAN_CODE": "iban"}
    kinds |= {"IP_ADDRESS": "ip", "PHONE_NUMBER": "phone", "US_SSN": "us_ssn"}
    finder, labelled, found_of_them, false = Mask().finder(), 0, 0, 0
    for sentence in json.loads(LABELS.read_text(encoding="utf-8")):
        found = finder.find(sentence["full_text"])
        labels = [
            (label["start_position"], label["end_position"], kinds[label["entity_type"]])
            for label in sentence["spans"]
            if label["entity_type"] in kinds
        ]
        places = {(one.begin, one.end, one.detector.kind) for one in found}
        labelled += len(labels)
        found_of_them += len(places.intersection(labels))
        false += len(places.difference(labels))
    assert labelled == 161
    assert found_of_them / labelled > 0.9
    assert false / found_of_them < 0.05
