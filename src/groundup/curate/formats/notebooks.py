"""Jupyter notebooks as Markdown: prose as it is, code between fences, in order, without outputs.

The formats of 2012 (nbformat 3) and of 2014 (4) are read.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from groundup.curate.document import Document, Reject
from groundup.curate.formats.json_lines import json_reason
from groundup.curate.formats.source_code import LANGUAGES
from groundup.curate.input_file import InputFile

_BYTES = 64 << 20  # a longer one is rejected: it would be in memory as a whole
_FENCES = re.compile("^`{3,}", re.MULTILINE)


def read_notebook(file: InputFile, reject: Reject) -> Iterator[Document]:
    """The cells of a notebook as one document; `programming_language` is in the metadata."""
    try:
        with open(file.path, "rb") as raw:
            data = raw.read(_BYTES + 1)
        if len(data) > _BYTES:
            raise ValueError(f"is longer than {_BYTES:,} bytes")
        notebook = json.loads(data)
        language = _language(notebook)
        text = "\n\n".join(filter(None, (_text(cell, language) for cell in _cells(notebook))))
        (text + language).encode("utf-8")  # fails where it holds half of a surrogate pair
    except (ValueError, RecursionError) as error:
        reject(file.document(""), json_reason(error))
    except (AttributeError, KeyError, TypeError):
        reject(file.document(""), "is no notebook of a format that is read")
    else:
        names = {name.lower(): name for name in LANGUAGES}
        metadata = {"programming_language": names.get(language, language)} if language else {}
        yield file.document(text + "\n" if text else "", metadata=metadata)


def _cells(notebook: Any) -> list[Any]:
    if "worksheets" in notebook:  # nbformat 3
        return [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
    return notebook["cells"]


def _language(notebook: Any) -> str:
    """In lower case; empty where the notebook does not say it."""
    about = notebook.get("metadata", {})
    name = about.get("language_info", {}).get("name") or about.get("kernelspec", {}).get("language")
    return str(name or "").lower()


def _text(cell: Any, language: str) -> str:
    kind = cell["cell_type"]
    source = cell["input"] if "input" in cell else cell["source"]
    text = (source if isinstance(source, str) else "".join(source)).strip("\n")
    if not text.strip():
        return ""
    if kind == "heading":  # nbformat 3
        return f"{'#' * min(6, cell['level'])} {text}"
    if kind != "code":
        return text
    longest = max(map(len, _FENCES.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{cell.get('language') or language}\n{text}\n{fence}"
