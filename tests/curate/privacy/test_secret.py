"""Keys and tokens in the shapes of their providers; none was ever valid."""

import base64
import json
import random
import string

import pytest
from tests.curate.privacy.conftest import Find

DRAW = random.Random(0)


def drawn(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(DRAW.choices(letters, k=length))


def part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


TOKENS = [
    "AKIAIOSFODNN7EXAMPLE",  # of Amazon's documents
    f"ghp_{drawn(36)}",
    f"github_pat_{drawn(22)}_{drawn(59)}",
    f"glpat-{drawn(20)}",
    f"AIza{drawn(35)}",
    f"xoxb-{drawn(12, string.digits)}-{drawn(12, string.digits)}-{drawn(24)}",
    f"sk_live_{drawn(24)}",
    f"sk-proj-{drawn(48)}",
    f"npm_{drawn(36)}",
    f"SG.{drawn(22)}.{drawn(43)}",
    f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': '1234567890', 'iat': 1})}.{drawn(43)}",
]


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_are_found_by_how_they_begin(find: Find, token: str) -> None:
    assert find(f'curl -H "Authorization: Bearer {token}"') == [("secret", token)]
    assert ("secret", token) not in find(f"x{token}")


@pytest.mark.parametrize(
    "sentence",
    [
        'api_key = "{}"',
        "'secret_key': '{}',",
        "API_KEY={}",
        "client-secret: {}",
        "password => '{}'",
    ],
)
def test_others_are_found_by_their_name(find: Find, sentence: str) -> None:
    for value in ("9aF3kQ81xZ7LmB2w", "5f4dcc3b5aa765d61d8327deb882cf99"):
        assert find(sentence.format(value)) == [("secret", value)]


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "YOUR_API_KEY_HERE_1"',
        'password = "correct-horse-battery"',  # no digit
        'token = "aaaaaaaaaaaaaaaa1111"',
        "token = tokenizer.encode(text1, text2)",
        'key = "9aF3kQ81xZ7LmB2w"',  # of what?
        "digest: 5f4dcc3b5aa765d61d8327deb882cf99",
    ],
)
def test_what_is_no_secret(find: Find, text: str) -> None:
    assert not find(text)


@pytest.mark.parametrize("name", ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY"])
@pytest.mark.parametrize("newline", ["\n", "\\n"])
def test_private_keys_are_found_whole(find: Find, name: str, newline: str) -> None:
    lines = [drawn(64) for _ in range(24)]
    key = newline.join([f"-----BEGIN {name}-----", *lines, f"-----END {name}-----"])
    assert find(f"before {key} after") == [("secret", key)]
    cut = key[: key.index("-----END")].rstrip()
    assert [kind for kind, _ in find(f"before {cut}")] == ["secret"]


def test_what_speaks_of_keys_is_left(find: Find) -> None:
    assert not find('if line == "-----BEGIN PRIVATE KEY-----": return 12345678')
    assert not find(f"-----BEGIN CERTIFICATE-----\n{drawn(64)}\n-----END CERTIFICATE-----")
