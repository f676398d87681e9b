"""The templates of this folder."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from groundup.report import formats


def load_template(name: str) -> Template:
    """`report.html`, say. Every value on a page is escaped, and one that is missing is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "duration": formats.duration,
        "quantity": formats.quantity,
        "percent": formats.percent,
        "visible": formats.visible,
    }
    return environment.get_template(name)
