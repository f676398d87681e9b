"""Web pages and archives of crawls: what is read, and what is rejected with which reason."""

import gzip
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import zstandard
from tests.curate.pdf.writing import paragraph, write_pdf

from groundup.core.errors import InputError
from groundup.curate import web
from groundup.curate.document import Document
from groundup.curate.extract import default_extractor, extractor_of
from groundup.curate.http_message import decode_body, split_response
from groundup.curate.input_file import InputFile
from groundup.curate.readers import is_readable, read_file
from groundup.curate.reading import DEFAULT_READING, Reading
from groundup.curate.web import read_record

pytest.importorskip("resiliparse")
pytest.importorskip("fastwarc")

WARC = Path(__file__).parents[3] / "shared" / "data" / "warc"

TEXT = (
    "The ferry leaves the old harbour at seven, when the fog still lies on the water, and the few "
    "people on board stand at the rail and say nothing, as nobody knows what the day will bring."
)
FOUND = f"The ferry\n\n{TEXT}\n\n{TEXT.upper()}"
PAGE = (
    "<html><head><title>The ferry</title></head><body><nav><a href=/>Home</a></nav><article>"
    f"<h1>The ferry</h1><p>{TEXT}</p><p>{TEXT.upper()}</p></article></body></html>"
).encode()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/html; charset=utf-8", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def warc(records: Iterable[tuple[str, bytes]], length: int | None = None) -> bytes:
    """Records of a type each."""
    parts = []
    for kind, content in records:
        head = (
            f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: https://example.org/{kind}\r\n"
            "WARC-Date: 2026-11-27T00:00:00Z\r\n"
            "Content-Type: application/http; msgtype=response\r\n"
            f"Content-Length: {len(content) if length is None else length}\r\n\r\n"
        )
        parts.append(head.encode() + content + b"\r\n\r\n")
    return b"".join(parts)


def read(path: Path, reading: Reading = DEFAULT_READING) -> tuple[list[Document], list[str]]:
    reasons: list[str] = []
    documents = read_file(
        InputFile(path, path.name, "test", reading), lambda _, reason: reasons.append(reason)
    )
    return [*documents], reasons


