import re
from itertools import pairwise
from pathlib import Path

import pytest
from tests.report.strict_page import Page

from groundup.core.errors import ArtifactError
from groundup.report.html import command, stage_costs, write_report
from groundup.report.record import read_record


@pytest.fixture(scope="module")
def aligned_page(aligned_run: Path) -> Page:
    return Page(write_report(aligned_run).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def base_page(base_run: Path) -> Page:
    return Page(write_report(base_run).read_text(encoding="utf-8"))


def _sections(page: Page) -> list[str]:
    return [attrs["id"] or "" for tag, attrs in page.tags if tag == "section"]


def test_the_report_is_written_into_the_run(aligned_run: Path) -> None:
    assert write_report(aligned_run) == aligned_run / "report.html"
    assert not list(aligned_run.glob("*.partial"))


def test_the_same_run_gives_the_same_page(aligned_run: Path) -> None:
    first = write_report(aligned_run).read_bytes()
    assert write_report(aligned_run).read_bytes() == first


def test_a_whole_run_has_every_section(aligned_page: Page) -> None:
    assert _sections(aligned_page) == [
        "training",
        "alignment",
        "stages",
        "samples",
        "budget",
        "plan",
        "text",
        "reproduce",
    ]


def test_a_run_that_ends_after_pretraining_says_so(base_page: Page) -> None:
    assert _sections(base_page) == [
        "skipped",
        "training",
        "samples",
        "budget",
        "plan",
        "text",
        "reproduce",
    ]
    assert {"no examples were given", "no verifier was given"} <= set(base_page.inside("dd"))


def test_headline_figures_are_those_of_the_summary(aligned_page: Page) -> None:
    values = aligned_page.inside("dd")
    assert {"1.412", "75 %", "6.80 M", "25 %", "5 min 50 s", "2.10 GB"} <= set(values)


def test_the_page_loads_nothing_and_runs_nothing(aligned_page: Page, base_page: Page) -> None:
    for page in (aligned_page, base_page):
        assert not {"script", "link", "img", "iframe", "object", "a"} & {t for t, _ in page.tags}
        assert not page.named("src")
        assert all(target.startswith("#") for target in page.named("href"))
        assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
        styles = " ".join(page.inside("style") + page.named("style"))
        assert "://" not in styles
        assert "@import" not in styles
        assert "default-src 'none'" in " ".join(page.named("content"))


def test_what_a_model_wrote_is_text_and_nothing_else(aligned_page: Page, hostile: str) -> None:
    shown = hostile.replace("\x1b", "␛").replace("\u202e", "\ufffd").replace("\ud800", "\ufffd")
    assert aligned_page.inside("pre").count(shown) == 3


def test_a_page_can_be_read_without_seeing_it(aligned_page: Page) -> None:
    page = aligned_page
    identifiers = page.named("id")
    assert len(identifiers) == len(set(identifiers))
    assert set(page.named("aria-labelledby")) <= set(identifiers)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(aligned_page: Page, scheme: str) -> None:
    """Contrast as WCAG 2.1 defines it: 4.5 for text (criterion 1.4.3), 3 for graphics (1.4.11)."""
    style = " ".join(aligned_page.inside("style"))
    light, dark = style.split("prefers-color-scheme: dark")
    colors = dict(
        re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark)
    )
    for name in ("ink", "muted"):
        assert _contrast(colors[name], colors["paper"]) >= 4.5
        assert _contrast(colors[name], colors["panel"]) >= 4.5
    for number in range(1, 10):
        assert _contrast(colors[f"series-{number}"], colors["paper"]) >= 3


def test_costs_are_added_up_by_kind_of_stage(aligned_run: Path) -> None:
    costs = {c.stage: (c.spent, c.predicted) for c in stage_costs(read_record(aligned_run).summary)}
    assert costs == {
        "corpus": (2.0, None),
        "shards": (3.5, None),
        "pretrain": (300.0, 290.0),
        "evals": (30.0, 25.0),
        "sft": (20.0, 25.0),
        "grpo": (40.0, 50.0),
    }


def test_the_command_repeats_the_run(aligned_run: Path, base_run: Path) -> None:
    assert (
        command(read_record(aligned_run))
        == "groundup quickstart --data stdlib --budget 9m --seed 0 --name aligned"
    )
    assert "--data 'my documents/'" in command(read_record(base_run))


def test_a_run_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no finished run"):
        write_report(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
