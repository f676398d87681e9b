"""The table of all detectors. Where two find the same place, the one that stands first has it."""

from groundup.curate.privacy.detector import Detector
from groundup.curate.privacy.internet import INTERNET
from groundup.curate.privacy.national_americas import AMERICAS
from groundup.curate.privacy.national_asia import ASIA
from groundup.curate.privacy.national_europe import EUROPE
from groundup.curate.privacy.payment import PAYMENT
from groundup.curate.privacy.phone import PHONES
from groundup.curate.privacy.secret import SECRETS

DETECTORS: tuple[Detector, ...] = (
    *SECRETS,
    *INTERNET,
    *PAYMENT,
    *EUROPE,
    *AMERICAS,
    *ASIA,
    *PHONES,
)

KINDS = tuple(dict.fromkeys(detector.kind for detector in DETECTORS))

# Not masked unless asked for: they lead to nobody from outside.
LOCAL_KINDS = ("private_ip", "mac")