def test_the_extractor_is_the_one_that_was_chosen(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(PAGE)
    default_extractor().save(tmp_path / "own.safetensors")
    for name in ("groundup", str(tmp_path / "own.safetensors")):
        documents, _ = read(path, Reading(extractor=name))
        assert documents[0].text == FOUND
    documents, _ = read(path, Reading(extractor="resiliparse"))
    assert documents[0].text == extractor_of("resiliparse")(PAGE.decode())
    with pytest.raises(InputError, match="no extractor other"):
        read(path, Reading(extractor="other"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_the_pages_of_an_archive(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    path = tmp_path / ("crawl.warc" if pack is bytes else "crawl.warc.gz")
    records = [
        ("request", b"GET / HTTP/1.1\r\n\r\n"),
        ("response", answer(PAGE)),
        ("response", answer(gzip.compress(PAGE), "Content-Encoding: gzip")),
        ("response", answer(PAGE, status="404 Not Found")),
    ]
    path.write_bytes(b"".join(pack(warc([record])) for record in records))
    documents, reasons = read(path)
    assert [document.text for document in documents] == [FOUND] * 2
    assert documents[0].metadata["url"] == "https://example.org/response"
    assert documents[0].id.startswith(path.name)
    assert len({document.id for document in documents}) == 2
    assert reasons == ["was answered with status 404"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_record_can_be_read_again(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    records = [
        ("request", b"GET / HTTP/1.1\r\n\r\n"),
        ("response", answer(PAGE)),
        ("response", answer(gzip.compress(PAGE), "Content-Encoding: gzip")),
    ]
    path = tmp_path / ("crawl.warc.zst" if pack is zstandard.compress else "crawl.warc.gz")
    path.write_bytes(b"".join(pack(warc([record])) for record in records))
    documents, _ = read(path)
    offsets = [document.metadata["offset"] for document in documents]
    first = len(pack(warc(records[:1])))
    assert offsets == [first, first + len(pack(warc(records[1:2])))]
    assert [read_record(path, offset) for offset in offsets] == [PAGE.decode()] * 2
    for wrong in (0, first + 1, path.stat().st_size, -1):
        with pytest.raises(InputError, match=r"no page of .*crawl.* can be read from byte"):
            read_record(path, wrong)


def test_of_records_that_are_packed_together_the_first_has_a_place(tmp_path: Path) -> None:
    path = tmp_path / "crawl.warc.gz"
    path.write_bytes(gzip.compress(warc([("response", answer(PAGE))] * 2)))
    documents, _ = read(path)
    assert ["offset" in document.metadata for document in documents] == [True, False]


def test_a_page_that_takes_too_long_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([time.sleep, lambda _: None])
    monkeypatch.setattr(web, "_main_text", lambda *_: next(calls)(20) or "found")
    monkeypatch.setattr(web, "_SECONDS", 0.05)
    path = tmp_path / "crawl.warc"
    path.write_bytes(warc([("response", answer(PAGE))] * 2))
    documents, reasons = read(path)
    assert [document.text for document in documents] == ["found"]
    assert reasons == ["took more than 0.05 seconds"]


def test_a_pdf_in_an_archive(tmp_path: Path) -> None:
    pdf = write_pdf([paragraph(72, 700, ["The ferry leaves the old harbour at seven."])])
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n"
    path = tmp_path / "crawl.warc"
    path.write_bytes(warc([("response", head + pdf), ("response", head + pdf[:200])]))
    documents, reasons = read(path)
    assert [document.text for document in documents] == [
        "The ferry leaves the old harbour at seven."
    ]
    assert documents[0].metadata["url"] == "https://example.org/response"
    assert documents[0].metadata["pages"] == 1
    assert reasons == ["is cut short (it does not end with %%EOF)"]
    with pytest.raises(InputError, match="no page of"):
        read_record(path, documents[0].metadata["offset"])


def test_texts_of_a_wet_file(tmp_path: Path) -> None:
    path = tmp_path / "crawl.warc.wet.gz"
    path.write_bytes(gzip.compress(warc([("conversion", TEXT.encode()), ("conversion", b"\xff")])))
    documents, reasons = read(path)
    assert [document.text for document in documents] == [TEXT]
    assert reasons == ["is not valid UTF-8 (invalid start byte)"]


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"", (), "has no main text"),
        (b"x", ("Content-Encoding: br",), "is in the encoding 'br', which is not read"),
        (gzip.compress(PAGE)[:200], ("Content-Encoding: gzip",), "is cut short"),
        (b"\x1f\x8bdamaged", ("Content-Encoding: gzip",), "is damaged"),
        (gzip.compress(bytes(20 << 20)), ("Content-Encoding: gzip",), "is longer than 16,777,216"),
        (b"x" * (17 << 20), (), "is longer than 16,777,216 bytes"),
    ],
)
def test_a_bad_page_is_rejected(
    tmp_path: Path, body: bytes, headers: tuple[str, ...], reason: str
) -> None:
    path = tmp_path / "crawl.warc"
    path.write_bytes(warc([("response", answer(body, *headers)), ("response", answer(PAGE))]))
    documents, reasons = read(path)
    assert len(documents) == 1  # reading went on
    assert len(reasons) == 1
    assert reason in reasons[0]


def arc(content: bytes, length: int | None = None) -> bytes:
    head = b"filedesc://x.arc 0.0.0.0 20261127 text/plain 3\n1 0\n"
    size = len(content) if length is None else length
    return head + f"\nhttp://example.org/ 1.2.3.4 20261127 text/html {size}\n".encode() + content


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_the_pages_of_an_arc_file(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    path = tmp_path / "crawl.arc.gz"
    path.write_bytes(pack(arc(answer(PAGE))))
    documents, reasons = read(path)
    assert [document.text for document in documents] == [FOUND]
    assert documents[0].metadata["url"] == "http://example.org/"
    assert reasons == []


def test_a_length_of_thousands_of_digits_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "crawl.arc"
    path.write_bytes(b"http://example.org/ 1.2.3.4 20261127 text/html " + b"9" * 5000 + b"\n")
    assert read(path) == ([], ["is no record of an ARC file"])


ONE = warc([("response", answer(PAGE))])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.warc", warc([("response", answer(PAGE))], length=10_000), "is cut short"),
        ("b.warc.gz", b"no archive at all", "is no record of a WARC file"),
        ("c.warc.gz", gzip.compress(ONE)[:200], "is "),
        ("d.arc", arc(answer(PAGE), 100_000), "is cut short"),
        ("e.arc", arc(answer(PAGE), -1), "is no record of an ARC file"),
        ("f.arc.gz", gzip.compress(arc(answer(PAGE)))[:150], "is damaged or cut short"),
    ],
)
def test_a_bad_archive_is_rejected(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    documents, reasons = read(path)
    assert documents == []
    assert reason in reasons[0]


def test_a_page_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "page.HTML"
    path.write_bytes(PAGE)
    assert [document.text for document in read(path)[0]] == [FOUND]
    path.write_bytes(b"<p></p>")
    assert read(path) == ([], ["has no main text"])


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\n\r\n", "Transfer-Encoding: chunked", b"Wikipedia"),
        (b"no chunks", "Transfer-Encoding: chunked", b"no chunks"),
        (b"ff\r\ntoo short", "Transfer-Encoding: chunked", b"ff\r\ntoo short"),
        (zlib.compress(b"x"), "Content-Encoding: deflate", b"x"),
        (b"decoded before", "Content-Encoding: gzip", b"decoded before"),
        (b"as it is", "Content-Encoding: identity", b"as it is"),
    ],
)
def test_a_body_is_decoded(body: bytes, headers: str, expected: bytes) -> None:
    parts = split_response(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode() + body)
    assert parts is not None
    status, head, rest = parts
    assert status == 200
    assert decode_body(rest, head, 100) == expected


@pytest.mark.skipif(not WARC.exists(), reason="../shared/data/warc is not here")
@pytest.mark.parametrize(
    "path", sorted(p for p in WARC.rglob("*arc*") if is_readable(p.name)), ids=lambda p: p.name
)
def test_archives_that_others_found_hard(path: Path) -> None:
    """Whatever is wrong with them, each is read to its end, and every reason is a sentence."""
    documents, reasons = read(path)
    assert all(document.text for document in documents)
    assert all(reason.startswith(("is ", "has ", "was ")) for reason in reasons)
    assert (
        documents or reasons or path.name in ("example-digest.warc", "block-sized-records.warc.gz")
    )


def test_a_packed_page_is_read_and_a_damaged_one_rejected(tmp_path: Path) -> None:
    packed = gzip.compress(PAGE)
    (tmp_path / "a.html.gz").write_bytes(packed)
    (document,), reasons = read(tmp_path / "a.html.gz")
    assert (document.text, document.id, reasons) == (FOUND, "a.html.gz", [])
    (tmp_path / "b.html.gz").write_bytes(packed[:-9])
    documents, (reason,) = read(tmp_path / "b.html.gz")
    assert not documents
    assert reason.startswith("is damaged or cut short")
