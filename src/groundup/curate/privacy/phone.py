"""Telephone numbers: international ones, and those of many countries as their people write them.

With + and a country's code a number is one wherever it stands; so is one of ten digits in the way
that North America writes them, (212) 555-0123 or 212-555-0123. Any other row of digits needs a word
near: seven digits alone are also a date, a price, a part.
"""

import re

from groundup.curate.privacy.detector import END, SEPARATOR, START, Detector, number

# ITU-T E.164, list of assigned country codes (2016): one digit, two, and three by their first two
_CODES = re.compile(
    "1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    "|2[1-689][0-9]|3[578][0-9]|42[0-9]|50[0-9]|59[0-9]|6[789][0-9]|8[05789][0-9]|9[679][0-9]"
)
_EXTENSION = r"(?:[ ,]{0,2}(?:x|ext|extn|#)\.? ?[0-9]{1,5})?"

# By country, in the groups in which people write them (as `number` has it).
_NATIONAL = {
    "Australia": "(0#) #### ####|04## ### ###|1300 ### ###|1800 ### ###",
    "Austria": "0### ######|0### ### ####|01 ### ## ##|0#### #####",
    "Belgium": "0# ### ## ##|0## ## ## ##|04## ## ## ##",
    "Brazil": "(##) 9#### ####|(##) #### ####|9#### ####",
    "Canada, United States": "(###) ### ####|1 ### ### ####|### ####",
    "China": "1## #### ####|0## #### ####|0### #### ####|400 ### ####",
    "Cyprus, Hungary, Iceland": "## ######|(##) ### ###|(##) ### ####|(1) ### ####",
    "Czechia, Poland, Portugal, Spain": "### ### ###|## ### ## ##|### ## ## ##",
    "Denmark, Norway": "## ## ## ##|### ## ###|#### ####",
    "Finland": "0## ### ####|0## #######|0# #######|0# ### ####",
    "France": "0# ## ## ## ##",
    "Germany": "(0##) ########|(0##) #### ####|(0##) #######|(0###) ########|(0###) #######"
    "|(0###) ######|(0####) ######|(0####) #####|01## ########",
    "India": "##### #####|0## #### ####|0#### ######|0### #######|0##### #####",
    "Indonesia": "08## #### ####|08## #### ###|0## #### ####",
    "Ireland": "(0#) ### ####|08# ### ####|(0##) ### ####",
    "Israel": "0# ### ####|05# ### ####",
    "Italy": "3## ### ####|0# #### ####|0## #### ####|0## ### ####|0### ######",
    "Japan": "0# #### ####|0## #### ####|0## ### ####|0### ## ####|0120 ### ###",
    "Mexico": "## #### ####|### ### ####",
    "Netherlands": "0## ### ####|0## ### ## ##|06 ## ## ## ##|06 ########|0### ######",
    "New Zealand": "0# ### ####|02# ### ####|02# #### ####|(0##) ### ###",
    "Russia": "8 (###) ### ## ##|(###) ### ## ##|### ## ##",
    "Slovenia, Switzerland": "0## ### ## ##|0# ### ## ##|0## ### ###",
    "South Africa": "0## ### ####",
    "South Korea": "01# #### ####|02 #### ####|02 ### ####|0## ### ####|0## #### ####",
    "Sweden": "0## ### ## ##|0# ### ### ##|0# ### ## ##|0### ### ##|0### ## ## ##",
    "Tunisia, Uruguay": "## ### ###|### ### ##",
    "Turkey": "(0###) ### ## ##",
    "United Kingdom": "(0##) #### ####|(0###) ### ####|0#### ######|(0####) ######|0#### ### ###",
    "Vietnam": "0## ### ## ##|0## ### ####|0### ### ###",
}
_SHAPES = sorted("|".join(_NATIONAL.values()).split("|"), key=len, reverse=True)

_WORDS = (
    *("phone", "phones", "telephone", "tel", "mobile", "mob", "cell", "cellphone", "fax"),
    *("dial", "ring", "sms", "whatsapp", "hotline", "helpline"),
    *(
        "landline",
        "message",
        "messages",
        "answering",
        "office",
        "desk",
        "contact",
        "voicemail",
        "pager",
    ),
    *("call me", "call us", "call him", "call her", "call them", "call at", "call on", "call now"),
    *("please call", "or call"),
    *("telefon", "telefone", "telefono", "teléfono", "teléfonos", "tél", "téléphone", "tlf"),
    *("telefoon", "telefonnummer", "telefonnr", "rufnummer", "handy", "mobil", "mobilnummer"),
    *("festnetz", "durchwahl", "móvil", "celular", "cellulare", "portable", "gsm", "puh"),
    *(
        "puhelin",
        "puhelinnumero",
        "komórka",
        "cep tel",
        "cep telefonu",
        "тел",
        "телефон",
        "телефона",
        "моб",
    ),
    *("电话", "電話", "手机", "手機", "携帯", "연락처", "전화", "هاتف", "جوال"),
)


def _is_international(datum: str) -> bool:
    """A country's code, and 8 to 15 digits with it (E.164)."""
    without_extension = re.split("[ex#,]", datum)[0].replace("(0)", "")
    found = re.sub("^(?:00|011)|[^0-9]", "", without_extension)
    return 8 <= len(found) <= 15 and _CODES.match(found) is not None


# a code, perhaps an area or the national 0 in brackets, and the rest
_REST = (
    rf"\(?[0-9]{{1,3}}\)?{SEPARATOR}?(?:\([0-9]{{1,5}}\){SEPARATOR}?)?"
    rf"[0-9]{{1,14}}(?:{SEPARATOR}[0-9]{{2,14}}){{0,6}}"
)

PHONES = (
    Detector(
        kind="phone",
        cue="number",
        pattern=rf"(?<![0-9A-Za-z_+])\(?\+{_REST}{_EXTENSION}{END}",
        check=_is_international,
    ),
    Detector(  # North America
        kind="phone",
        cue="number",
        pattern=rf"{START}(?:(?:001|011 ?1|1)[ .\-])?"
        r"(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .\-])"
        rf"[2-9][0-9]{{2}}[.\-][0-9]{{4}}{_EXTENSION}{END}",
    ),
    Detector(
        kind="phone",
        cue="number",
        pattern=rf"{START}(?:00|011 ?){_REST}{_EXTENSION}{END}",
        check=_is_international,
        context=_WORDS,
    ),
    Detector(
        kind="phone",
        cue="number",
        pattern=number(*_SHAPES, behind=_EXTENSION),
        context=_WORDS,
    ),
)
