import ast
import sysconfig
import warnings
from pathlib import Path

import pytest

from groundup.core.errors import InputError
from groundup.curate.stdlib import standard_library


def read(source):
    rejected = []
    documents = list(source.documents(lambda *reject: rejected.append(reject), lambda *_: None))
    assert rejected == []
    return documents


def test_it_holds_the_library_without_its_tests():
    names = standard_library().names
    assert {"argparse.py", "asyncio/base_events.py", "json/decoder.py"} <= set(names)
    folders = {folder for name in names for folder in name.split("/")[:-1]}
    assert not folders & {"test", "tests", "idle_test", "site-packages", "__pycache__"}
    assert list(names) == sorted(names)


def test_it_is_large_and_every_file_of_it_is_read():
    documents = read(standard_library())
    assert len(documents) == len(standard_library().names) > 500
    assert 9e6 < sum(document.size for document in documents) < 20e6
    assert {(d.source, d.metadata["licence"]) for d in documents} == {("stdlib", "PSF-2.0")}


@pytest.mark.slow
def test_every_file_of_it_parses():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for document in read(standard_library()):
            assert ast.parse(document.text)


def test_the_fingerprint_stays():
    assert standard_library().fingerprint == standard_library().fingerprint


def test_a_python_without_sources_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(InputError, match="has no sources of its standard library"):
        standard_library()


def test_a_folder_called_test_is_left_out_at_any_depth(monkeypatch, tmp_path):
    for name in ("a.py", "pack/b.py", "test/c.py", "pack/tests/d.py", "e.txt"):
        path = Path(tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("pass\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    assert standard_library().names == ("a.py", "pack/b.py")
