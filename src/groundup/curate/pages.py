"""The web page that a document's text was extracted from, to be looked at without harm.

A page of a crawl may be anybody's, and hostile. What keeps its reader safe is the frame in which it
is shown (`report.inspection`); what is taken out of it here is what the frame would refuse to load
or run, so that a browser has nothing to complain of. With one exception: browsers connect to the
hosts of `<link rel=preconnect>` whatever the content security policy, so that no link may be left.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from groundup.core.errors import InputError, MissingExtraError
from groundup.curate.extract import decode_page
from groundup.curate.formats.streams import open_bytes
from groundup.curate.web import read_record

_READ_BYTES = 4 << 20  # of a page; scripts, which are left out, take most of the long ones
_RECORD = re.compile(r"(?P<file>.+\.warc(?:\.gz|\.zst)?)#[1-9]\d*", re.IGNORECASE)
_FILE = re.compile(r".+\.html?(?:\.gz)?", re.IGNORECASE)
# Of a page that resiliparse has written down again, in which every element that opens closes, and
# attributes stand between quotation marks that they do not hold. (Where all that is not so, a token
# takes the rest, as looking for its end again and again would take forever.)
_TOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?P<raw>script|style|iframe|noembed|noframes|xmp|plaintext)\b.*?(?:</(?P=raw)>|\Z)"
    r"|<(?P<end>/?)(?P<tag>[a-z][^\s>]*+)(?P<attributes>(?:[^>\"]|\"[^\"]*+(?:\"|\Z))*+)(?:>|\Z)",
    re.DOTALL,
)
_SHOWN_RAW = ("style", "xmp", "plaintext")
_ATTRIBUTE = re.compile(r' ([^\s="]+)="([^"]*)"')
_LEFT_OUT = frozenset("link base meta object embed frame frameset".split())
_LOADERS = frozenset(
    "action autofocus background data formaction href imagesrcset ping poster src srcset target "
    "xlink:href".split()
)
_NOWHERE = ' href="about:srcdoc#"'  # to where it is; `#` would be a place of the page around it
_LOADS = re.compile(r"@import|url\(", re.IGNORECASE)
_LINK = re.compile(r"<(?=link)", re.IGNORECASE)


@dataclass(frozen=True)
class Pages:
    """The pages below a folder: documents that were read from there lead back to them by their
    ids (`FILE.html`, `FILE.warc.gz#RECORD`) and the `offset` in their metadata."""

    root: Path

    def find(self, document_id: str, metadata: dict[str, Any]) -> str | None:
        """The HTML, as `still` leaves it; None where the id leads to no page, or to none now."""
        record = _RECORD.fullmatch(document_id)
        name = PurePosixPath(record["file"] if record else document_id)
        if name.is_absolute() or ".." in name.parts:  # an id can be anybody's invention
            return None
        try:
            if record:
                offset = metadata.get("offset")
                if not isinstance(offset, int) or offset < 0:
                    return None
                html = read_record(self.root / name, offset)
            elif _FILE.fullmatch(document_id):
                with open_bytes(self.root / name) as file:
                    html = decode_page(file.read(_READ_BYTES))
            else:
                return None
        except (OSError, ValueError, InputError):  # moved or changed since, or damaged
            return None
        return still(html)


def still(html: str) -> str:
    """The page without what it would load or run; links are there and lead nowhere."""
    try:
        from resiliparse.parse.html import HTMLTree
    except ImportError as error:
        raise MissingExtraError("Reading web pages", "curate") from error
    document = HTMLTree.parse(html).document
    quiet = _TOKEN.sub(_quiet, document.html) if document else ""
    return _LINK.sub("<x-", quiet)  # should a browser find tags where we found none


def _quiet(token: re.Match[str]) -> str:
    tag, attributes = token["tag"], token["attributes"]
    if tag is None:
        return _LOADS.sub("no(", token[0]) if token["raw"] in _SHOWN_RAW else ""
    if tag in _LEFT_OUT:
        return ""
    if tag == "template":
        return "</x-template>" if token["end"] else "<x-template hidden>"
    link = _NOWHERE if tag == "a" and ' href="' in attributes else ""
    return f"<{token['end']}{tag}{_ATTRIBUTE.sub(_quiet_attribute, attributes)}{link}>"


def _quiet_attribute(attribute: re.Match[str]) -> str:
    name = attribute[1]
    if name in _LOADERS or name.startswith("on"):
        return ""
    return _LOADS.sub("no(", attribute[0]) if name == "style" else attribute[0]
