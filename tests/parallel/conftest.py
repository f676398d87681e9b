"""Processes that wait for work, once for all tests here."""

from collections.abc import Iterator

import pytest

from groundup.core.spawn import Workers


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    with Workers(4) as workers:
        yield workers
