"""Extractors of others, for who wants theirs: the same call, a page in and its text out."""

from collections.abc import Callable
from importlib import import_module

from groundup.core.errors import InputError, MissingExtraError
from groundup.curate.extract.extractor import default_extractor

Extract = Callable[[str], str]


def extractor_of(name: str) -> Extract:
    """`groundup`, `resiliparse` (its main content) or `trafilatura` (without comments).

    Raises `InputError` for another name, `MissingExtraError` where the package is not there.
    """
    if name == "groundup":
        return default_extractor().text
    if name == "resiliparse":
        return _resiliparse()
    if name == "trafilatura":
        return _trafilatura()
    raise InputError(
        f"there is no extractor {name!r}: choose groundup, resiliparse or trafilatura."
    )


def _resiliparse() -> Extract:
    try:
        from resiliparse.extract.html2text import extract_plain_text
    except ImportError as error:
        raise MissingExtraError("Extraction by resiliparse", "curate") from error
    return lambda html: extract_plain_text(html, main_content=True, alt_texts=False)


def _trafilatura() -> Extract:
    try:
        trafilatura = import_module("trafilatura")
    except ImportError as error:
        raise MissingExtraError("Extraction by trafilatura", "trafilatura") from error
    return lambda html: trafilatura.extract(html, include_comments=False) or ""
