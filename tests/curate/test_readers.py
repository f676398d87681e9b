import pytest

from groundup.curate.readers import is_readable, readable_kinds


def test_readable_files_are_told_by_their_names():
    names = ["a.txt", "a.md", "a.py", "a.jsonl", "a.jsonl.zst", "a.Parquet", "a.PDF", "a.txt.gz"]
    assert all(map(is_readable, [*names, "crawl/a.warc.gz", "a.json", "Makefile", "x/y.rs"]))
    assert not any(map(is_readable, ["a.png", "a.zst", "txt", "a.gz", "", "Makefile.bak"]))


@pytest.mark.parametrize("kind", [".txt", ".warc", ".pdf", ".arrow", "source code"])
def test_what_is_read_can_be_told(kind):
    assert kind in readable_kinds()
