"""Published tokenizers give the ids of the library that they were published for.

The files are not part of this repository: GROUNDUP_TOKENIZER_FILES names a folder with some.
"""

import os
import random
from pathlib import Path

import pytest

from groundup.tokenizers import load_tokenizer
from tokenizers import Tokenizer

FOLDER = os.environ.get("GROUNDUP_TOKENIZER_FILES")
FILES = sorted(Path(FOLDER).rglob("tokenizer.json")) if FOLDER else []

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILES, reason="GROUNDUP_TOKENIZER_FILES names no folder with any"),
]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_ids_are_those_of_tokenizers(path: Path, source_files: list[str]) -> None:
    ours, theirs = load_tokenizer(path), Tokenizer.from_file(str(path))
    letters = "".join(map(chr, [*range(0x250), *range(0x370, 0x378), *range(0x4E00, 0x9FA6)]))
    noise = random.Random(0).randbytes(100_000).decode("ascii", errors="replace")
    for text in [*source_files, letters, noise, "naïve 北京 🙂 1234567 it's  \n\n x"]:
        ids = ours.encode_ordinary(text)
        assert ids == theirs.encode(text, add_special_tokens=False).ids
        assert ours.decode(ids) == text
