"""Numbers of persons, and of Brazil's firms, in the Americas.

Those of the United States have no check digit: shape and range are not enough, so a word must be
near. Brazil's two check digits together with its own punctuation are.
"""

from collections.abc import Sequence

from groundup.curate.privacy.checksums import luhn, weighted
from groundup.curate.privacy.dates import begins_with_date
from groundup.curate.privacy.detector import (
    END,
    START,
    Detector,
    digits,
    letters_and_digits,
    number,
)


def _is_social_security(datum: str) -> bool:
    """No part is zero, and areas 666 and 900 to 999 are never given (SSA, since 2011)."""
    text = letters_and_digits(datum)
    area, group, serial = text[:3], text[3:5], text[5:]
    return area < "900" and area not in ("000", "666") and group != "00" and serial != "0000"


def _is_taxpayer(datum: str) -> bool:
    """An ITIN: 9, and then a group of 50 to 65, 70 to 88, 90 to 92, 94 to 99 (IRS)."""
    group = int(letters_and_digits(datum)[3:5])
    return 50 <= group <= 99 and group not in (*range(66, 70), 89, 93)


def _is_canadian(datum: str) -> bool:
    """A SIN: 0 is not given, and 8 is for firms."""
    found = digits(datum)
    return found[0] not in (0, 8) and luhn(found)


def _check_digits(values: Sequence[int], weights: Sequence[int]) -> bool:
    """Brazil's: the last of two by the weights, the one before by those but the first."""
    first = weighted(values, weights[1:]) % 11
    second = weighted(values, weights) % 11
    return [0 if rest < 2 else 11 - rest for rest in (first, second)] == list(values[-2:])


def _is_cpf(datum: str) -> bool:
    found = digits(datum)
    return len(set(found)) > 1 and _check_digits(found, range(11, 1, -1))


def _is_cnpj(datum: str) -> bool:
    """Since 2026 letters, too: their place in ASCII less that of 0."""
    values = [ord(c) - ord("0") for c in letters_and_digits(datum)]
    return any(values) and _check_digits(values, (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))


def _is_mexican(datum: str) -> bool:
    """Weights 18 to 2 over an alphabet with Ñ."""
    values = ["0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ".index(c) for c in datum.upper()]
    date = digits(datum[4:10])
    return begins_with_date(date, "ymd") and (weighted(values, range(18, 0, -1))) % 10 == 0


AMERICAS = (
    Detector(kind="br_cpf", cue="number", pattern=number("###.###.###-##"), check=_is_cpf),
    Detector(
        kind="br_cpf",
        cue="number",
        pattern=number("### ### ### ##"),
        check=_is_cpf,
        context=("cpf", "cadastro de pessoas", "cadastro de pessoa"),
    ),
    Detector(
        kind="br_cnpj",
        cue="number",
        pattern=rf"{START}[0-9A-Z]{{2}}\.[0-9A-Z]{{3}}\.[0-9A-Z]{{3}}/[0-9A-Z]{{4}}-[0-9]{{2}}{END}",
        check=_is_cnpj,
    ),
    Detector(
        kind="br_cnpj",
        cue="number",
        pattern=rf"{START}[0-9A-Z]{{12}}[0-9]{{2}}{END}",
        check=_is_cnpj,
        context=("cnpj", "cadastro nacional"),
    ),
    Detector(  # Social Insurance Number
        kind="ca_sin",
        cue="number",
        pattern=number("### ### ###"),
        check=_is_canadian,
        context=("sin number", "sin no", "social insurance", "assurance sociale"),
    ),
    Detector(  # Clave Única de Registro de Población: a structure that little else has
        kind="mx_curp",
        cue="number",
        pattern=rf"{START}(?i:[A-Z]{{4}}[0-9]{{6}}[HMX][A-Z]{{2}}[B-DF-HJ-NP-TV-Z]{{3}}[0-9A-Z][0-9]){END}",
        check=_is_mexican,
    ),
    Detector(
        kind="us_ssn",
        cue="number",
        pattern=number("### ## ####"),
        check=_is_social_security,
        context=("ssn", "ssns", "social security", "soc sec", "ss number"),
    ),
    Detector(
        kind="us_itin",
        cue="number",
        pattern=number("9## ## ####"),
        check=_is_taxpayer,
        context=("itin", "itins", "taxpayer", "tax id", "tin"),
    ),
)
