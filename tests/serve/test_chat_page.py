"""The chat in a real browser: what people click, and what they see."""

import json
from typing import Any

import httpx
import pytest
from tests.serve.pages import browser, browsing, page, runs, settle, two

__all__ = ["browser", "page", "runs", "two"]  # fixtures, which the tests below ask for


def begin(page: Any) -> None:
    """Open the chat, and wait until it knows the models: before, there is none to ask."""
    page.goto("/")
    page.locator(".welcome h2", has_text="small").wait_for()


@browsing
def test_a_conversation(page: Any) -> None:
    begin(page)
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
    begin(page)
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
    begin(page)
    other = page.context.new_page()
    begin(other)
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
    begin(page)
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
    begin(page)
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
    begin(page)
    settle(page, max_tokens="60")
    page.route("**/v1/chat/completions", lambda _: None)  # an answer that never comes
    page.get_by_placeholder("Write a message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped").wait_for()
    assert page.get_by_role("button", name="Send").is_visible()


@browsing
def test_a_deleted_conversation_comes_back_when_asked(page: Any) -> None:
    """And not because its answer was being written."""
    begin(page)
    page.route("**/v1/chat/completions", lambda _: None)  # an answer that never comes
    page.get_by_placeholder("Write a message").fill("Hello")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete: Hello").click()
    page.locator('#messages[aria-busy="false"]').wait_for()
    assert page.locator(".talks li").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Undo"
    page.keyboard.press("Enter")
    assert page.locator(".talks .open").all_inner_texts() == ["Hello"]
    assert page.get_by_text("Deleted.").count() == 0
    page.locator(".talks .open").click()
    assert page.locator(".message.user .body").inner_text() == "Hello"


def focused(page: Any) -> str:
    return page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    )


@browsing
def test_a_drawer_lies_over_a_narrow_page(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    begin(page)
    page.route("**/v1/chat/completions", lambda _: None)
    page.get_by_placeholder("Write a message").fill("Hello")
    page.keyboard.press("Enter")
    for name, label in {"Conversations": "Conversations", "Settings": "How answers"}.items():
        page.get_by_role("button", name=name).click()
        page.get_by_role("dialog", name=label).wait_for()
        assert focused(page) == "Close"
        for _ in range(20):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.closest('.bar, .column')") is None
        page.keyboard.press("Escape")
        assert page.get_by_role("dialog").count() == 0
        assert focused(page) == name
        page.get_by_role("button", name=name).click()
        page.get_by_role("button", name="Close").click()
        assert focused(page) == name
        page.get_by_role("button", name=name).click()
        page.mouse.click(*{"Conversations": (380, 400), "Settings": (5, 400)}[name])
        assert page.get_by_role("dialog").count() == 0
    page.evaluate(
        """() => document.dispatchEvent(
          new KeyboardEvent("keydown", { key: "Escape", isComposing: true }))"""
    )
    assert page.get_by_role("button", name="Stop").is_visible()  # none of all this stopped it
    page.keyboard.press("Escape")
    page.get_by_text("stopped").wait_for()


@browsing
def test_the_keyboard_s_focus_stays_where_it_is(page: Any) -> None:
    begin(page)
    settle(page, max_tokens="6")
    page.get_by_placeholder("Write a message").fill("Hello")
    page.keyboard.press("Enter")
    note = page.locator(".message.assistant .note")
    note.wait_for()
    page.get_by_role("button", name="Regenerate").press("Enter")
    note.wait_for()
    assert focused(page) == "Regenerate"
    page.get_by_role("button", name="Edit").press("Enter")
    page.get_by_role("button", name="Leave as it was").press("Enter")
    assert focused(page) == "Edit"
    page.get_by_role("button", name="Edit").press("Enter")
    page.get_by_role("button", name="Send again").press("Enter")
    assert page.evaluate("document.activeElement.id") == "input"
    page.get_by_role("button", name="Delete: Hello").focus()
    page.evaluate(
        """() => {
          const other = { id: "7", title: "another tab's", messages: [] };
          const talks = JSON.parse(localStorage["groundup.talks"]);
          localStorage["groundup.talks"] = JSON.stringify([other, ...talks]);
          window.dispatchEvent(new Event("storage"));
        }"""
    )
    assert page.locator(".talks li").count() == 2
    assert focused(page) == "Delete: Hello"


@browsing
def test_a_finished_answer_is_announced_alone(page: Any) -> None:
    begin(page)
    settle(page, max_tokens="6")
    page.get_by_placeholder("Write a message").fill("Hello")
    page.keyboard.press("Enter")
    page.locator("#said:not(:empty)").wait_for(state="attached")
    said = page.locator("#said").evaluate("(box) => box.textContent")
    assert said == page.locator(".message.assistant .body").evaluate("(box) => box.textContent")
    assert page.locator("#messages").get_attribute("aria-live") is None


@browsing
def test_alternatives_come_by_their_probability(page: Any) -> None:
    """Whatever their names: an object of JavaScript gives whole numbers first."""
    begin(page)
    tops = [{"7": -3, "a": -0.1, "b": -2}]
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.1], "top_logprobs": tops, "bytes": [[97]]}
    told = json.dumps({"choices": [{"text": "a", "logprobs": logprobs}]})
    body = f"data: {told}\n\ndata: [DONE]\n\n"
    page.route("**/v1/completions", lambda route: route.fulfill(body=body))
    names = page.evaluate(
        """async () => {
          const { write } = await import("/static/api.js");
          for await (const { tokens } of write({ id: "plain" }, [], { logprobs: true }))
            return tokens[0].top_logprobs.map(({ token }) => token);
        }"""
    )
    assert names == ["a", "b", "7"]


