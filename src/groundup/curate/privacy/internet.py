"""E-mail addresses, IP addresses, hardware addresses, and passwords in URLs.

As in FineWeb (Penedo et al. 2024), of IP addresses only public ones are masked by default: a
private one (RFC 1918) leads nowhere and is often part of a manual. Examples are those that RFC 2606
(domains), 5737 and 3849 (IP) and 7042 (hardware) set aside for documents.
"""

import ipaddress

from groundup.curate.privacy.detector import END, Detector

_LOCAL = r"[0-9A-Za-z.!#$%&'*+/=?^_`{|}~\u00c0-\u024f\-]"
_LABEL = r"[0-9A-Za-z\u00c0-\u024f](?:[0-9A-Za-z\u00c0-\u024f\-]{0,62}+)"
_EMAIL = (
    rf"(?<!@)(?<!{_LOCAL})(?!\.){_LOCAL}{{1,64}}+@(?:{_LABEL}\.){{1,8}}"
    r"[A-Za-z\u00c0-\u024f]{2,24}+(?![0-9A-Za-z_@\u00c0-\u024f]|[.\-][0-9A-Za-z])"
)
# no one's address, but an image for screens of twice the density: logo@2x.png
_FILES = ("png", "jpg", "jpeg", "gif", "svg", "webp", "js", "css", "py", "json", "html")

_OCTET = "[0-9]{1,3}+"
# neither Chrome/120.0.6099.109 nor "version 1.2.3.4" nor "section 8.2.4.44"
_IPV4 = (
    r"(?<![0-9A-Za-z_+.\-])(?<![A-Za-z]/)(?<!ersion )(?<!ection )"
    rf"(?:{_OCTET}\.){{3}}{_OCTET}{END}"
)
_IPV6 = (
    r"(?<![0-9A-Za-z_:.])(?=[0-9A-Fa-f:]{0,39}::|(?:[0-9A-Fa-f]{1,4}:){7})"
    r"[0-9A-Fa-f:]{2,39}+(?![0-9A-Za-z_:])"
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291, section 2.4


def _is_email(datum: str) -> bool:
    local, _, domain = datum.partition("@")
    dotted = local.endswith(".") or ".." in local
    return not dotted and domain.rpartition(".")[2].lower() not in _FILES


def _is_public(datum: str) -> bool:
    address = _address(datum)
    if isinstance(address, ipaddress.IPv6Address):
        return address in _GLOBAL_UNICAST and address.is_global
    return address is not None and address.is_global and not address.is_multicast


def _is_private(datum: str) -> bool:
    address = _address(datum)
    return address is not None and not address.is_unspecified and not _is_public(datum)


def _address(datum: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(datum)
    except ValueError:
        return None


def _is_hardware(datum: str) -> bool:
    return len(set(datum.upper()) - {":", "-", "."}) > 2  # not of zeros, nor to all


INTERNET = (
    Detector(
        kind="url_credentials",
        cue="at",
        pattern=r"(?<![0-9A-Za-z])[a-z][a-z0-9+.\-]{1,20}://"
        r"(?P<datum>[^\s/@:\"'<>{}]{1,64}+:[^\s/@\"'<>{}]{1,128}+)@(?=[0-9A-Za-z\[])",
    ),
    Detector(kind="email", cue="at", pattern=_EMAIL, check=_is_email, example="email@example.com"),
    Detector(kind="ip", cue="number", pattern=_IPV4, check=_is_public, example="192.0.2.1"),
    Detector(kind="ip", cue="hex", pattern=_IPV6, check=_is_public, example="2001:db8::1"),
    Detector(
        kind="private_ip", cue="number", pattern=_IPV4, check=_is_private, example="192.0.2.1"
    ),
    Detector(kind="private_ip", cue="hex", pattern=_IPV6, check=_is_private, example="2001:db8::1"),
    Detector(
        kind="mac",
        cue="hex",
        pattern=r"(?<![0-9A-Za-z:\-])[0-9A-Fa-f]{2}([:\-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}"
        r"(?![0-9A-Za-z]|[:\-][0-9A-Fa-f])",
        check=_is_hardware,
        example="00:00:5E:00:53:01",
    ),
)
