"""Numbers of persons in Asia, Australia and South Africa. All but China's need a word near."""

from groundup.curate.privacy.checksums import luhn, mod_11_2, verhoeff, weighted
from groundup.curate.privacy.dates import begins_with_date
from groundup.curate.privacy.detector import (
    END,
    START,
    Detector,
    digits,
    number,
)


def _is_australian(datum: str) -> bool:
    return weighted(digits(datum), (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def _is_chinese(datum: str) -> bool:
    """GB 11643-1999: a district, a date, an order, and a check character."""
    return begins_with_date(digits(datum[8:14]), "ymd") and mod_11_2(datum.upper())


def _is_aadhaar(datum: str) -> bool:
    return verhoeff(digits(datum))


def _is_japanese(datum: str) -> bool:
    """My Number: weights 6 to 2 and 7 to 2 from the left, modulo 11."""
    found = digits(datum)
    rest = weighted(found[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return found[11] == (0 if rest < 2 else 11 - rest)


def _is_korean(datum: str) -> bool:
    """A date; since 2020 the last digit checks nothing."""
    return begins_with_date(digits(datum), "ymd")


def _is_singaporean(datum: str) -> bool:
    """NRIC (S, and T since 2000) and FIN (F, and G since 2000)."""
    text = datum.upper()
    total = weighted(digits(text), (2, 7, 6, 5, 4, 3, 2)) + (4 if text[0] in "TG" else 0)
    letters = "JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK"
    return letters[total % 11] == text[-1]


def _is_south_african(datum: str) -> bool:
    found = digits(datum)
    return begins_with_date(found, "ymd") and luhn(found)


ASIA = (
    Detector(  # tax file number
        kind="au_tfn",
        cue="number",
        pattern=number("### ### ###"),
        check=_is_australian,
        context=("tfn", "tax file"),
    ),
    Detector(  # resident identity card: 18 characters, of which two are a province, eight a date
        kind="cn_resident_id",
        cue="number",
        pattern=rf"{START}(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])[0-9]{{4}}"
        rf"(?:19|20)[0-9]{{9}}[0-9Xx]{END}",
        check=_is_chinese,
    ),
    Detector(
        kind="in_aadhaar",
        cue="number",
        pattern=rf"{START}(?=[2-9])[0-9]{{4}}([ \-]?)[0-9]{{4}}\1[0-9]{{4}}{END}",
        check=_is_aadhaar,
        context=("aadhaar", "aadhar", "adhaar", "uidai"),
    ),
    Detector(  # permanent account number; P is for persons
        kind="in_pan",
        cue="code",
        pattern=rf"{START}[A-Z]{{3}}P[A-Z][0-9]{{4}}[A-Z]{END}",
        context=("pan", "permanent account", "income tax"),
    ),
    Detector(
        kind="jp_my_number",
        cue="number",
        pattern=number("#### #### ####"),
        check=_is_japanese,
        context=("my number", "mynumber", "マイナンバー", "個人番号"),
    ),
    Detector(  # resident registration number
        kind="kr_rrn",
        cue="number",
        pattern=rf"{START}[0-9]{{6}}-?[1-8][0-9]{{6}}{END}",
        check=_is_korean,
        context=("rrn", "resident registration", "주민등록번호", "주민번호", "외국인등록번호"),
    ),
    Detector(
        kind="sg_nric",
        cue="number",
        pattern=rf"{START}[FGSTfgst][0-9]{{7}}[A-Za-z]{END}",
        check=_is_singaporean,
        context=("nric", "fin", "identity card", "ic"),
    ),
    Detector(
        kind="za_id",
        cue="number",
        pattern=number("###### #### 0##", "###### #### 1##", "###### #### 2##"),
        check=_is_south_african,
        context=("id number", "id no", "identity number", "rsa id", "id nommer"),
    ),
)
