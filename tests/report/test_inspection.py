"""The page of a curation: whole, quiet, and safe to open whatever the crawl has found."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.curate.test_curation import EVERYTHING, run, texts_with_repeats, write_texts
from tests.curate.test_web import TEXT, answer, warc
from tests.report.strict_page import Page
from tests.serve.pages import browser, browsing

from groundup.curate.duplicates.steps import NearDuplicates
from groundup.curate.inspection import Measure, inspect_curation
from groundup.report.inspection import fold, headlines, render_inspection, write_inspection

__all__ = ["browser"]  # a fixture, which tests below ask for

pytest.importorskip("resiliparse")
pytest.importorskip("fastwarc")


@dataclass
class Listener:
    """url: of a server that notes what is asked of it, and who connects."""

    url: str = ""
    requests: list[str] = field(default_factory=list)
    connections: int = 0


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    noted = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            noted.requests.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    class Server(ThreadingHTTPServer):
        def get_request(self) -> Any:
            noted.connections += 1
            return super().get_request()

    with Server(("127.0.0.1", 0), Handler) as server:
        noted.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield noted
        server.shutdown()
        thread.join()


def hostile_page(url: str) -> str:
    """Everything by which a page runs, loads or leads away."""
    return f"""<!doctype html><html onload="top.document.title='owned'"><head>
