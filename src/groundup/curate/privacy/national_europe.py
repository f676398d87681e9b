"""Numbers of persons in Europe; what each is made of is published by the office that gives it.

The checks of most let a random number pass once in ten to a hundred times, and any table of numbers
holds some that do: these need a word near. The others say why they do not.
"""

from groundup.curate.privacy.checksums import luhn, mod_11_10, weighted
from groundup.curate.privacy.dates import begins_with_date, is_month_and_day
from groundup.curate.privacy.detector import (
    END,
    SEPARATOR,
    START,
    Detector,
    digits,
    letters_and_digits,
    number,
)


def _is_belgian(datum: str) -> bool:
    """A month, perhaps with 20 or 40 added, or 0 where it is not known; 97 less the rest by 97,
    with a 2 before it for who was born since 2000."""
    text = letters_and_digits(datum)
    body, check = int(text[:9]), int(text[9:])
    month = int(text[2:4])
    return month % 20 <= 12 and check in (97 - body % 97, 97 - (2_000_000_000 + body) % 97)


def _is_swiss(datum: str) -> bool:
    """An EAN-13."""
    return weighted(digits(datum), (1, 3) * 6 + (1,)) % 10 == 0


def _is_german_tax_id(datum: str) -> bool:
    """Of the first ten digits one occurs twice or three times, and all others at most once."""
    found = digits(datum)
    repeats = sorted(found[:10].count(digit) for digit in set(found[:10]))
    once_but_one = repeats[-1] in (2, 3) and set(repeats[:-1]) == {1}
    return found[0] != 0 and once_but_one and mod_11_10(found)


def _is_german_card(datum: str) -> bool:
    """Nine characters, and mostly their check digit (ICAO 9303, part 3: weights 7, 3, 1)."""
    values = [int(c, 36) for c in letters_and_digits(datum)]
    return len(values) == 9 or weighted(values, (7, 3, 1) * 3) % 10 == values[9]


def _is_danish(datum: str) -> bool:
    """A date; since 2007 the last digit checks nothing."""
    return begins_with_date(digits(datum), "dmy")


def _is_spanish(datum: str) -> bool:
    """The letter is the number modulo 23; X, Y, Z stand for 0, 1, 2."""
    text = letters_and_digits(datum)
    body = int(text[:-1].translate(str.maketrans("XYZ", "012")))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[body % 23] == text[-1]


def _is_finnish(datum: str) -> bool:
    """The last character is the nine digits modulo 31."""
    found = digits(datum[:-1])
    check = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int("".join(map(str, found))) % 31]
    return check == datum[-1].upper() and begins_with_date(found, "dmy")


