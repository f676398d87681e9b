"""Decimal numbers between bounds, as JSON writes them."""

from decimal import Decimal

from groundup.infer.grammar.expression import (
    EMPTY,
    NEVER,
    Expression,
    Repeat,
    byte_range,
    concat,
    either,
    literal,
    optional,
)

MOST_DIGITS = 15  # of a number: so many a double holds, and a model that has no end would go on
_DIGIT = byte_range(0x30, 0x39)
_FROM_ONE = byte_range(0x31, 0x39)
_WHOLE = either([literal("0"), concat(_FROM_ONE, Repeat(_DIGIT, 0, MOST_DIGITS - 1))])
_FRACTION = Repeat(_DIGIT, 1, MOST_DIGITS)

INTEGER = concat(optional(literal("-")), _WHOLE)
NUMBER = concat(
    INTEGER,
    optional(concat(literal("."), _FRACTION)),
    optional(
        concat(either([literal("e"), literal("E")]), optional(literal("-")), Repeat(_DIGIT, 1, 2))
    ),
)

Bound = tuple[Decimal, bool]  # and whether the bound itself is meant, too


def integers(low: Bound | None, high: Bound | None) -> Expression:
    """Whole numbers from the lower to the upper bound."""
    first = None if low is None else _ceiling(*low)
    last = None if high is None else -_ceiling(-high[0], high[1])
    options = []
    if last is None or last >= 0:
        options.append(_whole(max(0, first or 0), last))
    if first is None or first < 0:
        smallest = 1 if last is None else max(1, -last)
        options.append(concat(literal("-"), _whole(smallest, None if first is None else -first)))
    return either(options)


def numbers(low: Bound | None, high: Bound | None) -> Expression:
    """Numbers from the lower to the upper bound, without an exponent."""
    zero = Decimal(0), True
    options = []
    if high is None or high[0] >= 0:
        options.append(_decimals(zero if low is None or low[0] < 0 else low, high))
    if low is None or low[0] < 0:
        nearest = zero if high is None or high[0] > 0 else (-high[0], high[1])
        farthest = None if low is None else (-low[0], low[1])
        options.append(concat(literal("-"), _decimals(nearest, farthest)))
    return either(options)


def _ceiling(bound: Decimal, inside: bool) -> int:
    """The first whole number that is not below a bound."""
    whole = int(bound.to_integral_value(rounding="ROUND_CEILING"))
    return whole + (whole == bound and not inside)


def _whole(first: int, last: int | None) -> Expression:
    """Whole numbers from the first on, which is not negative, without zeros before them."""
    longest = len(str(first)) + MOST_DIGITS if last is None else len(str(last))
    options = []
    for digits in range(len(str(first)), longest + 1):
        smallest = max(first, 10 ** (digits - 1) if digits > 1 else 0)
        largest = 10**digits - 1 if last is None else min(last, 10**digits - 1)
        if smallest <= largest:
            options.append(_same_length(str(smallest), str(largest)))
    return either(options)


def _same_length(low: str, high: str) -> Expression:
    """Strings of digits, all as long as both, from one to the other in order."""
    if not low:
        return EMPTY
    if set(low) == {"0"} and set(high) == {"9"}:
        return Repeat(_DIGIT, len(low), len(low))
    first, last, rest = int(low[0]), int(high[0]), len(low) - 1
    if first == last:
        return concat(literal(low[0]), _same_length(low[1:], high[1:]))
    middle = byte_range(0x31 + first, 0x2F + last) if last - first > 1 else NEVER
    return either(
        [
            concat(literal(low[0]), _same_length(low[1:], "9" * rest)),
            concat(middle, Repeat(_DIGIT, rest, rest)),
            concat(literal(high[0]), _same_length("0" * rest, high[1:])),
        ]
    )


def _decimals(low: Bound, high: Bound | None) -> Expression:
    """Numbers that are not negative."""
    if high is not None and (low[0], not low[1]) > (high[0], False):
        return NEVER
    whole, fraction = _split(low[0])
    if high is None:
        return either(
            [
                concat(literal(str(whole)), _point(whole, fraction, None, low[1], False)),
                concat(_whole(whole + 1, None), _point(whole + 1, "", None, True, False)),
            ]
        )
    last, last_fraction = _split(high[0])
    if whole == last:
        point = _point(whole, fraction, last_fraction, low[1], high[1])
        return concat(literal(str(whole)), point)
    return either(
        [
            concat(literal(str(whole)), _point(last, fraction, None, low[1], False)),
            concat(_whole(whole + 1, last - 1), _point(last, "", None, True, False)),
            concat(literal(str(last)), _point(last, "", last_fraction, True, high[1])),
        ]
    )


def _split(number: Decimal) -> tuple[int, str]:
    """The whole part, and the digits behind the point without zeros at their end."""
    whole, _, fraction = f"{number:f}".partition(".")
    return int(whole), fraction.rstrip("0")


def _point(
    whole: int, low: str, high: str | None, low_inside: bool, high_inside: bool
) -> Expression:
    """Behind a whole number a point and digits, or neither, from one fraction to the other; None:
    below 1. Together they are no more digits than a double tells apart."""
    longest = max(1, MOST_DIGITS - len(str(whole)))
    none_needed = (not low and low_inside) and (high != "" or high_inside)
    behind = concat(literal("."), _digits(low, high, low_inside, high_inside, longest))
    return either([EMPTY, behind] if none_needed else [behind])


def _digits(
    low: str, high: str | None, low_inside: bool, high_inside: bool, longest: int
) -> Expression:
    """Digits behind a point, one at the least, as a fraction from one to the other."""
    longest = max(longest, len(low), len(high or ""))
    if not low and low_inside and high is None:
        return Repeat(_DIGIT, 1, longest)
    if longest == 0:
        return NEVER
    first = int(low[:1] or 0)
    last = 10 if high is None else int(high[:1] or 0)
    options = []
    for digit in range(first, min(last, 9) + 1):
        on_low, on_high = digit == first, digit == last
        rest_low, rest_high = low[1:] if on_low else "", (high or "")[1:] if on_high else None
        low_ok, high_ok = not on_low or low_inside, not on_high or high_inside
        ends = (not rest_low and low_ok) and (rest_high != "" or high_ok)
        more = NEVER
        if rest_high != "" or high_ok:
            more = _digits(rest_low, rest_high, low_ok, high_ok, longest - 1)
        after = ([EMPTY] if ends else []) + [more]
        options.append(concat(literal(str(digit)), either(after)))
    return either(options)