<meta http-equiv=refresh content="0;url={url}/refresh"><base href="{url}/base/">
<link rel=preconnect href="{url}"><link rel=stylesheet href="{url}/css">
<link rel=preload as=script href="{url}/preload"><link rel=prefetch href="{url}/prefetch">
<style>@import "{url}/import"; body {{ background: url({url}/background) }}</style>
<script>parent.document.title = 'owned'; fetch('{url}/fetch')</script>
<script src="{url}/script"></script></head><body><article><h1>Free</h1><p>{TEXT}</p><p>{TEXT}</p>
</article><img src="{url}/image" alt="an image"><img src=x onerror="fetch('{url}/onerror')">
<a id=top href="{url}/top" target=_top>top</a> <a id=self href="{url}/self">self</a>
<a id=blank href="{url}/blank" target=_blank ping="{url}/ping">blank</a>
<a id=script href="javascript:fetch('{url}/javascript')">script</a>
<form action="{url}/form"><input name=q><button id=send>send</button></form>
<iframe src="{url}/frame"></iframe><object data="{url}/object"></object><embed src="{url}/embed">
<video src="{url}/video" poster="{url}/poster" autoplay></video>
<svg><image href="{url}/svg"/></svg></body></html>"""


NEAR = [
    f"</pre><script>alert({n})</script> " + " ".join(f"w{i}" for i in range(60)) for n in (1, 2)
]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory, listener: Listener, hostile: str) -> Path:
    """A run on pages and texts that are hostile: kept ones, rejected ones, near-duplicates."""
    folder = tmp_path_factory.mktemp("crawl")
    data = folder / "in"
    data.mkdir()
    page = hostile_page(listener.url)
    (data / "page.html").write_text(page)
    copy = answer(page.replace("Free", "Bought").encode())
    empty = answer(page.replace(TEXT, "").encode())
    (data / "a.warc").write_bytes(warc([("response", copy), ("response", empty)]))
    texts = [hostile.replace("\ud800", "") + " and more", *NEAR]
    lines = [{"text": text, "id": f"<b onclick=x()>{n}\x1b"} for n, text in enumerate(texts)]
    (data / "texts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (data / "bad.jsonl").write_text("</pre><script>\n")
    config = replace(EVERYTHING, steps=(NearDuplicates(threshold=0.7),))
    run(config, data, folder / "crawl")
    return folder / "crawl"


@pytest.fixture(scope="module")
def inspected(crawl: Path) -> Page:
    return Page(write_inspection(crawl, inspect_curation(crawl)).read_text(encoding="utf-8"))


def test_the_page_has_every_section(inspected: Page) -> None:
    sections = [attrs["id"] for tag, attrs in inspected.tags if tag == "section"]
    assert sections == ["funnel", "kept", "rejected", "near-duplicates"]
    assert inspected.named("href") == [f"#{section}" for section in sections]


def test_nothing_hostile_leaves_its_element(inspected: Page) -> None:
    assert not {"script", "link", "img", "object", "b"} & {tag for tag, _ in inspected.tags}
    assert not inspected.named("src")
    assert not [name for _, attrs in inspected.tags for name in attrs if name.startswith("on")]
    assert "<b onclick=x()>0␛" in inspected.inside("p")
    assert any(
        text.startswith("</pre><script>alert(1)</script> w0") for text in inspected.inside("pre")
    )


def test_frames_are_sandboxes_under_a_policy_of_their_own(inspected: Page) -> None:
    frames = [attrs for tag, attrs in inspected.tags if tag == "iframe"]
    assert len(frames) == 3
    head = (
        '<!doctype html><meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )
    for frame in frames:
        assert frame["sandbox"] == ""
        page = frame["srcdoc"] or ""
        assert page.startswith(head)
        assert "<script" not in page
        assert "http://" not in re.sub(r"(?s)<style>.*?</style>", "", page)
    (own,) = [a["content"] or "" for t, a in inspected.tags if t == "meta" and "http-equiv" in a]
    assert own.startswith("default-src 'none'; style-src 'unsafe-inline';")


def test_the_page_can_be_read_without_seeing_it(inspected: Page) -> None:
    identifiers = inspected.named("id")
    assert len(identifiers) == len(set(identifiers))
    assert set(inspected.named("aria-labelledby")) <= set(identifiers)
    levels = [int(tag[1]) for tag, _ in inspected.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attrs.get("scope") for tag, attrs in inspected.tags if tag == "th")
    assert all(attrs.get("title") for tag, attrs in inspected.tags if tag == "iframe")


def test_words_of_one_side_are_marked(inspected: Page) -> None:
    assert {*inspected.inside("del"), *inspected.inside("ins")} >= {"1", "2"}


def test_the_same_run_gives_the_same_page(crawl: Path) -> None:
    pages = {write_inspection(crawl, inspect_curation(crawl)).read_bytes() for _ in range(2)}
    assert len(pages) == 1


def test_measures_and_a_run_in_progress_have_their_place(crawl: Path) -> None:
    inspection = inspect_curation(crawl)
    measure = Measure(step="rules", name="<i>", values={"3": 4}, least=None, most=None)
    funnel = [row | {"shards": 12} for row in inspection.funnel]
    going_on = replace(inspection, measures=[measure], finished=False, steps_left=2, funnel=funnel)
    page = Page(render_inspection(going_on))
    assert "rules: <i>" in page.inside("h3")
    (notice,) = [text for text in page.inside("p") if text.startswith("This run is not finished")]
    assert notice.endswith("Steps that have not begun: 2.")
    assert "Shards" in page.inside("th")
    assert page.inside("dd").count("so far") == 2


def test_a_run_without_rejects_says_so(tmp_path: Path) -> None:
    run(EVERYTHING, write_texts(tmp_path / "in", ["one text", "and another"]), tmp_path / "out")
    page = Page(render_inspection(inspect_curation(tmp_path / "out")))
    assert "No document was rejected." in page.inside("p")


def test_headlines_are_those_of_the_run(tmp_path: Path) -> None:
    texts = texts_with_repeats()
    run(EVERYTHING, write_texts(tmp_path / "in", texts), tmp_path / "out")
    inspection = inspect_curation(tmp_path / "out")
    said = [(headline.value, headline.note) for headline in headlines(inspection)]
    assert said[0] == ("30", "70 % of 43")
    assert said[2] == ("13", "9 of them by near-duplicates")


def test_long_texts_are_folded() -> None:
    assert fold("a b") == ("a b", "")
    beginning, rest = fold("word " * 1000)
    assert beginning + " " + rest == "word " * 1000
    assert 600 <= len(beginning) < 1200
    beginning, rest = fold("x" * 5000)
    assert (len(beginning), len(rest)) == (600, 4400)


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@browsing
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_has_nothing_to_complain_of_and_connects_to_nobody(
    opened: Any, crawl: Path, listener: Listener, width: int
) -> None:
    path = write_inspection(crawl, inspect_curation(crawl))
    page = opened.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    before = listener.connections
    page.goto(path.as_uri())
    for frame in page.locator("iframe").all():
        frame.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    page.frames[1].get_by_text("self").focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert "Bought" in "".join(frame.content() for frame in page.frames[1:])
    assert said == []
    assert listener.connections == before
    assert listener.requests == []


@browsing
def test_a_page_that_still_has_everything_can_do_nothing(
    opened: Any, crawl: Path, listener: Listener, tmp_path: Path
) -> None:
    """The frame by itself: the hostile page as it was crawled."""
    inspection = inspect_curation(crawl)
    kept = [replace(inspection.kept[0], page=hostile_page(listener.url))]
    path = tmp_path / "page.html"
    path.write_text(render_inspection(replace(inspection, kept=kept, rules=[])), encoding="utf-8")
    page = opened.new_page()
    page.goto(path.as_uri())
    page.locator("iframe").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    frame = page.frames[1]
    for name in ("send", "script", "top", "blank"):
        frame.locator(f"#{name}").focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(200)
    assert frame.url == "about:srcdoc"
    frame.locator("#self").focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert page.url == path.as_uri()
    assert page.title() == "crawl · groundup"
    assert len(opened.pages) == 1
    assert listener.requests == []
