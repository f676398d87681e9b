"""The text of a page's bytes: which of the web's encodings they are in.

In this order, as browsers do (WHATWG, "Encoding" and HTML 13.2.3.2): a byte order mark, what the
server says, what the page says of itself; and else what resiliparse finds most likely.
"""

import codecs
import re

from groundup.core.errors import MissingExtraError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LOOKED_AT = 2048  # bytes in which a page may say its encoding
_DECLARED = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([a-zA-Z0-9_.:-]+)", re.IGNORECASE)
# What browsers take these names for, as pages that say so are seldom what they say.
_TAKEN_FOR = {"iso-8859-1": "windows-1252", "latin-1": "windows-1252", "us-ascii": "windows-1252"}
_TAKEN_FOR = _TAKEN_FOR | {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
}


# Python has codecs that are no encodings of text, or of no page; one in UTF-16 could not be read up
# to where it says so.
_OF_THE_WEB = frozenset(
    "utf-8 cp866 cp874 cp932 cp949 koi8-r koi8-u mac-roman mac-cyrillic gb18030 gbk gb2312 hz "
    "big5 big5hkscs euc_jp shift_jis iso2022_jp euc_kr tis-620".split()
)


def decode_page(data: bytes, charset: str | None = None) -> str:
    """The text; bytes that are none in its encoding become U+FFFD.

    charset: that the server named. One that nobody knows is passed over.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    declared = _DECLARED.search(data[:_LOOKED_AT])
    for name in (charset, declared[1].decode("ascii") if declared else None):
        if (encoding := _known(name)) is not None:
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(likely_encoding(data) or "windows-1252", "replace")


def likely_encoding(data: bytes) -> str | None:
    """Python's name of that of the web's encodings in which the bytes most likely are."""
    try:
        from resiliparse.parse.encoding import detect_encoding
    except ImportError as error:
        raise MissingExtraError("Telling encodings apart", "curate") from error
    return _known(detect_encoding(data))


def is_of_text(name: str) -> bool:
    """Whether it is one of the encodings that texts are in, and not another of Python's codecs."""
    return _known(name) is not None or codecs.lookup(name).name == "ascii"


def _known(name: str | None) -> str | None:
    """Python's codec of a name, if it is one of the web's."""
    if not name:
        return None
    name = name.strip().strip("\"'").lower()
    try:
        codec = codecs.lookup(_TAKEN_FOR.get(name, name)).name
    except (LookupError, ValueError):
        return None
    return codec if codec in _OF_THE_WEB or codec.startswith(("iso8859-", "cp125")) else None
