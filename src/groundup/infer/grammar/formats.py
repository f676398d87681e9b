"""Strings of a known form: JSON Schema's `format` (Validation 2020-12, section 7.3)."""

from functools import cache

from groundup.infer.grammar.expression import Expression
from groundup.infer.grammar.json_text import quoted, spelled
from groundup.infer.grammar.regex import parse_regex

_LEAP = r"([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)"
_DATE = (
    r"([1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    rf"|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_TIME = (
    r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(\.{_LABEL}){{0,3}}"
_WORD = r"[A-Za-z0-9!#%&'*+/=?_{|}~-]{1,15}"
_CLOCK = r"([0-9]{1,4}H([0-9]{1,2}M([0-9]{1,2}S)?)?|[0-9]{1,4}M([0-9]{1,2}S)?|[0-9]{1,4}S)"
_DAYS = r"([0-9]{1,4}Y([0-9]{1,2}M([0-9]{1,2}D)?)?|[0-9]{1,4}M([0-9]{1,2}D)?|[0-9]{1,4}D)"

_PATTERNS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": rf"P({_DAYS}(T{_CLOCK})?|T{_CLOCK}|[0-9]{{1,4}}W)",
    "email": rf"{_WORD}(\.{_WORD}){{0,3}}@{_LABEL}(\.{_LABEL}){{0,2}}\.[A-Za-z]{{2,12}}",
    "hostname": _HOST,
    "ipv4": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "ipv6": r"([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "uri": rf"https?://{_HOST}(:[1-9][0-9]{{0,3}})?(/[A-Za-z0-9._~-]{{0,64}}){{0,8}}"
    r"(\?[A-Za-z0-9._~=&-]{0,64})?(#[A-Za-z0-9._~-]{0,64})?",
}


def format_of(name: str) -> Expression | None:
    """Strings of a format, or some of them; None for one that is not known."""
    return _known(name) if name in _PATTERNS else None


@cache
def _known(name: str) -> Expression:
    return quoted(parse_regex(_PATTERNS[name], spelled))
