"""A crawl to measure curation with: web pages made around given texts.

What a crawl is made of is drawn for each page:

    articles      a text of the given ones in the page of some site: head, navigation, offers,
                  comments, foot
    again         an article that was there, at another address, on a page of another site
    edited        an article that was there, with a few words changed
    lists         links and their teasers, without a text
    shops         the same few words in every order
    numbers       a table
    noise         bytes of another encoding, characters at random
    foreign       a text in another language
    errors        answers that are no page

The shares are a guess at what a crawl has before any filter, and kinder than most: of the pages of
Common Crawl RefinedWeb keeps about a tenth (Penedo et al. 2023, figure 2). Everything is drawn from
the seed.
"""

import gzip
import html
import io
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundup.core.files import atomic_file
from groundup.curate.document import Document, encode_document

SHARES = {
    "articles": 0.34,
    "again": 0.14,
    "edited": 0.08,
    "lists": 0.14,
    "shops": 0.08,
    "numbers": 0.05,
    "noise": 0.05,
    "foreign": 0.08,
    "errors": 0.04,
}

_ARTICLE = 4_000  # characters
_FILES = 16

# what stands between two tags, but for scripts and styles
_TEXT = re.compile(r"(?<=>)(?<!script>)(?<!style>)[^<>{}]{20,}(?=<)")

_SITES = ("daily-courier", "field-notes", "harbour-review", "old-mill-press", "north-gazette")
_TOPICS = ("Home", "World", "Science", "Travel", "Sports", "Letters", "Archive", "About us")
_WARES = "cheap best buy shoes watches online free shipping discount deal sale offer brand".split()
_COMMENTS = (
    "Great post!",
    "First!",
    "I could not agree more.",
    "Who writes this?",
    "Thanks, shared.",
)


@dataclass(frozen=True)
class Page:
    """kind: one of `SHARES`. text: what is worth reading of it."""

    kind: str
    url: str
    status: int
    content_type: str
    body: bytes
    text: str = ""


def write_crawl(texts: Path, foreign: Path, to: Path, seed: int = 0) -> dict[str, int]:
    """A folder to compare a raw corpus with its curated one; returns how many pages it has of each
    kind, and how many texts are `held_out`.

        crawl/            WARC files
        raw.jsonl         all that is visible of each page that is one, as WET files have it
        held-out.jsonl    a tenth of the articles, which are on no page

    texts: a folder of .txt files in English. foreign: one of sentences in other languages, which
    may be missing.
    """
    from resiliparse.extract.html2text import extract_plain_text

    articles = articles_of(texts)
    held = len(articles) // 10
    pages = list(make_pages(articles[held:], sentences_of(foreign), seed))
    write_files(pages, to / "crawl", _FILES)
    with atomic_file(to / "raw.jsonl", "w") as file:
        for page in pages:
            if page.status == 200:
                text = extract_plain_text(page.body.decode(), main_content=False)
                file.write(encode_document(Document(text=text, id=page.url, source="crawl")))
    with atomic_file(to / "held-out.jsonl", "w") as file:
        for number, text in enumerate(articles[:held]):
            file.write(encode_document(Document(text=text, id=str(number), source="held out")))
    return {**Counter(page.kind for page in pages), "held_out": held}


def articles_of(texts: Path) -> list[str]:
    """Pieces of all .txt files below a folder, shuffled."""
    files = sorted(texts.rglob("*.txt"))
    whole = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    articles = [piece for text in whole for piece in pieces(text, _ARTICLE)]
    random.Random(0).shuffle(articles)
    return articles


def sentences_of(foreign: Path) -> list[str]:
    """Some sentences at a time of LANGUAGE.sentences.txt, of other languages than English."""
    texts = []
    for path in sorted(foreign.glob("*.sentences.txt")):
        if not path.name.startswith("en."):
            lines = path.read_text(encoding="utf-8").splitlines()
            texts += [" ".join(lines[i : i + 30]) for i in range(0, len(lines), 30)]
    return texts


def write_files(pages: Sequence[Page], folder: Path, files: int) -> None:
    """The pages in turn, in so many WARC files."""
    folder.mkdir(parents=True)
    for number in range(files):
        write_warc(pages[number::files], folder / f"crawl-{number:05}.warc.gz")


def make_pages(texts: Sequence[str], foreign: Sequence[str], seed: int = 0) -> Iterator[Page]:
    """Pages until each of `texts` was an article once. foreign: texts in other languages."""
    draw = random.Random(seed)
    kinds = [kind for kind in SHARES if kind != "foreign" or foreign]
    weights = [SHARES[kind] for kind in kinds]
    written: list[str] = []
    number = 0
    while len(written) < len(texts):
        kind = draw.choices(kinds, weights)[0]
        if kind in ("again", "edited") and not written:
            continue
        number += 1
        site = draw.choice(_SITES)
        url = f"https://{site}.example/{kind}/{number}.html"
        if kind == "errors":
            yield Page(kind, url, 404, "text/html", _page(site, "Not found", "", draw))
            continue
        text = ""
        if kind == "articles":
            text = texts[len(written)]
            written.append(text)
        elif kind == "again":
            text = draw.choice(written)
        elif kind == "edited":
            text = _edited(draw.choice(written), draw)
        elif kind == "foreign":
            text = draw.choice(foreign)
        body = {"lists": _teasers, "shops": _shop, "numbers": _table, "noise": _noise}
        main = body[kind](draw) if kind in body else _paragraphs(text)
        yield Page(
            kind, url, 200, "text/html; charset=utf-8", _page(site, "News", main, draw), text
        )


