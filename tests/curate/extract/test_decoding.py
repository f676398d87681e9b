"""Encodings of pages: what says which, and what is done where nothing does."""

import pytest

from groundup.curate.extract import decode_page

pytest.importorskip("resiliparse")

PROSE = "Größe naïve – “été” und mehr davon, weil man an wenigen Buchstaben nichts erkennt. " * 4


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (PROSE.encode("utf-8"), None),
        (b"\xef\xbb\xbf" + PROSE.encode("utf-8"), "iso-8859-2"),
        (b"\xff\xfe" + PROSE.encode("utf-16-le"), None),
        (PROSE.encode("windows-1252"), "ISO-8859-1"),  # which browsers take for windows-1252
        (PROSE.encode("utf-8"), "no-such-charset"),
        (PROSE.encode("utf-8"), '"UTF-8"'),
    ],
)
def test_the_text_comes_out(data: bytes, charset: str | None) -> None:
    assert decode_page(data, charset) == PROSE


@pytest.mark.parametrize(
    "meta",
    ["<meta charset=koi8-r>", "<META http-equiv=x content='text/html; charset=KOI8-R'>"],
)
def test_a_page_says_its_encoding(meta: str) -> None:
    page = meta + "Привет"
    assert decode_page(page.encode("koi8-r")) == page


def test_what_the_server_says_comes_before_what_the_page_says() -> None:
    page = "<meta charset=utf-8>Ж"
    assert decode_page(page.encode("koi8-r"), "koi8-r") == page


@pytest.mark.parametrize("name", ["rot13", "base64", "utf-7", "utf-16", "idna", "\0"])
def test_what_is_no_encoding_of_pages_is_passed_over(name: str) -> None:
    assert decode_page("+ADw-é".encode(), name) == "+ADw-é"


def test_bytes_that_are_no_text_are_marked() -> None:
    assert decode_page(b"a\xffb", "utf-8") == "a\ufffdb"
