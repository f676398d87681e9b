"""Words that no document may have, of a list of the user's: a word or several in a row a line.

They are found whatever their case and the punctuation between them, and not within other words; a
word is a row of letters and digits (`curate.duplicates.shingles`).
"""

from pathlib import Path

from groundup.core.errors import InputError, os_error_sentence
from groundup.curate.duplicates.shingles import words


class BadWords:
    """The list of a file; `InputError` where it cannot be read, or is empty."""

    def __init__(self, path: Path):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise InputError(os_error_sentence(error)) from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not valid UTF-8 ({error.reason}).") from error
        self._by_first: dict[str, list[list[str]]] = {}
        for line in lines:
            if entry := words(line, punctuation=False):
                self._by_first.setdefault(entry[0], []).append(entry)
        if not self._by_first:
            raise InputError(f"{path} has no words: write one a line.")

    def find(self, text: str) -> str | None:
        """The first that the text has, in lower case; or None."""
        found = words(text, punctuation=False)
        for place, word in enumerate(found):
            for entry in self._by_first.get(word, ()):
                if found[place : place + len(entry)] == entry:
                    return " ".join(entry)
        return None