def varied(pages: Sequence[str], copies: int, seed: int = 0) -> Iterator[Page]:
    """Given pages of the web so many times, each time with every fifth word of their texts another,
    so that no two are nearly the same."""
    draw = random.Random(seed)

    def change(text: re.Match[str]) -> str:
        words = text[0].split(" ")
        words[4::5] = [f"word{draw.randrange(10**6)}" for _ in words[4::5]]
        return " ".join(words)

    for copy in range(copies):
        for number, page in enumerate(pages):
            head, mark, body = page.partition("<body")
            changed = head + mark + _TEXT.sub(change, body)
            url = f"https://real.example/{copy}/{number}.html"
            yield Page("real", url, 200, "text/html; charset=utf-8", changed.encode())


def write_warc(pages: Sequence[Page], to: Path) -> None:
    """A WARC file (ISO 28500), a member of gzip for each record."""
    with atomic_file(to) as file:
        for number, page in enumerate(pages):
            head = f"HTTP/1.1 {page.status} X\r\nContent-Type: {page.content_type}\r\n\r\n"
            answer = head.encode() + page.body
            record = (
                "WARC/1.0\r\nWARC-Type: response\r\n"
                f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012}>\r\n"
                "WARC-Date: 2026-01-01T00:00:00Z\r\n"
                f"WARC-Target-URI: {page.url}\r\n"
                "Content-Type: application/http; msgtype=response\r\n"
                f"Content-Length: {len(answer)}\r\n\r\n"
            )
            with io.BytesIO() as member:
                with gzip.GzipFile(fileobj=member, mode="wb", compresslevel=6, mtime=0) as packed:
                    packed.write(record.encode() + answer + b"\r\n\r\n")
                file.write(member.getvalue())


def pieces(text: str, characters: int) -> list[str]:
    """A long text in pieces of whole paragraphs, each of about so many characters."""
    found: list[str] = []
    current: list[str] = []
    for paragraph in text.split("\n\n"):
        current.append(" ".join(paragraph.split()))
        if sum(map(len, current)) >= characters:
            found.append("\n\n".join(filter(None, current)))
            current = []
    return found


def _edited(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    for _ in range(max(1, len(words) // 200)):
        words[draw.randrange(len(words))] = "reportedly"
    return " ".join(words)


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{html.escape(part)}</p>\n" for part in text.split("\n\n"))


def _teasers(draw: random.Random) -> str:
    items = (
        f'<li><a href="/{n}">{" ".join(draw.sample(_TOPICS + _SITES, 4))}</a> '
        f"<span>{draw.randrange(1, 28)} May</span> <a href='/more'>Read more</a></li>"
        for n in range(draw.randrange(10, 60))
    )
    return f"<ul>{''.join(items)}</ul>"


def _shop(draw: random.Random) -> str:
    lines = (" ".join(draw.choices(_WARES, k=12)) for _ in range(draw.randrange(5, 40)))
    return "".join(f"<p>{line}</p>" for line in lines)


def _table(draw: random.Random) -> str:
    rows = (
        "<tr>" + "".join(f"<td>{draw.random() * 1000:.2f}</td>" for _ in range(8)) + "</tr>"
        for _ in range(draw.randrange(20, 200))
    )
    return f"<table>{''.join(rows)}</table>"


def _noise(draw: random.Random) -> str:
    signs = "".join(chr(draw.randrange(0xA1, 0x250)) for _ in range(draw.randrange(500, 4000)))
    return f"<p>{html.escape(signs)}</p>"


def _page(site: str, title: str, main: str, draw: random.Random) -> bytes:
    """A page of a site, whose frame is always the same but for what it offers beside the text."""
    links = "".join(f'<li><a href="/{topic}">{topic}</a></li>' for topic in _TOPICS)
    offers = "".join(
        f'<div class="card"><a href="/x{n}">{" ".join(draw.sample(_WARES, 5))}</a></div>'
        for n in range(6)
    )
    comments = "".join(
        f"<div class=c><b>user{draw.randrange(999)}</b> {draw.choice(_COMMENTS)}</div>"
        for _ in range(draw.randrange(6))
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} | {site}</title>
<script>window.analytics = {{site: "{site}", id: {draw.randrange(10**6)}}};</script>
<style>body {{ margin: 0 }} .card {{ float: left }}</style></head>
<body><header><h1><a href="/">{site}</a></h1><nav><ul>{links}</ul></nav></header>
<div class="cookies">We use cookies to improve your experience. <button>Accept</button></div>
<main><article><h2>{title}</h2>
{main}</article></main>
<aside><h3>You may also like</h3>{offers}</aside>
<section class="comments"><h3>Comments</h3>{comments}</section>
<footer><p>© 2026 {site}. All rights reserved. <a href="/privacy">Privacy policy</a>
<a href="/terms">Terms of use</a> Subscribe to our newsletter.</p></footer></body></html>
""".encode()
