"""Documents lead back to their web pages, of which nothing is left that loads or runs."""

import gzip
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.curate.test_web import PAGE, answer, warc

from groundup.curate.document import Document
from groundup.curate.input_file import InputFile
from groundup.curate.pages import Pages, still
from groundup.curate.readers import read_file

pytest.importorskip("resiliparse")
pytest.importorskip("fastwarc")

SECOND = PAGE.replace(b"The ferry leaves", b"The night train leaves")
CRAWL = warc(
    [
        ("warcinfo", b"no page"),
        ("response", answer(PAGE)),
        ("request", b"GET / HTTP/1.1\r\n\r\n"),
        ("response", answer(gzip.compress(SECOND), "Content-Encoding: gzip")),
        ("conversion", b"A text by itself."),
        ("response", answer(b"Not found, and here is why.", status="404 Not Found")),
    ]
)


def members(data: bytes) -> bytes:
    """Each record packed by itself, as crawls have it."""
    records = re.split(rb"(?=WARC/1\.0\r\n)", data)
    return b"".join(gzip.compress(record) for record in records if record)


@pytest.mark.parametrize(("name", "pack"), [("a.warc", bytes), ("a.warc.gz", members)])
def test_a_record_is_found_by_where_it_begins(tmp_path: Path, name: str, pack: object) -> None:
    assert callable(pack)
    path = tmp_path / "sub" / name
    path.parent.mkdir()
    path.write_bytes(pack(CRAWL))
    documents = list(read_file(InputFile(path, f"sub/{name}", "test"), lambda *_: None))
    first, second = (Pages(tmp_path).find(d.id, d.metadata) for d in documents[:2])
    assert "The ferry leaves the old harbour" in (first or "")
    assert "The night train" in (second or "")
    assert "<nav>" in (second or "")
    for nowhere in ({}, {"offset": "2"}, {"offset": -1}, {"offset": 1}):
        assert Pages(tmp_path).find(documents[0].id, nowhere) is None


def test_the_records_are_those_that_the_reader_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(CRAWL)
    found: dict[str, str] = {}

    def reject(document: Document, reason: str) -> None:
        found[document.id] = reason

    for document in read_file(InputFile(path, path.name, "test"), reject):
        found[document.id] = document.text
    assert found["a.warc#1"].startswith("The ferry")
    assert "The night train" in found["a.warc#2"]
    assert found["a.warc#4"] == "was answered with status 404"


def test_a_file_is_its_own_page(tmp_path: Path) -> None:
    (tmp_path / "a.HTML").write_bytes("<p>größer".encode("latin-1"))
    (tmp_path / "a.txt").write_bytes(PAGE)
    pages = Pages(tmp_path)
    assert pages.find("a.HTML", {}) == "<html><head></head><body><p>größer</p></body></html>"
    assert pages.find("a.txt", {}) is None


@pytest.mark.parametrize(
    "name",
    ["../secret.html", "/etc/secret.html", "in/../../secret.html", "../a.warc#1", "x\0.html", ""],
)
def test_an_id_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.html").write_bytes(PAGE)
    (tmp_path / "a.warc").write_bytes(CRAWL)
    assert Pages(tmp_path / "in").find(name, {}) is None
    absolute = Pages(tmp_path / "in").find(str(tmp_path / "secret.html"), {})
    assert absolute is None


@pytest.mark.parametrize("data", [b"", b"no archive", CRAWL[:900]])
def test_what_is_not_there_any_more_is_no_page(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.warc").write_bytes(data)
    assert Pages(tmp_path).find("a.warc#2", {"offset": 10**9}) is None
    assert Pages(tmp_path).find("a.warc#2", {}) is None
    assert Pages(tmp_path).find("b.warc#1", {}) is None


HOSTILE = """<!doctype html><html lang=en onload=x()><head><base href="http://h/">
<meta http-equiv=refresh content="0;url=http://h/"><LINK rel=preconnect href="http://h">
<title>A &lt;b&gt;</title><style>@import "http://h/"; p { color: red; background: URL(http://h) }
</style><script>run("</p>")</script></head><body background="http://h" class=k>
<p style="color: blue; background: url(http://h)" onclick='x("a > b")'>one</p>
<img src="http://h" srcset="http://h 2x" alt="a picture" onerror=x()>
<a href="javascript:x()" target=_top ping="http://h">two</a>
<form action="http://h"><input autofocus></form>
<svg><image href="http://h"/><use xlink:href="http://h"/></svg><!-- <link> -->
<iframe src="http://h"><link rel=preconnect></iframe><object data="http://h">three</object>
<template><p>hidden</p></template><video src="http://h" poster="http://h"></video>
<noscript><p>four</p></noscript></body></html>"""


def test_what_is_left_of_a_page_loads_nothing_and_says_the_same() -> None:
    left = still(HOSTILE)
    assert "http://h" not in re.sub(r"<style>.*?</style>|style=\"[^\"]*\"", "", left, flags=re.S)
    assert "url(" not in left.lower()
    assert not re.search(r"<(script|link|base|meta|iframe|object|template)\b|\son\w+=", left)
    assert '<p style="color: blue; background: no(http://h)">one</p>' in left
    assert "p { color: red; background: no(http://h) }" in left
    assert '<img alt="a picture">' in left
    assert '<a href="about:srcdoc#">two</a>' in left
    assert "three" in left
    assert "<noscript><p>four</p></noscript>" in left
    assert "<x-template hidden><p>hidden</p></x-template>" in left


@given(
    st.lists(
        st.sampled_from(
            '< > " = / a <a <link <LINK </ <!-- --> <style> </style> <svg> <math> <noscript> <xmp> '
            "</xmp> <plaintext> <textarea> <title> &lt; &lt;link <script> </script> "
            "<template>".split()
        ),
        max_size=30,
    )
)
def test_no_link_is_left_whatever_a_page_is_made_of(parts: list[str]) -> None:
    left = still(" ".join(parts))
    assert "<link" not in left.lower()
    assert "<link" not in still(left).lower()


@pytest.mark.parametrize(
    "part",
    ["<p ", "<div>", "<link>", '&lt;a "', "&lt;script ", "&lt;!--", "<script>", '<a b="', "a=1 "],
)
def test_no_page_takes_long(part: str) -> None:
    for before in ("", "<plaintext>", "<svg><style>&lt;/style>"):
        begin = time.process_time()
        still(before + part * 100_000)
        assert time.process_time() - begin < 5
