import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from groundup.report.plots import (
    Interval,
    Level,
    Line,
    Point,
    Spread,
    Stack,
    _folded,
    bar_plot,
    estimate_plot,
    interval_plot,
    line_plot,
    stack_plot,
)

POINTS = [(0.0, 3.0), (2e6, 2.0), (4e6, 1.5)]
DRAWINGS = {
    "lines": line_plot(
        "lines",
        [Line(points=POINTS, label="<one> & $two$"), Line(points=POINTS[1:], label="b", dots=True)],
        x="tokens",
        y="nats",
        levels=[Level(label="gzip", y=2.5)],
    ),
    "logarithms": line_plot(
        "logarithms",
        [Line(points=[(1, 1e9), (100, 1e11)], label="roof")],
        x="FLOPs a byte",
        y="FLOP/s",
        points=[Point(label="a point", x=10, y=2e9)],
        log_x=True,
        log_y=True,
    ),
    "stacks": stack_plot(
        "stacks",
        [
            Stack(label="step", pieces={"forward": 1, "backward": 3}, said="4 ms"),
            Stack(label="part", pieces={"backward": 2}, said="2 ms"),
        ],
        x="milliseconds",
    ),
    "bars": bar_plot("bars", [("1", 256), ("2", 900)], x="bytes", y="tokens"),
    "intervals": interval_plot(
        "intervals",
        [Interval(label="Base", value=0.25, low=0.125, high=0.5, group=0)],
        x="share",
    ),
}
drawings = pytest.mark.parametrize(("name", "svg"), DRAWINGS.items(), ids=DRAWINGS)


@drawings
def test_a_drawing_is_one_well_formed_element_that_its_caption_describes(
    name: str, svg: Markup
) -> None:
    element = ElementTree.fromstring(svg)
    assert element.tag == "svg"
    assert element.get("role") == "img"
    assert element.get("aria-labelledby") == f"{name}-caption"
    assert (element.get("viewBox") or "").startswith("0 0 420 ")


@drawings
def test_every_color_is_one_of_the_page(name: str, svg: Markup) -> None:
    colors = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
    assert colors <= {"none"} | {
        f"var(--{variable})"
        for variable in ("ink", "muted", "rule", "series-1", "series-2", "series-3", "series-4")
    }, name


@drawings
def test_a_drawing_reaches_nothing_outside_of_itself(name: str, svg: Markup) -> None:
    assert "://" not in svg
    assert "<style" not in svg
    assert "font-family" not in svg
    defined = set(re.findall(r' id="([^"]+)"', svg))
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    assert {first or second for first, second in used} <= defined, name


def test_identifiers_of_two_drawings_differ_and_are_the_same_every_time() -> None:
    def identifiers(name: str) -> set[str]:
        svg = line_plot(name, [Line(points=POINTS, dots=True)], x="x", y="y")
        return set(re.findall(r' id="([^"]+)"', svg))

    assert identifiers("a")
    assert identifiers("a") == identifiers("a")
    assert not identifiers("a") & identifiers("b")


def test_labels_are_text() -> None:
    def texts(svg: Markup) -> list[str]:
        return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]

    assert {"tokens", "nats", "gzip", "b", "4M"} <= set(texts(DRAWINGS["lines"]))
    assert {"1G", "10G", "2", "a point"} <= set(texts(DRAWINGS["logarithms"]))
    assert {"step", "part", "4 ms", "backward"} <= set(texts(DRAWINGS["stacks"]))
    assert {"1", "2", "bytes", "tokens"} <= set(texts(DRAWINGS["bars"]))
    assert {"Base", "25.0%", "share"} <= set(texts(DRAWINGS["intervals"]))


def test_an_interval_is_drawn_from_its_low_to_its_high_end() -> None:
    shares = [(0.125, 0.5), (0.0, 1.0)]
    svg = interval_plot(
        "x",
        [
            Interval(label=f"{s}", value=s[0], low=s[0], high=s[1], group=n)
            for n, s in enumerate(shares)
        ],
        x="share",
    )
    spans = []
    for number in (1, 2):
        color = f"stroke: var(--series-{number}); stroke-width: 2"
        path = next(
            e for e in ElementTree.fromstring(svg).iter("path") if color in e.get("style", "")
        )
        left, right = re.findall(r"[ML] ([\d.]+)", path.get("d", ""))
        spans.append((float(left), float(right)))
    (first, last) = spans[1]  # from 0 to 1: the scale
    expected = [first + share * (last - first) for share in shares[0]]
    assert spans[0] == pytest.approx(expected, abs=0.01)


def test_the_pieces_of_a_stack_stand_side_by_side_in_one_colour_each() -> None:
    """In the order of drawing: forward and backward of the first row, backward of the second."""
    svg = str(DRAWINGS["stacks"])
    bars = re.findall(
        r'<path d="M ([\d.]+) [^L]*L ([\d.]+) [^"]*" clip[^>]* style="fill: (var[^"]+)"', svg
    )
    (a, b, one), (c, d, two), (e, f, again) = [(float(x), float(y), z) for x, y, z in bars]
    assert one != two == again
    assert (a, b) == (e, c)
    assert d - c == pytest.approx(3 * (b - a), rel=0.01)
    assert f - e == pytest.approx(2 * (b - a), rel=0.01)


@given(st.text(alphabet="ab.=, ", max_size=80))
def test_long_labels_are_folded_and_say_the_same(label: str) -> None:
    lines = _folded(label).split("\n")
    assert "".join(lines).replace(" ", "") == label.replace(" ", "")
    for line in lines:
        assert len(line) <= 22 or not re.search(r"[.=, ](?=[^.=, ])", line)


def test_a_long_setting_leaves_room_for_its_row() -> None:
    setting = 'pretrain.optimizer.matrices={"type": "AdamW", "lr": 0.004}'
    svg = estimate_plot(
        "long",
        [Spread(label=setting, values=[1.0, 1.2], mean=1.1, half_width=0.1)],
        x="bits per byte",
    )
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert max(len(text) for text in texts) < 30
    assert "pretrain.optimizer." in texts
