"""Keys and tokens: what lets whoever reads it act as somebody else.

Most providers begin theirs with letters of their own, so that they can be found. Others are found
by the name they are assigned to, where the value has letters, digits and few repetitions.
"""

import math
import re
from collections import Counter

from groundup.curate.privacy.detector import Detector

# Bits a character. Of 16 letters and digits drawn by chance one in a hundred has fewer than the
# first, of 16 hexadecimal digits fewer than the second (4,000 draws of each). This keeps out values
# such as aaaaaaaa11111111, and little else: of the identifiers with a digit in Python's library, of
# 16 to 40 characters, every second has 3.6 and more. It is the name before them that tells.
_LEAST_BITS, _LEAST_BITS_HEXADECIMAL = 3.3, 2.6

_BASE64URL = r"[0-9A-Za-z_\-]"
_SHAPES = {
    "Amazon Web Services": "(?:AKIA|ASIA)[2-7A-Z]{16}",
    "GitHub": "gh[opusr]_[0-9A-Za-z]{36,251}+",
    "GitHub, fine-grained": "github_pat_[0-9A-Za-z_]{22,255}+",
    "GitLab": rf"glpat-{_BASE64URL}{{20,64}}+",
    "Google": rf"AIza{_BASE64URL}{{35}}",
    "Google, OAuth": rf"ya29\.{_BASE64URL}{{20,1000}}+",
    "npm": "npm_[0-9A-Za-z]{36}",
    "OpenAI, Anthropic": rf"sk-(?=\S{{0,40}}[0-9])(?=\S{{0,40}}[A-Z]){_BASE64URL}{{32,250}}+",
    "PyPI": rf"pypi-{_BASE64URL}{{50,1000}}+",
    "SendGrid": rf"SG\.{_BASE64URL}{{22}}\.{_BASE64URL}{{43}}",
    "Slack": "xox[abeoprs](?:-[0-9A-Za-z]{1,64}+){2,8}+",
    "Stripe": "[rs]k_(?:live|test)_[0-9A-Za-z]{16,250}+",
    # RFC 7519: of three parts the first two are JSON objects, whose {" is eyJ in base64
    "JSON Web Token": rf"eyJ{_BASE64URL}{{10,2000}}+\.eyJ{_BASE64URL}{{10,8000}}+"
    rf"\.{_BASE64URL}{{10,2000}}+",
}
_NAMES = (
    "(?:access|account|api|auth|client|private|secret)[_ -]?(?:key|secret|token)"
    "|passw(?:or)?d|secret|token"
)


def _is_random(datum: str) -> bool:
    """Digits and letters, with the entropy of nearly all draws."""
    if not (re.search("[0-9]", datum) and re.search("[A-Za-z]", datum)):
        return False
    shares = [count / len(datum) for count in Counter(datum).values()]
    bits = -sum(share * math.log2(share) for share in shares)
    hexadecimal = re.fullmatch("[0-9A-Fa-f-]+", datum)
    return bits >= (_LEAST_BITS_HEXADECIMAL if hexadecimal else _LEAST_BITS)


def _has_a_body(datum: str) -> bool:
    """Not only a mention of the line that begins one."""
    return re.search(r"[0-9A-Za-z+/]{40}", datum) is not None


SECRETS = (
    Detector(  # PEM (RFC 7468) and OpenPGP (RFC 9580), with or without the last line
        kind="secret",
        cue="code",
        pattern=r"-----BEGIN (?:[0-9A-Z]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?!-----)[\x20-\x7e\s]){0,16384}+(?:-----END [0-9A-Z ]{0,50}-----)?",
        check=_has_a_body,
    ),
    Detector(
        kind="secret",
        cue="code",
        pattern=rf"(?<![0-9A-Za-z_])(?:{'|'.join(_SHAPES.values())})(?![0-9A-Za-z_])",
    ),
    Detector(  # api_key = "..."
        kind="secret",
        cue="code",
        pattern=rf"(?i:{_NAMES})[\"']?[ \t]{{0,8}}(?:=>|:=|=|:)[ \t]{{0,8}}[\"']?"
        r"(?P<datum>[0-9A-Za-z_+/=.~\-]{16,256}+)(?![0-9A-Za-z(\[])",
        check=_is_random,
    ),
)
