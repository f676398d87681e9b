"""Operating-system errors become one sentence."""

import errno

import pytest

from groundup.core.errors import os_error_sentence


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
    ],
)
def test_the_sentence_says_where_and_what_to_do(number: int, words: str) -> None:
    sentence = os_error_sentence(OSError(number, "x", "a/b"))
    assert sentence.startswith("a/b: ")
    assert words in sentence


def test_an_unknown_error_keeps_the_system_s_words() -> None:
    assert os_error_sentence(OSError(errno.ELOOP, "Too many levels", "a")) == "a: Too many levels."