@browsing
def test_probabilities_are_shown_token_by_token(page: Any) -> None:
    begin(page)
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
| <i>1</i> | `a|b` |

```html
<script>alert(5)</script>
```
"""


@browsing
def test_what_a_model_writes_is_text(page: Any) -> None:
    """Markdown becomes elements; HTML and links that run something do not."""
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    begin(page)
    shown = page.evaluate(
        """async (text) => {
          const { markdown } = await import("/static/markdown.js");
          const box = document.createElement("div");
          box.append(markdown(text));
          document.querySelector("#messages").append(box);
          const links = [...box.querySelectorAll("a")].map((a) => a.href);
          const names = [...new Set([...box.querySelectorAll("*")].map((e) => e.tagName))].sort();
          const code = box.querySelector("pre").textContent;
          const cells = [...box.querySelectorAll("td")].map((cell) => cell.textContent);
          return { links, names, code, cells, text: box.textContent };
        }""",
        HOSTILE,
    )
    assert shown["links"] == ["https://example.org/?q=%22x", "http://e.org/p.png"]
    allowed = "A CODE DEL EM H2 LI OL P PRE SPAN STRONG TABLE TBODY TD TH THEAD TR UL"
    assert shown["names"] == allowed.split()
    assert "<img src=x onerror=alert(2)>" in shown["text"]
    assert "a_b_c" in shown["text"]
    assert shown["code"] == "<script>alert(5)</script>"
    assert shown["cells"] == ["<i>1</i>", "a|b"]


@browsing
def test_a_model_that_does_not_converse_continues(page: Any) -> None:
    begin(page)
    page.get_by_label("Model", exact=True).select_option("plain")
    assert "continues your text" in page.locator(".welcome").inner_text()
    assert page.get_by_label("System").is_disabled()
    settle(page, max_tokens="6")
    page.get_by_placeholder("Write a message").fill("def ")
    page.keyboard.press("Enter")
    page.locator(".message.assistant .note").wait_for()


@browsing
def test_an_error_is_told_where_it_happens(page: Any) -> None:
    begin(page)
    page.get_by_placeholder("Write a message").fill("x" * 500)
    with page.expect_response("**/v1/chat/completions"):
        page.keyboard.press("Enter")
    note = page.locator(".message.assistant .note")
    note.wait_for()
    assert "the model's context holds 96" in note.inner_text()


@browsing
def test_markdown_takes_no_longer_than_the_text_is_long(page: Any) -> None:
    """Signs that open and never close, by the ten thousand."""
    begin(page)
    for text in (
        "\\*" * 4000 + "[" * 9000,
        "`a` " * 3000 + "[" * 9000,
        "**a** " * 3000 + "[" * 9000,
        "#" + " " * 9000 + "a" + " " * 9000 + "\rx",
        "`" * 9000,
        "*a " * 6000,
        "> " * 9000,
        "~" * 200_000 + "`",
        "```" + " " * 200_000 + "`",
    ):
        shown, seconds = page.evaluate(
            """async (text) => {
              const { markdown } = await import("/static/markdown.js");
              const begin = performance.now();
              const shown = markdown(text).textContent.length;
              return [shown, (performance.now() - begin) / 1000];
            }""",
            text,
        )
        assert shown <= len(text)  # signs become elements, and nothing is added
        assert seconds < 5  # a square of the length would take far more
