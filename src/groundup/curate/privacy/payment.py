"""Payment cards and bank accounts."""

from groundup.curate.privacy.checksums import luhn, mod_97
from groundup.curate.privacy.detector import (
    END,
    START,
    Detector,
    digits,
    letters_and_digits,
    number,
)

# The lowest and the highest first digits of an issuer's numbers, and their lengths (ISO/IEC 7812;
# the networks' published ranges).
_Ranges = tuple[tuple[int, int, range], ...]
_COMMON: _Ranges = (
    (4, 4, range(16, 17)),  # Visa
    (51, 55, range(16, 17)),  # Mastercard
    (2221, 2720, range(16, 17)),
    (34, 34, range(15, 16)),  # American Express
    (37, 37, range(15, 16)),
    (6011, 6011, range(16, 17)),  # Discover
    (644, 659, range(16, 17)),
    (300, 305, range(14, 15)),  # Diners Club
    (36, 36, range(14, 15)),
    (38, 39, range(14, 15)),
    (3528, 3589, range(16, 17)),  # JCB
    (62, 62, range(16, 17)),  # UnionPay
)
# These need a word such as "card" near: old lengths, and issuers that have many.
_OTHERS: _Ranges = (
    (4, 4, range(13, 14)),  # Visa
    (4, 4, range(19, 20)),
    (36, 36, range(15, 20)),  # Diners Club
    (38, 39, range(15, 20)),
    (1800, 1800, range(15, 16)),  # JCB
    (2131, 2131, range(15, 16)),
    (3528, 3589, range(17, 20)),
    (50, 50, range(12, 20)),  # Maestro; from 60 on also Discover and UnionPay
    (56, 69, range(12, 20)),
    (2200, 2204, range(16, 20)),  # Mir
    (9792, 9792, range(16, 17)),  # Troy
)
_WORDS = (
    *("card", "cards", "credit", "debit", "cc", "visa", "mastercard", "amex", "maestro"),
    *("discover", "diners", "jcb", "unionpay", "cvv", "cvc", "carte", "karte", "kreditkarte"),
    *("karten", "kartennummer", "tarjeta", "carta", "cartão", "kaart", "kort", "karta", "kart"),
    *("карта", "карты", "信用卡", "银行卡", "カード"),
)

# Letters and digits behind the first four, by country: the SWIFT registry of IBANs.
_IBAN_LENGTHS = {
    11: "NO",
    12: "BE",
    14: "DK FK FI FO GL NL SD",
    15: "MK SI",
    16: "AT BA EE KZ LT LU MN XK",
    17: "CH HR LI LV",
    18: "BG BH CR DE GB GE IE ME RS VA",
    19: "AE GI IL IQ OM SO TL",
    20: "AD CZ ES MD PK RO SA SE SK TN VG",
    21: "LY PT ST",
    22: "IS TR",
    23: "BI DJ FR GR IT MC MR SM",
    24: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    25: "BR EG PS QA UA",
    26: "JO KW MU YE",
    27: "MT SC",
    28: "LC",
    29: "RU",
}
_IBAN = "|".join(
    rf"(?:{countries.replace(' ', '|')})[0-9]{{2}}(?:[ \u00a0]?[0-9A-Z]){{{length}}}"
    for length, countries in _IBAN_LENGTHS.items()
)


def _is_card(ranges: _Ranges, datum: str) -> bool:
    text = letters_and_digits(datum)
    issued = any(
        len(text) in lengths and first <= int(text[: len(str(first))]) <= last
        for first, last, lengths in ranges
    )
    return issued and luhn(digits(text))


def _is_common_card(datum: str) -> bool:
    return _is_card(_COMMON, datum)


def _is_other_card(datum: str) -> bool:
    return _is_card(_OTHERS, datum)


def _is_iban(datum: str) -> bool:
    text = letters_and_digits(datum)
    return mod_97(text[4:] + text[:4])


PAYMENT = (
    Detector(
        kind="iban",
        cue="number",
        pattern=rf"{START}(?=[A-Za-z]{{2}}[0-9]{{2}})(?i:{_IBAN}){END}",
        check=_is_iban,
    ),
    Detector(
        kind="card",
        cue="number",
        pattern=number("#### #### #### ####", "#### ###### #####", "#### ###### ####"),
        check=_is_common_card,
    ),
    Detector(
        kind="card",
        cue="number",
        pattern=rf"{START}[0-9](?:[ \-]?[0-9]){{11,18}}{END}",
        check=_is_other_card,
        context=_WORDS,
    ),
)
