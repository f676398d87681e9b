"""`inspect.html`: what a curation did, as one page that needs no other file and no host.

Texts, ids and web pages are what a crawl found, and may be hostile. The template escapes every
value, and the page's content security policy loads and runs nothing. A web page is shown in a frame
of its own, a sandbox without scripts, forms and ways out, under a policy of its own; what it would
load has been taken out before (`curate.pages`).
"""

from pathlib import Path
from typing import Any

from groundup.core.files import write_text
from groundup.curate.curation import INSPECTION
from groundup.curate.inspection import Inspection
from groundup.report.figures import Plot
from groundup.report.formats import percent, quantity, visible
from groundup.report.html import Headline
from groundup.report.measures import measure_plot
from groundup.report.plots import Stack, stack_plot
from groundup.report.templates import load_template

_UNFOLDED_CHARS = 600  # of a text
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# Before a web page in its frame: what comes later can only forbid more.
_FRAME_HEAD = (
    '<!doctype html><meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)


def write_inspection(run: Path, inspection: Inspection) -> Path:
    """Write `inspect.html` into the run's directory; returns its path."""
    path = run / INSPECTION
    write_text(path, render_inspection(inspection))
    return path


def render_inspection(inspection: Inspection) -> str:
    """The page. What a run has not is left out of it."""
    measures = [measure_plot(f"measure-{n}", m) for n, m in enumerate(inspection.measures)]
    return load_template("inspection.html").render(
        run=inspection,
        headlines=headlines(inspection),
        funnel=funnel_plots(inspection),
        measures=[plot for plot in measures if plot],
        fold=fold,
        policy=_POLICY,
        frame_head=_FRAME_HEAD,
    )


def headlines(inspection: Inspection) -> list[Headline]:
    """What a reader wants to know first."""
    read, last = inspection.funnel[0], inspection.funnel[-1]
    rejected = {row["step"]: sum(row["rejected"].values()) for row in inspection.funnel}
    most = max(rejected, key=lambda step: rejected[step])
    found, text = read["documents"] + rejected[read["step"]], read["bytes"]
    of_documents = f"{percent(last['documents'] / max(1, found))} of {found:,}"
    of_text = f"{percent(last['bytes'] / max(1, text))} of {quantity(text, 'B')}"
    return [
        Headline(
            label="Documents that are left",
            value=f"{last['documents']:,}",
            note=of_documents if inspection.finished else "so far",
        ),
        Headline(
            label="Their text",
            value=quantity(last["bytes"], "B"),
            note=of_text if inspection.finished else "so far",
        ),
        Headline(
            label="Rejected",
            value=f"{sum(rejected.values()):,}",
            note=f"{rejected[most]:,} of them by {visible(most)}" if rejected[most] else "",
        ),
    ]


def funnel_plots(inspection: Inspection) -> list[Plot]:
    """What each step let pass and what it took, in documents and in bytes."""
    documents, sizes = [], []
    before: dict[str, Any] = {}
    for row in inspection.funnel:
        step, rejected = visible(row["step"]), sum(row["rejected"].values())
        comparable = before and row.get("shards") == before.get("shards")
        taken = max(0, before["bytes"] - row["bytes"]) if comparable else 0
        documents.append(
            Stack(
                label=step,
                pieces={"pass": row["documents"], "are rejected": rejected},
                said=f"{row['documents']:,}",
            )
        )
        sizes.append(
            Stack(
                label=step,
                pieces={"pass": row["bytes"], "are taken away": taken},
                said=quantity(row["bytes"], "B"),
            )
        )
        before = row
    read, last = inspection.funnel[0], inspection.funnel[-1]
    return [
        Plot(
            name="funnel-documents",
            title="Documents",
            svg=stack_plot("funnel-documents", documents, x="documents"),
            caption=f"{read['documents']:,} were read, {last['documents']:,} are left.",
        ),
        Plot(
            name="funnel-bytes",
            title="Text",
            svg=stack_plot("funnel-bytes", sizes, x="bytes"),
            caption=f"{quantity(read['bytes'], 'B')} were read, {quantity(last['bytes'], 'B')} are "
            "left. What is taken away is of rejected documents, or was cut out of others.",
        ),
    ]


def fold(text: str) -> tuple[str, str]:
    """A text's beginning, and the rest, which a reader can open; parted at white space."""
    if len(text) <= 2 * _UNFOLDED_CHARS:
        return text, ""
    end = text.find(" ", _UNFOLDED_CHARS, 2 * _UNFOLDED_CHARS)
    end = end if end > 0 else _UNFOLDED_CHARS
    return text[:end], text[end:].lstrip(" ")
