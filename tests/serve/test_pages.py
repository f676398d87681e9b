"""The pages in a real browser: what people click, and what they see."""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import serving, small

from groundup.serve import Limits, Offer, Served
from groundup.serve.runs import read_curve
from groundup.tokenizers import Bytes

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

# A browser is no package of Python: who has none tests the rest.
browsing = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on the PATH")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, start in {"first/pretrain": 5.0, "first/sft": 2.0, "second/pretrain": 4.0}.items():
        path = folder / name / "metrics.jsonl"
        path.parent.mkdir(parents=True)
        records = [
            {
                "step": i,
                "loss": start / (1 + i / 40),
                "lr": 0.01,
                "tokens": 512 * i,
                "seconds": i / 9,
            }
            for i in range(1, 200)
        ]
        records[100]["validation_loss"] = start / 3
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


@pytest.fixture(scope="module")
def two(runs: Path) -> Iterator[str]:
    """Two models, of which the second continues texts alone."""
    first, second = small(), small(seed=6)
    models = [
        first,
        Served("plain", second.model, second.tokenizer, second.begin, second.ends, None),
    ]
    offer = Offer(tokenizers={"bytes": Bytes()}, runs=runs)
    with serving(models, offer=offer) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, two: str) -> Iterator[Any]:
    """A page of a fresh profile. Whatever the browser complains of is a failure: scripts that fail,
    and what the content security policy refuses."""
    context = browser.new_context(base_url=two, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    refused = "the server responded with a status of 4"  # what the page itself tells of
    page.on(
        "console",
        lambda said: (
            said.type == "error" and refused not in said.text and complaints.append(said.text)
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(two) or complaints.append(asked.url))
    yield page
    context.close()
    assert complaints == []


def settle(page: Any, **values: str) -> None:
    for name, value in values.items():
        page.locator(f"#option-{name}").fill(value)


@browsing
def test_a_conversation(page: Any) -> None:
    page.goto("/")
    settle(page, max_tokens="12", seed="3")
    page.get_by_placeholder("Write a message").fill("Hello <b>there</b>")
    page.get_by_role("button", name="Send").click()
    note = page.locator(".message.assistant .note")
    note.wait_for()
    assert "token" in note.inner_text()
    assert page.locator(".message.user .body").inner_text() == "Hello <b>there</b>"
    answer = page.locator(".message.assistant .body")
    first = answer.inner_text()
    page.get_by_role("button", name="Regenerate").click()
    note.wait_for()
    assert answer.inner_text() == first  # the seed is the same
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("The message, changed").fill("Good night")
    page.get_by_role("button", name="Send again").click()
    note.wait_for()
    assert page.locator(".message").count() == 2
    assert page.locator(".message.user .body").inner_text() == "Good night"
    page.reload()  # kept in the browser
    page.locator(".talks .open").first.click()
    assert page.locator(".message.user .body").inner_text() == "Good night"
    page.get_by_role("button", name="New conversation").click()
    assert page.locator(".message").count() == 0
    page.get_by_role("button", name="Delete: Good night").click()
    assert page.locator(".talks li").count() == 0


@browsing
def test_the_page_says_what_the_api_says(page: Any, two: str) -> None:
    """The same seed gives the same answer, and a second question is asked with the first."""
    page.goto("/")
    settle(page, max_tokens="10", seed="5", temperature="1", top_k="40")
    said: list[dict[str, str]] = []
    for question in ("one", "two"):
        said.append({"role": "user", "content": question})
        page.get_by_placeholder("Write a message").fill(question)
        page.keyboard.press("Enter")
        page.locator(".message.assistant .note").nth(len(said) // 2).wait_for()
        asked = {"model": "small", "max_tokens": 10, "seed": 5, "temperature": 1, "top_k": 40}
        done = httpx.post(f"{two}/v1/chat/completions", json={**asked, "messages": said}).json()
        content = done["choices"][0]["message"]["content"]
        kept = page.evaluate(
            "JSON.parse(localStorage['groundup.talks'])[0].messages.at(-1).content"
        )
        assert kept == content
        said.append({"role": "assistant", "content": content})


@browsing
def test_two_tabs_keep_what_both_said(page: Any) -> None:
    page.goto("/")
    other = page.context.new_page()
    other.goto("/")
    for tab, text in ((page, "from the first"), (other, "from the second"), (page, "once more")):
        settle(tab, max_tokens="4")
        tab.get_by_placeholder("Write a message").fill(text)
        tab.keyboard.press("Enter")
        tab.locator(".message.assistant .note").last.wait_for()
    page.locator(".talks li").nth(1).wait_for()
    titles = page.locator(".talks .open").all_inner_texts()
    assert sorted(titles) == ["from the first", "from the second"]


@browsing
def test_an_answer_that_fails_takes_nothing_with_it(page: Any) -> None:
    page.goto("/")
    settle(page, max_tokens="6", seed="1")
    for i, text in enumerate(("one", "two")):
        page.get_by_placeholder("Write a message").fill(text)
        page.keyboard.press("Enter")
        page.locator(".message.assistant .note").nth(i).wait_for()
    before = page.locator(".message .body").all_inner_texts()
    refused = {"error": {"message": "512 requests are open already: try again later."}}
    path = "**/v1/chat/completions"
    page.route(path, lambda route: route.fulfill(status=429, json=refused))
    page.get_by_role("button", name="Regenerate").first.click()
    page.get_by_text("try again later").wait_for()
    assert page.locator(".message .body").all_inner_texts() == before
    page.unroute(path)
    page.reload()
    page.locator(".talks .open").first.click()
    assert page.locator(".message .body").all_inner_texts() == before


@browsing
def test_settings_do_not_disturb_an_answer(page: Any) -> None:
    """Neither does a message that is edited meanwhile lose what was typed."""
    page.goto("/")
    settle(page, max_tokens="40")
    page.get_by_placeholder("Write a message").fill("Hello")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("The message, changed").fill("typed meanwhile")
    settle(page, temperature="0.3")
    page.locator(".message.assistant .note").wait_for()
    assert page.get_by_label("The message, changed").input_value() == "typed meanwhile"
    shown = page.locator(".message.assistant .body").evaluate("(box) => box.textContent.trim()")
    assert shown != ""


@browsing
def test_an_answer_can_be_stopped(page: Any) -> None:
    page.goto("/")
    settle(page, max_tokens="60")
    page.route("**/v1/chat/completions", lambda _: None)  # an answer that never comes
    page.get_by_placeholder("Write a message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped").wait_for()
    assert page.get_by_role("button", name="Send").is_visible()


@browsing
def test_probabilities_are_shown_token_by_token(page: Any) -> None:
    page.goto("/")
    settle(page, max_tokens="8", seed="1")
    page.get_by_label("Show how likely tokens were").check()
    page.get_by_placeholder("Write a message").fill("Hello")
    page.keyboard.press("Enter")
    page.locator(".message.assistant .note").wait_for()
    tokens = page.locator(".message.assistant .token")
    assert tokens.count() >= 2
    tokens.first.hover()
    assert "Likeliest:" in page.locator("#status").inner_text()
    tokens.first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.className") == "token"


HOSTILE = """# A title with <script>alert(1)</script>

<img src=x onerror=alert(2)> [a](javascript:alert(3)) [b](https://example.org/?q="x) ![c](http://e.org/p.png)
[d](data:text/html,<script>alert(4)</script>) **bold *both* `co<d>e`** ~~gone~~ a_b_c

1. one
2. two
   - deep

| a | b |
|---|---|
| <i>1</i> | 2 |

```html
<script>alert(5)</script>
```
"""


@browsing
def test_what_a_model_writes_is_text(page: Any) -> None:
    """Markdown becomes elements; HTML and links that run something do not."""
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto("/")
    shown = page.evaluate(
        """async (text) => {
          const { markdown } = await import("/static/markdown.js");
          const box = document.createElement("div");
          box.append(markdown(text));
          document.querySelector("#messages").append(box);
          const links = [...box.querySelectorAll("a")].map((a) => a.href);
          const names = [...new Set([...box.querySelectorAll("*")].map((e) => e.tagName))].sort();
          const code = box.querySelector("pre").textContent;
          return { links, names, code, text: box.textContent };
        }""",
        HOSTILE,
    )
    assert shown["links"] == ["https://example.org/?q=%22x", "http://e.org/p.png"]
    allowed = "A CODE DEL EM H2 LI OL P PRE SPAN STRONG TABLE TBODY TD TH THEAD TR UL"
    assert shown["names"] == allowed.split()
    assert "<img src=x onerror=alert(2)>" in shown["text"]
    assert "a_b_c" in shown["text"]
    assert shown["code"] == "<script>alert(5)</script>"


@browsing
def test_a_model_that_does_not_converse_continues(page: Any) -> None:
    page.goto("/")
    page.get_by_label("Model", exact=True).select_option("plain")
    assert "continues your text" in page.locator(".welcome").inner_text()
    settle(page, max_tokens="6")
    page.get_by_placeholder("Write a message").fill("def ")
    page.keyboard.press("Enter")
    page.locator(".message.assistant .note").wait_for()


@browsing
def test_an_error_is_told_where_it_happens(page: Any) -> None:
    page.goto("/")
    page.get_by_placeholder("Write a message").fill("x" * 500)
    with page.expect_response("**/v1/chat/completions"):
        page.keyboard.press("Enter")
    note = page.locator(".message.assistant .note")
    note.wait_for()
    assert "the model's context holds 96" in note.inner_text()


@browsing
def test_tokens_as_they_are_typed(page: Any) -> None:
    page.goto("/tokenizer")
    page.locator("#text").fill("é<|user|> x\n")
    cards = page.locator(".card")
    assert cards.count() == 2
    cards.nth(1).get_by_label("Tokenizer", exact=True).select_option("bytes")
    page.get_by_label("Read special tokens").check()
    page.get_by_label("Show ids").check()
    first = cards.first
    first.locator(".token.special").wait_for()
    assert first.locator(".token").count() == 6  # two bytes, a special token, and three bytes
    assert first.locator(".token.bytes").count() == 2
    assert cards.nth(1).locator(".token").count() == len("é<|user|> x\n".encode())
    page.get_by_label("Show white space").check()
    first.get_by_text("·").wait_for()
    first.locator(".token.special").hover()
    assert "a special token" in first.locator(".told").inner_text()
    assert first.locator(".ids").inner_text().startswith("[195, 169, ")
    page.get_by_role("button", name="Add a tokenizer").click()
    assert cards.count() == 3
    page.get_by_label("Remove this tokenizer").nth(2).click()
    assert cards.count() == 2


@browsing
def test_two_models_side_by_side(page: Any, two: str) -> None:
    page.goto("/compare")
    page.get_by_label("Prompt").fill("abc")
    page.get_by_label("Most tokens").fill("9")
    page.get_by_label("As a message").uncheck()
    page.get_by_role("button", name="Write").click()
    page.get_by_text("Ended").nth(1).wait_for()
    for i, name in enumerate(("small", "plain")):
        asked = {"model": name, "prompt": "abc", "max_tokens": 9, "seed": 0, "temperature": 0.7}
        text = httpx.post(f"{two}/v1/completions", json=asked).json()["choices"][0]["text"]
        shown = page.locator(".answer").nth(i).evaluate("(box) => box.textContent")
        assert shown == text


@browsing
def test_curves_that_grow(page: Any, runs: Path) -> None:
    page.goto("/runs")
    page.locator(".chart .line").wait_for()
    page.get_by_label("first/pretrain").check()
    page.get_by_label("second/pretrain").check()
    page.locator(".chart .line").nth(1).wait_for()
    page.get_by_label("Up", exact=True).select_option("lr")
    page.get_by_label("Up", exact=True).select_option("loss")
    page.get_by_label("Along", exact=True).select_option("tokens")
    page.locator('.chart[aria-label="loss against tokens"]').wait_for()
    page.locator(".chart").hover(position={"x": 400, "y": 100})
    assert " at " in page.locator(".legend").inner_text()
    page.get_by_label("Logarithm up").check()
    page.locator("#smooth").fill("0.9")
    page.locator(".chart .faint").first.wait_for()
    path = runs / "second" / "pretrain" / "metrics.jsonl"
    with path.open("a") as file:
        file.write(json.dumps({"step": 200, "loss": 0.5, "tokens": 512_000, "seconds": 30}) + "\n")
    page.locator(".values td", has_text="512 k").wait_for()


@browsing
def test_a_curve_that_hardly_changes_is_drawn(page: Any) -> None:
    page.goto("/runs")
    marks = page.evaluate(
        """async () => {
          const { chart } = await import("/static/chart.js");
          const options = { xName: "x", yName: "y", logX: false, logY: false, tell: () => {} };
          return [[0.3, 0.1 + 0.2], [1e-4, 1e-4], [0, 0], [-5, -5]].map(([a, b]) => {
            const points = [[1, a], [2, b]];
            const curves = [{ name: "a", series: 1, points }];
            return chart(curves, options).querySelectorAll("text").length;
          });
        }"""
    )
    assert all(3 < count < 40 for count in marks)


@browsing
def test_markdown_takes_no_longer_than_the_text_is_long(page: Any) -> None:
    """Signs that open and never close, by the ten thousand."""
    page.goto("/")
    page.set_default_timeout(20_000)
    for text in (
        "\\*" * 4000 + "[" * 9000,
        "`a` " * 3000 + "[" * 9000,
        "**a** " * 3000 + "[" * 9000,
        "#" + " " * 9000 + "a" + " " * 9000 + "\rx",
        "`" * 9000,
        "*a " * 6000,
        "> " * 9000,
    ):
        shown = page.evaluate(
            """async (text) => {
              const { markdown } = await import("/static/markdown.js");
              return markdown(text).textContent.length;
            }""",
            text,
        )
        assert shown <= len(text)  # signs become elements, and nothing is added


@browsing
@pytest.mark.parametrize("path", ["/", "/compare", "/tokenizer", "/runs"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_fits_its_screen(
    page: Any, path: str, scheme: str, width: int, tmp_path: Path
) -> None:
    """Nothing stands outside of a phone's width, everything that is used has a name, and there is
    one title. The screenshots are to be looked at."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(path, wait_until="networkidle")
    page.screenshot(path=tmp_path / "page.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").count() == 1
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, a")].filter((e) =>
          !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim())).length"""
    )
    assert nameless == 0


def test_pages_bring_their_own_policy_and_nothing_else(two: str) -> None:
    for path in ("/", "/compare", "/tokenizer", "/runs"):
        answer = httpx.get(two + path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "http" not in answer.text.replace("http-equiv", "")
    assert httpx.get(f"{two}/static/chat.js").headers["content-type"].startswith("text/javascript")
    for name in ("nothing.js", "..%2Fapp.py", "%2e%2e/pages.py"):
        assert httpx.get(f"{two}/static/{name}").status_code == 404


def test_a_browser_is_asked_for_the_key() -> None:
    with serving([small()], key="secret", limits=Limits(rows=8)) as address:
        refused = httpx.get(address, headers={"accept": "text/html"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
        assert "www-authenticate" not in httpx.get(f"{address}/v1/models").headers
        assert httpx.get(address, auth=("anyone", "secret")).status_code == 200
        assert httpx.get(address, auth=("anyone", "wrong")).status_code == 401
        broken = {"authorization": "Basic " + base64.b64encode(b"\xff").decode() + "!"}
        assert httpx.get(address, headers=broken).status_code == 401


def test_no_other_page_and_no_other_name_reaches_the_server() -> None:
    with serving([small()], hosts={"localhost", "127.0.0.1"}) as address:
        assert httpx.get(f"{address}/health").status_code == 200
        port = address.rpartition(":")[2]
        for host in (f"evil.example:{port}", "evil.example", "", "[::1"):
            answer = httpx.get(f"{address}/health", headers={"host": host})
            assert answer.status_code == 403
            assert "no name of this server" in answer.json()["error"]["message"]
        for origin in ("https://evil.example", f"http://localhost:{port}", "null", "http://["):
            answer = httpx.get(f"{address}/health", headers={"origin": origin})
            assert answer.status_code == 403
        assert httpx.get(f"{address}/health", headers={"origin": address}).status_code == 200


def test_curves_of_a_folder_alone(two: str, runs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "metrics.jsonl").write_text('{"step": 1}\n')
    (runs / "link").symlink_to(outside)
    names = {curve["name"] for curve in httpx.get(f"{two}/curves").json()["data"]}
    assert names == {"first/pretrain", "first/sft", "second/pretrain"}
    for name in ("link", "../outside", "..%2Foutside", "first", "first/..%2Fsecond/pretrain"):
        assert httpx.get(f"{two}/curves/{name}").status_code == 404
    (runs / "link").unlink()


def test_a_curve_goes_on_where_it_was_read(two: str, runs: Path) -> None:
    path = runs / "first" / "sft" / "metrics.jsonl"
    first = httpx.get(f"{two}/curves/first/sft").json()
    assert len(first["records"]) == 199
    assert first["fresh"]
    with path.open("a") as file:
        file.write('{"step": 500}\n{"step": 501}\n{"step": 5')
    asked = f"{two}/curves/first/sft?after={first['after']}&file={first['file']}"
    more = httpx.get(asked).json()
    assert (more["records"], more["fresh"]) == ([{"step": 500}, {"step": 501}], False)
    other = path.with_name("other")
    other.write_text('{"step": 1}\n')
    other.rename(path)  # as a run that is resumed does
    again = httpx.get(asked).json()
    assert (again["records"], again["fresh"]) == ([{"step": 1}], True)


def test_a_long_curve_comes_in_pieces_and_thinned_out(tmp_path: Path) -> None:
    """What is rare is kept, what is damaged is left out, and a line that never ends is passed."""
    path = tmp_path / "run" / "metrics.jsonl"
    path.parent.mkdir()
    with path.open("w") as file:
        for step in range(60_000):
            file.write(json.dumps({"step": step, "loss": 1.0, "lr": 0.1, "seconds": 0.5}) + "\n")
            if step % 10_000 == 5:
                file.write(json.dumps({"step": step, "validation_loss": 2.0}) + "\n")
                file.write('{"step": \n' + "[" * 100_000 + '\n{"name": "\\ud800", "x": NaN}\n')
        file.write("x" * 5_000_000 + "\n" + json.dumps({"step": 60_000}) + "\n")
    records: list[dict[str, float]] = []
    after, name, answers = 0, "", 0
    while True:
        told = read_curve(tmp_path, "run", after, name)
        json.dumps(told, allow_nan=False)
        assert len(told["records"]) < 5000
        records += told["records"]
        after, name, answers = told["after"], told["file"], answers + 1
        if not told["more"]:
            break
    assert after == path.stat().st_size
    assert answers > 2
    assert sum("validation_loss" in record for record in records) == 6
    assert [record["step"] for record in records] == sorted(record["step"] for record in records)
    assert records[-1] == {"step": 60_000}
