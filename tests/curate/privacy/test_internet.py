"""Addresses of mail and machines, after RFC 5322, 5737, 4291, and what only looks like one."""

import pytest
from tests.curate.privacy.conftest import Find


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com",
        "ada.l+news_1@mail.example.co.uk",
        "o'neill@example.org",
        "müller@bücher.example",
        "A@B.CH",
        "x" * 64 + "@example.com",
    ],
)
@pytest.mark.parametrize(
    "sentence", ["<{}>", "Write to {}.", "mailto:{}?subject=x", "邮箱：{}，", "({})--"]
)
def test_mail_addresses(find: Find, sentence: str, address: str) -> None:
    found = find(sentence.format(address))
    assert found == [("email", address)]


@pytest.mark.parametrize(
    "text",
    [
        "@property\ndef f(): ...",
        "logo@2x.png",
        "a..b@example.com",
        "a.@example.com",
        "user@localhost",
        "numpy@1.2.3",
        "a @ b.com",
        "x" * 65 + "@example.com",
        "a@b.com@c.com",
        "a@-b.com",
    ],
)
def test_what_is_no_mail_address(find: Find, text: str) -> None:
    assert not find(text)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "41.176.181.243", "2606:4700:4700::1111", "2a03::face:b00c"]
)
def test_public_addresses(find: Find, address: str) -> None:
    assert find(f"from {address}, port 80") == [("ip", address)]


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "192.168.1.254",
        "172.16.0.9",
        "127.0.0.1",
        "203.0.113.7",
        "fe80::1",
        "2001:db8::7",
    ],
)
def test_private_and_reserved_addresses_are_a_kind_of_their_own(find: Find, address: str) -> None:
    assert find(f"from {address}, port 80") == [("private_ip", address)]


@pytest.mark.parametrize(
    "text",
    [
        "Chrome/120.0.6099.109",
        "version 8.8.4.4",
        "see section 8.2.4.45",
        "v8.8.8.8",
        "8.8.8",
        "8.8.8.256",
        "8.8.8.8.8",
        "08.8.8.8",
        "std::dead::beef1",
        "12:30:45",
    ],
)
def test_what_is_no_address(find: Find, text: str) -> None:
    assert not find(text)


@pytest.mark.parametrize("address", ["3c:22:fb:1a:2b:3d", "3C-22-FB-1A-2B-3D"])
def test_hardware_addresses(find: Find, address: str) -> None:
    assert find(f"ether {address} up") == [("mac", address)]
    assert not find(f"ether {address}:00 up")


def test_hardware_addresses_that_are_nobody_s(find: Find) -> None:
    assert not find("00:00:00:00:00:00 and ff:ff:ff:ff:ff:ff")


def test_passwords_in_urls(find: Find) -> None:
    assert find("see https://ada:p%40ss.1@db.example.com:5432/x") == [
        ("url_credentials", "ada:p%40ss.1")
    ]
    assert not find("see https://example.com:80/a@b and https://{user}:{password}@host")
