"""Processes that wait for work, once for all tests here."""

from collections.abc import Iterator

import pytest

from groundup.core.spawn import Workers


@pytest.fixture(scope="package")  # they are gone before the next folder: each holds a gigabyte
def workers() -> Iterator[Workers]:
    with Workers(4) as workers:
        yield workers
