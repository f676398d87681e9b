"""What is found in a text, by kind."""

from collections.abc import Callable

import pytest

from groundup.curate.privacy import KINDS, Mask

Find = Callable[[str], list[tuple[str, str]]]


@pytest.fixture(scope="session")
def find() -> Find:
    finder = Mask(kinds=KINDS).finder()
    return lambda text: [
        (one.detector.kind, text[one.begin : one.end]) for one in finder.find(text)
    ]
