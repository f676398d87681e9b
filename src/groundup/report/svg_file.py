"""A plot as a file of its own: what it takes from the page in a report, it brings along here.

Colours are those of light paper, written out, because not every program knows CSS variables. What
knows style sheets shows those of dark paper where the reader prefers it.
"""

from markupsafe import Markup, escape

LIGHT = {
    "paper": "#fcfcfa",
    "ink": "#1b1f24",
    "muted": "#59626d",
    "rule": "#dcdfdd",
    "series-1": "#0b7a70",
    "series-2": "#b9470e",
    "series-3": "#6b3fd1",
    "series-4": "#1f62c9",
    "series-5": "#b0286f",
    "series-6": "#7a6a0b",
    "series-7": "#4b5b2a",
    "series-8": "#8a3b2a",
    "series-9": "#2a2f35",
}
DARK = {
    "paper": "#14171a",
    "ink": "#e6e8ea",
    "muted": "#9fa8b2",
    "rule": "#30363c",
    "series-1": "#3cc7b6",
    "series-2": "#f28f4f",
    "series-3": "#ab90f5",
    "series-4": "#6ea6f7",
    "series-5": "#f285bb",
    "series-6": "#d8c24a",
    "series-7": "#a9c77b",
    "series-8": "#e08a76",
    "series-9": "#d5dade",
}


def svg_file(name: str, svg: Markup, caption: str) -> str:
    """The contents of a file with a drawing of `plots`. name: the drawing's."""
    tag, _, body = str(svg).partition(">")
    for variable, color in LIGHT.items():
        body = body.replace(f"var(--{variable})", color)
    opening = tag.replace(
        "<svg", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif"'
    )
    return (
        f'{opening}><title id="{name}-caption">{escape(caption)}</title>'
        f"<style>@media (prefers-color-scheme: dark) {{{_darkened()}}}</style>"
        f'<rect width="100%" height="100%" style="fill: {LIGHT["paper"]}"/>{body}'
    )


def _darkened() -> str:
    """A rule for each colour, stronger than the styles of the elements."""
    return " ".join(
        f'[style*="{part}: {color}"] {{{part}: {DARK[variable]} !important}}'
        for variable, color in LIGHT.items()
        for part in ("fill", "stroke")
    )
