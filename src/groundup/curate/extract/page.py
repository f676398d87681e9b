"""A web page as blocks of text and the elements that hold them.

A browser's rules make the tree of elements (resiliparse, which binds lexbor); serialised again, the
page is well formed whatever its author wrote: every element that opens closes, and only `&`, `<`,
`>` and the no-break space are written as references. What is left to do is one pass over that,
which cuts the text at the ends of elements that stand on lines of their own, as a browser does.
`core` has that pass in C++.
"""

import re
from functools import cache
from html import unescape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundup.core.errors import MissingExtraError
from groundup.core.native import core
from groundup.curate.duplicates.shingles import words

Integers = NDArray[np.int32]

# Elements that are told apart; all others are "other".
TAGS = tuple(
    "other p div li td th tr table ul ol dl dt dd h1 h2 h3 h4 h5 h6 article main section aside nav "
    "header footer form figure figcaption blockquote pre address details body center".split()
)
TAG = {name: number for number, name in enumerate(TAGS)}
INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q rp rt "
    "ruby s samp small span strike strong sub sup time tt u var wbr".split()
)
VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
# Their contents are no text to read; those of the first are not even elements.
RAW = frozenset("script style iframe textarea title xmp noembed noframes".split())
SKIPPED = frozenset(
    "head math noscript svg template select button object canvas audio video map datalist".split()
)

# What words in an element's class, id or role hint at. A word may be part of a longer one.
HINTS = {
    "content": "article content entry post story main body text paragraph prose",
    "comments": "comment disqus reply respond discuss forum",
    "furniture": (
        "nav menu footer breadcrumb sidebar masthead banner toolbar cookie consent popup modal "
        "login signup sign-up register copyright legal widget skip search pagination print hidden"
    ),
    "promotion": (
        "related recommend promo sponsor advert adsense taboola outbrain trending popular "
        "newsletter subscri share sharing social follow recirc teaser read-next readnext read-more "
        "more- donat rail most-"
    ),
    "about": (
        "author byline caption credit date time meta tags category categories rating vote kicker "
        "gallery figure source contributor bio avatar"
    ),
}
HINT = {name: 1 << number for number, name in enumerate(HINTS)}
HIDDEN = 1 << len(HINTS)  # by an attribute, or by its style

COUNTS = (
    "characters",  # that are not white
    "linked",  # of them, those of links
    "words",
    "commas",
    "stops",  # that end sentences
    "capitals",  # of ASCII
    "digits",
    "begins_large",  # with a capital or a digit
    "ends_sentence",
)
_COMMAS, _STOPS, _ENDS = ",;、，،", ".!?。！？…", '.!?。！？…:"”’»)'


class Page(NamedTuple):
    """n blocks in the order of the text, and m elements, each behind the one that holds it.

    texts: white space is one space, save in `pre`; `<br>` is a newline.
    element: [n], the innermost that is not in a line. counts: [n, COUNTS].
    parent: [m], −1 for the first. tag: [m], places in TAGS. hints: [m], bits of HINT and HIDDEN.
    first, last: [m]: blocks first … last − 1 are inside of the element.
    title: of the page, as its author names it to browsers.
    """

    texts: list[str]
    element: Integers
    counts: Integers
    parent: Integers
    tag: Integers
    hints: Integers
    first: Integers
    last: Integers
    title: str


def read_page(html: str) -> Page:
    """Raises `MissingExtraError` where resiliparse is not there."""
    try:
        from resiliparse.parse.html import HTMLTree
    except ImportError as error:
        raise MissingExtraError("Reading web pages", "curate") from error
    document = HTMLTree.parse(html).document
    return scan(document.html if document else "")


def scan(html: str) -> Page:
    """The page of well-formed HTML."""
    title = _TITLE.search(html)
    arrays: Any = _Scanner().scan(html) if core is None else _reader().read(html)
    return Page._make([*arrays, " ".join(unescape(title[1]).split()) if title else ""])


_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL)


@cache
def _reader() -> Any:
    assert core is not None
    hints = [words.split() for words in HINTS.values()]
    return core.PageReader(
        (TAGS, sorted(INLINE), sorted(VOID), sorted(RAW), sorted(SKIPPED), hints)
    )


