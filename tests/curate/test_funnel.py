import io
import json

from groundup.curate.document import Document
from groundup.curate.funnel import Funnel


def test_every_step_has_a_row_and_every_reject_a_line():
    rejected = io.StringIO()
    funnel = Funnel(rejected)
    documents = [Document("é" * size, f"d{size}", "s") for size in (1, 2, 20_000)]
    reject = funnel.rejects_of("small")

    def small(documents):
        for document in documents:
            if document.size < 10:
                yield document
            else:
                reject(document, "is large")

    passed = funnel.after("small", small(funnel.after("read", documents)))
    assert funnel.rows()[0]["documents"] == 0  # nothing is pulled before it is asked for
    assert [document.id for document in passed] == ["d1", "d2"]
    assert funnel.rows() == [
        {"step": "read", "documents": 3, "dropped": 0, "bytes": 2 + 4 + 40_000},
        {"step": "small", "documents": 2, "dropped": 1, "bytes": 2 + 4},
    ]
    (line,) = map(json.loads, rejected.getvalue().splitlines())
    assert (line["step"], line["reason"], line["id"]) == ("small", "is large", "d20000")
    assert line["bytes"] == 40_000
    assert line["text"] == "é" * 10_000
