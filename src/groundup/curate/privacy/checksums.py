"""Check digits: what a number must fulfil to be one, as the standards have it.

Each takes the whole number, its check digits last, and finds every single wrong digit; `verhoeff`,
`mod_97` and `mod_11_2` also find every two neighbours that changed places.
"""

from collections.abc import Sequence


def luhn(digits: Sequence[int]) -> bool:
    """ISO/IEC 7812-1, annex B: from the right, every second digit is doubled."""
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def verhoeff(digits: Sequence[int]) -> bool:
    """Verhoeff 1969, "Error Detecting Decimal Codes": products in the dihedral group of ten
    elements, after a permutation that depends on the place."""
    value = 0
    for place, digit in enumerate(reversed(digits)):
        value = _DIHEDRAL[value][_PERMUTATIONS[place % 8][digit]]
    return value == 0


def mod_97(text: str) -> bool:
    """ISO 7064, mod 97-10: letters are 10 to 35, and the number is 1 modulo 97."""
    return int("".join(str(int(c, 36)) for c in text)) % 97 == 1


def mod_11_10(digits: Sequence[int]) -> bool:
    """ISO 7064, mod 11,10: a product modulo 11 of sums modulo 10."""
    value = 10
    for digit in digits[:-1]:
        value = ((value + digit) % 10 or 10) * 2 % 11
    return (value + digits[-1]) % 10 == 1


def mod_11_2(text: str) -> bool:
    """ISO 7064, mod 11-2: X is ten."""
    value = 0
    for c in text:
        value = value * 2 + (10 if c == "X" else int(c))
    return value % 11 == 1


def weighted(digits: Sequence[int], weights: Sequence[int]) -> int:
    """The sum of products with the weights, of as many digits as there are weights."""
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def _dihedral(a: int, b: int) -> int:
    """0 to 4 are the rotations of a pentagon, 5 to 9 its reflections."""
    rotation = a + b if a < 5 else a - b
    return rotation % 5 + 5 * ((a < 5) != (b < 5))


def _permutations() -> list[list[int]]:
    once = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    powers = [list(range(10))]
    while len(powers) < 8:
        powers.append([once[digit] for digit in powers[-1]])
    return powers


_DIHEDRAL = [[_dihedral(a, b) for b in range(10)] for a in range(10)]
_PERMUTATIONS = _permutations()
