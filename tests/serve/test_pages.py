"""The pages in a real browser, but for the chat; and what the server does for all of them."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import serving, small
from tests.serve.pages import browser, browsing, page, runs, two

from groundup.serve import Limits
from groundup.serve.runs import read_curve

__all__ = ["browser", "page", "runs", "two"]  # fixtures, which the tests below ask for


@browsing
def test_tokens_as_they_are_typed(page: Any) -> None:
    page.goto("/tokenizer")
    page.locator("#text").fill("é<|user|> x\n")
    cards = page.locator(".card")
    assert cards.count() == 2
    cards.nth(1).get_by_label("Tokenizer, column 2").select_option("bytes")
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
    page.get_by_label("Remove column 3").click()
    assert cards.count() == 2
    assert page.evaluate("document.activeElement.id") == "add"
    mark = """async () => {
      const { asText, visible } = await import("/static/tokens.js");
      return visible(asText([0xef, 0xbb, 0xbf]));
    }"""
    assert page.evaluate(mark) == "‹BOM›"


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
    page.get_by_label("Seed").fill("")
    page.get_by_label("Remove column 1").click()
    assert page.evaluate("document.activeElement.id") == "add"
    page.route("**/v1/completions", lambda _: None)  # an answer that never comes
    with page.expect_request("**/v1/completions") as asked:
        page.get_by_role("button", name="Write").click()
    assert asked.value.post_data_json["model"] == "plain"
    assert asked.value.post_data_json["max_tokens"] == 9
    assert "seed" not in asked.value.post_data_json
    page.get_by_role("button", name="Stop").press("Enter")
    page.get_by_text("stopped").wait_for()
    assert page.evaluate("document.activeElement.id") == "run"


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
    page.mouse.move(0, 0)
    assert " at " not in page.locator(".legend").inner_text()
    page.locator("#chart").press("Home")
    page.locator(".legend", has_text=" at 512").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator(".legend", has_text=" at 1536").wait_for()
    page.get_by_label("Logarithm up").check()
    page.locator("#smooth").fill("0.9")
    page.locator(".chart .faint").first.wait_for()
    path = runs / "second" / "pretrain" / "metrics.jsonl"
    with path.open("a") as file:
        file.write(json.dumps({"step": 200, "loss": 0.5, "tokens": 512_000, "seconds": 30}) + "\n")
    page.locator(".values td", has_text="512 k").wait_for()
    assert " at 1536" in page.locator(".legend").inner_text()  # the cross stays, and the focus
    assert page.evaluate("document.activeElement.id") == "smooth"


@browsing
def test_a_curve_is_read_once(page: Any, two: str) -> None:
    """However often its run is ticked while it is read; and the last run can be unticked."""
    held: list[Any] = []
    curve = re.compile(r"/curves/.+")
    page.route(curve, lambda route: held.append(route))
    page.goto("/runs")
    box = page.locator("#runs input:checked")
    name = box.get_attribute("data-run")
    box = page.locator(f'[data-run="{name}"]')
    for again in (box.uncheck, box.check):
        with page.expect_response("**/curves"):
            again()
    assert len(held) == 1
    held[0].continue_()
    page.unroute(curve)
    page.locator(".chart .line").wait_for()
    records = httpx.get(f"{two}/curves/{name}").json()["records"]
    assert page.locator(".chart .line").get_attribute("d").count("L") == len(records) - 1
    box.uncheck()
    page.locator(".chart .line").wait_for(state="detached")
    with page.expect_response("**/curves"):
        pass
    assert page.locator("#runs input:checked").count() == 0
    gone = {"error": {"message": "there is no such run here."}}
    page.route(curve, lambda route: route.fulfill(status=404, json=gone))
    box.check()
    page.locator("#status", has_text="no such run").wait_for()


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
          !(e.labels?.length || e.getAttribute("aria-label")
            || (e.matches("button, a") && e.textContent.trim()))).length"""
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
