"""What the tests of the pages share: a browser, a server to look at, and folders of runs."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import serving, small

from groundup.serve import Offer, Served
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
