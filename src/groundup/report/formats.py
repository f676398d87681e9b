"""Numbers and untrusted text as a reader should see them."""

import math

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Control characters as their pictures (U+2400 …); a line feed and a tab are shown by their effect.
# Those that turn the direction of writing would make text look like another (Boucher and Anderson
# 2021, "Trojan Source"); lone surrogates cannot be written as UTF-8.
_VISIBLE = {
    **{code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"},
    **dict.fromkeys([0x7F, *range(0x80, 0xA0)], _REPLACEMENT),
    **dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], _REPLACEMENT),
    **dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT),
}


def duration(seconds: float) -> str:
    """
    >>> duration(3.21), duration(552.4), duration(5025)
    ('3.2 s', '9 min 12 s', '1 h 24 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def quantity(value: float, unit: str = "") -> str:
    """Three significant digits with a decimal prefix.

    >>> quantity(10_731_264), quantity(5.23e11, "FLOP/s"), quantity(812), quantity(0, "B")
    ('10.7 M', '523 GFLOP/s', '812', '0 B')
    """
    for factor, prefix in _PREFIXES:
        if abs(value) >= 0.9995 * factor:
            return f"{_digits(value / factor)} {prefix}{unit}"
    return f"{_digits(value)} {unit}".rstrip()


def percent(share: float) -> str:
    """
    >>> percent(0.2337), percent(0.0412), percent(1)
    ('23 %', '4.1 %', '100 %')
    """
    return f"{100 * share:.0f} %" if abs(share) >= 0.0995 else f"{100 * share:.1f} %"


def visible(text: str) -> str:
    """The text with nothing hidden in it; markup is escaped later, by the template."""
    return text.translate(_VISIBLE)


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")  # first, so that 0.9996 counts as 1.00
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:.{decimals}f}"
