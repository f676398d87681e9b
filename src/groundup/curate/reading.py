"""What a user may choose of the way in which files are read."""

from dataclasses import dataclass
from pathlib import Path

from groundup.core.files import sha256_file


@dataclass(frozen=True, kw_only=True)
class Reading:
    """text_field: the JSON field, or the column of a table, that holds the text. extractor: of the
    main text of web pages, see `extract.extractor_of`."""

    text_field: str = "text"
    extractor: str = "groundup"

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the documents depend on: of an extractor in a file its checksum."""
        file = Path(self.extractor)
        extractor = sha256_file(file) if file.is_file() else self.extractor
        return {"text_field": self.text_field, "extractor": extractor}


DEFAULT_READING = Reading()