_BLANK = r"\t-\r\x1c- "
_REST = r"(?:[^>\"]|\"[^\"]*\")*"
_TOKEN = re.compile(
    r"<!--.*?-->|<![^>]*>"
    rf"|<(?P<raw>{'|'.join(sorted(RAW))})(?P<head>(?=[{_BLANK}>]){_REST})>(?P<inside>.*?)</(?P=raw)>"
    rf"|<(?P<close>/?)(?P<tag>[a-z][^{_BLANK}>]*+)(?P<rest>{_REST})>"
    r"|(?P<text>[^<]+)|<",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(rf'([^{_BLANK}="]+)="([^"]*)"')
_ANNOTATION = '="application/x-tex"'
_NAMES = ("class", "id", "role", "itemprop", "data-component")


class _Scanner:
    """The reference."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.element: list[int] = []
        self.counts: list[list[int]] = []
        self.parent, self.tag, self.hints = [-1], [0], [0]
        self.first, self.last = [0], [0]
        self.open = [0]  # elements that are not in a line, the innermost last
        self.pieces: list[str] = []
        self.linked = 0  # characters of the block that are links'
        self.links = 0  # that are open
        self.breaks = 0  # <br> since the last visible character
        self.skipping = 0  # elements open of one whose contents are no text
        self.formula = ""  # of MathML: sought, or found, whose text comes next

    def scan(self, html: str) -> tuple[Any, ...]:
        for token in _TOKEN.finditer(html):
            if token["raw"]:
                if not self.skipping and 'type="math/tex' in token["head"]:
                    self._text(f" ${token['inside']}$ ")
            elif token["text"]:
                self._text(token["text"])
            elif token["tag"] and token["tag"] not in RAW:
                self._markup(token["tag"], bool(token["close"]), token["rest"])
        self._block()
        while self.open:
            self.last[self.open.pop()] = len(self.texts)
        arrays = (self.parent, self.tag, self.hints, self.first, self.last)
        counts = np.array(self.counts, dtype=np.int32).reshape(-1, len(COUNTS))
        element = np.array(self.element, dtype=np.int32)
        return (
            self.texts,
            element,
            counts,
            *(np.array(array, dtype=np.int32) for array in arrays),
        )

    def _markup(self, tag: str, closes: bool, attributes: str) -> None:
        if tag in VOID:
            if tag in ("br", "hr") and not self.skipping:
                self._line_end(tag)
        elif self.skipping:
            if self.formula == "sought" and not closes and tag == "annotation":
                self.formula = "found" if _ANNOTATION in attributes else "sought"
            self.skipping += -1 if closes else 1
            if not self.skipping:
                self.formula = ""
        elif tag in SKIPPED:
            if not closes:
                self.skipping = 1
                self._begin_formula(tag, attributes)
        elif tag in INLINE:
            if tag == "a":
                self.links += -1 if closes else 1
        elif closes:
            self._block()
            if len(self.open) > 1:
                self.last[self.open.pop()] = len(self.texts)
        else:
            self._begin(tag, attributes)

    def _begin(self, tag: str, attributes: str) -> None:
        self._block()
        self.open.append(len(self.parent))
        self.parent.append(self.open[-2])
        self.tag.append(TAG.get(tag, 0))
        self.hints.append(_hints(attributes))
        self.first.append(len(self.texts))
        self.last.append(0)

    def _begin_formula(self, tag: str, attributes: str) -> None:
        """MathML has its formula as TeX in an attribute, or in an annotation."""
        if tag == "math":
            tex = dict(_ATTRIBUTE.findall(attributes)).get("alttext")
            self.formula = "" if tex else "sought"
            if tex:
                self._piece(f" ${tex}$ ")

    def _text(self, text: str) -> None:
        if not self.skipping:
            self._piece(text)
        elif self.formula == "found":
            self.formula = ""
            self._piece(f" ${text}$ ")

    def _piece(self, text: str) -> None:
        for reference, character in _REFERENCES:
            text = text.replace(reference, character)
        visible = sum(map(len, text.split()))
        if visible:
            self.breaks = 0
        if self.links:
            self.linked += visible
        self.pieces.append(text if self._is_pre() else text.replace("\n", " "))

    def _line_end(self, tag: str) -> None:
        self.breaks += 1
        if tag == "hr" or (self.breaks > 1 and not self._is_pre()):
            self._block()
        else:
            self.pieces.append("\n")

    def _is_pre(self) -> bool:
        return self.tag[self.open[-1]] == TAG["pre"]

    def _block(self) -> None:
        raw = "".join(self.pieces)
        if self._is_pre():
            text = raw.strip("\n") if raw.split() else ""
        else:
            text = "\n".join(filter(None, (" ".join(line.split()) for line in raw.split("\n"))))
        if text:
            self.texts.append(text)
            self.element.append(self.open[-1])
            self.counts.append(_counts(text, self.linked))
        self.pieces, self.linked, self.breaks = [], 0, 0


_REFERENCES = (
    ("&nbsp;", "\u00a0"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", '"'),
    ("&amp;", "&"),
)


def _hints(attributes: str) -> int:
    bits = 0
    for name, value in _ATTRIBUTE.findall(attributes):
        if name in _NAMES:
            lower = value.lower()
            for hint, found in HINTS.items():
                if any(word in lower for word in found.split()):
                    bits |= HINT[hint]
        elif name == "hidden" or (name == "style" and "display:none" in value.replace(" ", "")):
            bits |= HIDDEN
    return bits


def _counts(text: str, linked: int) -> list[int]:
    characters = sum(map(len, text.split()))
    return [
        characters,
        min(linked, characters),
        len(words(text, punctuation=True)),
        sum(map(text.count, _COMMAS)),
        sum(map(text.count, _STOPS)),
        sum("A" <= character <= "Z" for character in text),
        sum("0" <= character <= "9" for character in text),
        int("A" <= text[0] <= "Z" or "0" <= text[0] <= "9"),
        int(text[-1] in _ENDS),
    ]