def _is_french(datum: str) -> bool:
    """97 less the rest by 97; Corsica's departments 2A and 2B count as 19 and 18."""
    text = letters_and_digits(datum)
    body = int(text[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - body % 97 == int(text[13:])


_ODD = (
    1,
    0,
    5,
    7,
    9,
    13,
    15,
    17,
    19,
    21,
    2,
    4,
    18,
    20,
    11,
    3,
    6,
    8,
    12,
    14,
    16,
    10,
    22,
    25,
    24,
    23,
)


def _is_italian(datum: str) -> bool:
    """Characters in odd places count by a table, the others as they are, modulo 26."""
    values = [int(c) if c.isdecimal() else ord(c) - ord("A") for c in datum.upper()]
    total = sum(_ODD[value] for value in values[:-1:2]) + sum(values[1:-1:2])
    return total % 26 == values[-1]


def _is_dutch(datum: str) -> bool:
    return weighted(digits(datum), (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _is_norwegian(datum: str) -> bool:
    """Two check digits; a D-number adds 40 to the day, an H-number to the month."""
    found = digits(datum)
    born = [found[0] % 4, found[1], found[2] % 4, *found[3:]]
    return (
        begins_with_date(born, "dmy")
        and weighted(found, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and weighted(found, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    )


def _is_polish(datum: str) -> bool:
    """The month carries the century, in twenties."""
    found = digits(datum)
    month, day = (10 * found[2] + found[3]) % 20, 10 * found[4] + found[5]
    total = weighted(found, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1))
    return is_month_and_day(month, day) and total % 10 == 0


def _is_swedish(datum: str) -> bool:
    """Luhn over the last ten digits; a samordningsnummer adds 60 to the day."""
    found = digits(datum)[-10:]
    born = [*found[:4], found[4] - 6 if found[4] > 5 else found[4], found[5]]
    return begins_with_date(born, "ymd") and luhn(found)


def _is_turkish(datum: str) -> bool:
    found = digits(datum)
    tenth = (7 * sum(found[0:9:2]) - sum(found[1:8:2])) % 10
    return found[0] != 0 and found[9] == tenth and found[10] == sum(found[:10]) % 10


def _is_national_insurance(datum: str) -> bool:
    """Some prefixes are never given (HMRC, NIM39110)."""
    return letters_and_digits(datum)[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def _is_nhs(datum: str) -> bool:
    return weighted(digits(datum), range(10, 0, -1)) % 11 == 0


EUROPE = (
    Detector(  # rijksregisternummer, numéro national
        kind="be_national_number",
        cue="number",
        pattern=number("##.##.##-###.##", "## ## ## ### ##"),
        check=_is_belgian,
        context=(
            *("rijksregister", "rijksregisternummer", "insz", "niss", "bis nummer"),
            *("registre national", "numéro national", "numero national", "national number"),
        ),
    ),
    Detector(  # AHV, AVS: every one begins with 756, the country
        kind="ch_ahv", cue="number", pattern=number("756 #### #### ##"), check=_is_swiss
    ),
    Detector(  # Steuerliche Identifikationsnummer
        kind="de_tax_id",
        cue="number",
        pattern=number("## ### ### ###"),
        check=_is_german_tax_id,
        context=(
            *("steuer id", "steuerid", "idnr", "steuer idnr", "steuernummer", "tax id", "tin"),
            *("steueridentifikationsnummer", "identifikationsnummer", "steuer identnummer"),
        ),
    ),
    Detector(  # Personalausweis
        kind="de_identity_card",
        cue="code",
        pattern=rf"{START}[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{{8}}[0-9]?{END}",
        check=_is_german_card,
        context=(
            *("ausweis", "ausweisnummer", "ausweisnr", "personalausweis", "personalausweisnummer"),
            *("identity card", "id card", "personalausweises"),
        ),
    ),
    Detector(
        kind="dk_cpr",
        cue="number",
        pattern=number("###### ####"),
        check=_is_danish,
        context=("cpr", "cprnr", "cprnummer", "personnummer", "cpr nummer"),
    ),
    Detector(
        kind="es_dni",
        cue="number",
        pattern=rf"{START}[0-9]{{2}}\.?[0-9]{{3}}\.?[0-9]{{3}}[ \-]?[A-HJ-NP-TV-Za-z]{END}",
        check=_is_spanish,
        context=("dni", "nif", "documento nacional", "documento de identidad", "identidad"),
    ),
    Detector(
        kind="es_nie",
        cue="number",
        pattern=rf"{START}[XYZxyz][ \-]?[0-9]{{7}}[ \-]?[A-HJ-NP-TV-Za-z]{END}",
        check=_is_spanish,
        context=("nie", "nif", "extranjero", "extranjeros", "identidad"),
    ),
    Detector(  # henkilötunnus; the sign is that of the century
        kind="fi_hetu",
        cue="number",
        pattern=rf"{START}[0-9]{{6}}[+\-A-FU-Ya-fu-y][0-9]{{3}}[0-9A-FHJ-NPR-Ya-fhj-npr-y]{END}",
        check=_is_finnish,
        context=(
            *("hetu", "henkilötunnus", "henkilötunnuksen", "henkilötunnuksesi", "sotu"),
            *("personbeteckning", "personal identity code"),
        ),
    ),
    Detector(  # numéro d'inscription au répertoire, on the carte Vitale
        kind="fr_nir",
        cue="number",
        pattern=rf"{START}[1-478]{SEPARATOR}?[0-9]{{2}}{SEPARATOR}?(?:0[1-9]|1[0-2]|[2-9][0-9])"
        rf"{SEPARATOR}?(?:[0-9]{{2}}|2[AB]){SEPARATOR}?[0-9]{{3}}{SEPARATOR}?[0-9]{{3}}"
        rf"{SEPARATOR}?[0-9]{{2}}{END}",
        check=_is_french,
        context=(
            *("nir", "sécu", "vitale", "sécurité sociale", "securite sociale", "insee"),
            *("assuré social", "numéro de sécu"),
        ),
    ),
    Detector(  # codice fiscale: sixteen characters, each of a set of its own, and a check
        kind="it_codice_fiscale",
        cue="number",
        pattern=rf"{START}(?i:[A-Z]{{6}}[0-9LMNP-V]{{2}}[A-EHLMPRST][0-9LMNP-V]{{2}}"
        rf"[A-Z][0-9LMNP-V]{{3}}[A-Z]){END}",
        check=_is_italian,
    ),
    Detector(  # burgerservicenummer
        kind="nl_bsn",
        cue="number",
        pattern=number("#### ## ###", "### ### ###"),
        check=_is_dutch,
        context=("bsn", "burgerservicenummer", "sofinummer", "sofi nummer", "persoonsnummer"),
    ),
    Detector(  # fødselsnummer
        kind="no_birth_number",
        cue="number",
        pattern=number("###### #####"),
        check=_is_norwegian,
        context=("fødselsnummer", "fnr", "personnummer", "fodselsnummer", "d nummer"),
    ),
    Detector(
        kind="pl_pesel",
        cue="number",
        pattern=number("###########"),
        check=_is_polish,
        context=("pesel", "numer pesel", "peselu"),
    ),
    Detector(
        kind="se_personnummer",
        cue="number",
        pattern=rf"{START}(?:[0-9]{{2}})?[0-9]{{6}}[+\-]?[0-9]{{4}}{END}",
        check=_is_swedish,
        context=("personnummer", "personnr", "pnr", "samordningsnummer", "personal identity"),
    ),
    Detector(  # T.C. kimlik numarası
        kind="tr_identity_number",
        cue="number",
        pattern=number("###########"),
        check=_is_turkish,
        context=("kimlik", "tckn", "tc no", "vatandaşlık"),
    ),
    Detector(  # National Insurance number
        kind="uk_nino",
        cue="number",
        pattern=rf"{START}(?i:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?[0-9]{{2}}){{3}} ?[A-D])"
        rf"{END}",
        check=_is_national_insurance,
        context=("nino", "ni number", "ni no", "national insurance", "insurance number"),
    ),
    Detector(
        kind="uk_nhs",
        cue="number",
        pattern=number("### ### ####"),
        check=_is_nhs,
        context=("nhs", "national health", "patient"),
    ),
)
