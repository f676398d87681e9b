"""Which extractor a page goes through: ours, one that a user has trained, or another library's. All
are the same call, a page in and its text out."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

from groundup.core.errors import InputError, MissingExtraError
from groundup.curate.extract.extractor import default_extractor, load_extractor

Extract = Callable[[str], str]


@cache
def extractor_of(name: str) -> Extract:
    """`groundup`, `resiliparse` (its main content), `trafilatura` (without comments), or the file
    of one that was trained (`training.train_extractor`), which is read once.

    Raises `InputError` for another name, `ArtifactError` for a file that is none,
    `MissingExtraError` where the package is not there.
    """
    if name == "groundup":
        return default_extractor().text
    if name == "resiliparse":
        return _resiliparse()
    if name == "trafilatura":
        return _trafilatura()
    if Path(name).is_file():
        return load_extractor(Path(name)).text
    raise InputError(
        f"there is no extractor {name}: choose groundup, resiliparse, trafilatura, or the file of "
        "one that you trained."
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
