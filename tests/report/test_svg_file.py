"""A drawing as a file: whole, readable on its own, with the colours of the report."""

import re
from pathlib import Path
from xml.etree import ElementTree

import groundup.report
from groundup.report.plots import Line, Point, line_plot
from groundup.report.svg_file import DARK, LIGHT, svg_file

SVG = "{http://www.w3.org/2000/svg}"
DRAWING = line_plot(
    "sizes",
    [Line(points=[(256, 1.0), (4096, 3.0)], label="BPE", dots=True)],
    x="vocabulary",
    y="bytes per token",
    points=[Point(label="<words> & more", x=30_000, y=3.5)],
    log_x=True,
)
FILE = svg_file("sizes", DRAWING, "Compression of <words>.")


def test_the_file_is_an_svg_that_its_title_describes() -> None:
    root = ElementTree.fromstring(FILE)
    assert root.tag == f"{SVG}svg"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "Compression of <words>."
    assert title.get("id") == root.get("aria-labelledby")
    labels = {"".join(element.itertext()) for element in root.iter(f"{SVG}text")}
    assert {"BPE", "<words> & more", "vocabulary", "1k", "10k"} <= labels


def test_every_color_is_written_out_and_has_a_dark_counterpart() -> None:
    assert "var(" not in FILE
    root = ElementTree.fromstring(FILE)
    styles = " ".join(element.get("style") or "" for element in root.iter())
    used = set(re.findall(r"(?:fill|stroke): (#\w+)", styles))
    assert used <= set(LIGHT.values())
    sheet = root.findtext(f"{SVG}style") or ""
    for name, color in LIGHT.items():
        assert f'[style*="fill: {color}"] {{fill: {DARK[name]} !important}}' in sheet


def test_the_colors_are_those_of_the_pages() -> None:
    page = (Path(groundup.report.__file__).parent / "page.css").read_text(encoding="utf-8")
    light, dark = page.split("@media (prefers-color-scheme: dark)")[:2]
    for name in LIGHT:
        assert f"--{name}: {LIGHT[name]};" in light
        assert f"--{name}: {DARK[name]};" in dark
