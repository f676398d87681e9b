import json

import pytest
from tests.curate.formats.conftest import Read

CELLS = [
    {"cell_type": "markdown", "source": ["# Tides\n", "\n", "High and low."]},
    {
        "cell_type": "code",
        "source": "import sea\nsea.level()\n",
        "outputs": [{"output_type": "stream", "text": ["1.7 m"]}],
        "execution_count": 1,
    },
    {"cell_type": "code", "source": []},
    {"cell_type": "raw", "source": "A line as it is."},
    {"cell_type": "code", "source": 'text = """\n```\ncode\n```\n"""'},
]
NOTEBOOK = {
    "cells": CELLS,
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def test_cells_become_markdown_without_outputs(read: Read) -> None:
    ((document,), rejected) = read("a.ipynb", json.dumps(NOTEBOOK).encode())
    assert rejected == []
    assert document.text == (
        "# Tides\n\nHigh and low.\n\n"
        "```python\nimport sea\nsea.level()\n```\n\n"
        "A line as it is.\n\n"
        '````python\ntext = """\n```\ncode\n```\n"""\n````\n'
    )
    assert document.metadata == {"programming_language": "Python"}


def test_the_format_of_2012(read: Read) -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Tides"]},
        {"cell_type": "code", "input": ["level <- 1.7"], "language": "r", "outputs": []},
    ]
    notebook = {"nbformat": 3, "metadata": {}, "worksheets": [{"cells": cells}]}
    ((document,), _) = read("a.ipynb", json.dumps(notebook).encode())
    assert document.text == "## Tides\n\n```r\nlevel <- 1.7\n```\n"
    assert document.metadata == {}


def test_a_notebook_of_nothing_is_empty(read: Read) -> None:
    ((document,), _) = read("a.ipynb", b'{"cells": []}')
    assert document.text == ""


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "is not valid JSON"),
        (b'{"cells": [', "is not valid JSON"),
        (b"[]", "is no notebook of a format that is read"),
        (b'"text"', "is no notebook of a format that is read"),
        (b"{}", "is no notebook of a format that is read"),
        (b'{"cells": 7}', "is no notebook of a format that is read"),
        (b'{"cells": [{"cell_type": "code"}]}', "is no notebook of a format that is read"),
        (b'{"cells": [], "metadata": []}', "is no notebook of a format that is read"),
        (
            b'{"cells": [{"cell_type": "raw", "source": [1]}]}',
            "is no notebook of a format that is read",
        ),
        (
            b'{"cells": [{"cell_type": "raw", "source": "\\ud800"}]}',
            "holds half of a surrogate pair",
        ),
    ],
)
def test_what_is_no_notebook_is_rejected(read: Read, contents: bytes, reason: str) -> None:
    documents, [(_, why)] = read("a.ipynb", contents)
    assert documents == []
    assert why.startswith(reason)


def test_a_heading_has_six_levels_at_the_most(read: Read) -> None:
    cell = {"cell_type": "heading", "level": 10**17, "source": "Too deep"}
    contents = json.dumps({"nbformat": 3, "worksheets": [{"cells": [cell]}]}).encode()
    documents, _ = read("a.ipynb", contents)
    assert documents[0].text == "###### Too deep\n"


def test_a_language_that_cannot_be_written_is_rejected(read: Read) -> None:
    notebook = {"cells": [], "metadata": {"language_info": {"name": "\ud800"}}}
    documents, rejected = read("a.ipynb", json.dumps(notebook).encode())
    assert documents == []
    assert rejected
