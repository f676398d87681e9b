import os
import pickle
from itertools import chain, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.errors import InputError
from groundup.curate.local import open_local
from groundup.curate.reading import Reading


def still(amount: float = 1, note: str = "") -> None:
    assert amount == 1
    assert not note


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "notes"
    for name in ("b/z.txt", "a.txt", "b.md", ".git/x.txt", ".hidden.txt", "__pycache__/c.py"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def read(source):
    rejected = []
    documents = source.documents(lambda document, _reason: rejected.append(document.id), still)
    return [document.id for document in documents], rejected


def test_a_folder_is_read_recursively_sorted_by_name_without_hidden_files(folder):
    assert read(open_local(folder)) == (["a.txt", "b.md", "b/z.txt"], [])


def test_a_file_is_read_alone(folder):
    source = open_local(folder / "b.md")
    assert read(source) == (["b.md"], [])
    assert source.name == "b.md"


def test_documents_say_where_they_come_from(folder):
    (document, *_) = open_local(folder).documents(lambda *_: None, still)
    assert (document.source, document.metadata) == ("notes", {"licence": "the user's own"})


def test_files_of_other_kinds_are_rejected_where_the_user_sees_them(folder):
    (folder / "scan.png").write_bytes(b"")
    (folder / "broken.txt").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.txt")
    assert read(open_local(folder)) == (
        ["a.txt", "b.md", "b/z.txt"],
        ["broken.txt", "pipe.txt", "scan.png"],
    )


def test_folders_of_what_was_installed_or_built_are_skipped(folder):
    for name in (
        "node_modules/left/a.md",
        "b/node_modules/a.md",
        "target/CACHEDIR.TAG",
        "target/a.rs",
        "env/pyvenv.cfg",
        "env/lib/a.py",
        "build/CMakeCache.txt",
        "build/deep/a.txt",
        "kept/build/a.txt",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    reasons = {}
    documents = open_local(folder).documents(
        lambda document, reason: reasons.update({document.id: reason}), still
    )
    assert [document.id for document in documents] == [
        "a.txt",
        "b.md",
        "b/z.txt",
        "kept/build/a.txt",
    ]
    assert reasons == {
        "node_modules": "is a folder of what was installed",
        "b/node_modules": "is a folder of what was installed",
        "target": "is a folder of what was built (it has CACHEDIR.TAG)",
        "env": "is a folder of what was built (it has pyvenv.cfg)",
        "build": "is a folder of what was built (it has CMakeCache.txt)",
    }
    assert read(open_local(folder / "build"))[0] == ["CMakeCache.txt", "deep/a.txt"]


@pytest.mark.parametrize(
    ("pattern", "ids", "rejected"),
    [
        ("*.txt", ["a.txt"], []),
        ("**/*.txt", ["a.txt", "b/z.txt"], []),
        ("b*", ["b.md"], []),
        ("[ab].*", ["a.txt", "b.md"], []),
        ("b/?.*", ["z.txt"], []),
        ("**", ["a.txt", "b.md", "b/z.txt"], ["x.png"]),
    ],
)
def test_files_by_a_pattern(folder, pattern, ids, rejected):
    if rejected:
        (folder / "x.png").write_bytes(b"")
    source = open_local(folder / pattern)
    assert read(source) == (ids, rejected)
    assert source.name == ("b" if pattern.startswith("b/") else "notes")


def test_a_name_with_an_asterisk_is_a_name(folder):
    (folder / "a*.txt").write_text("starred")
    assert read(open_local(folder / "a*.txt")) == (["a*.txt"], [])


def test_a_pattern_that_matches_nothing_is_named(folder):
    with pytest.raises(InputError, match=r"there is no file .*/\*.warc: check the pattern"):
        open_local(folder / "*.warc")


def test_names_that_are_not_utf8_can_be_written_down(folder):
    with open(os.fsencode(folder) + b"/caf\xe9.txt", "w") as file:
        file.write("a")
    ids, _ = read(open_local(folder))
    assert "caf\\xe9.txt" in ids


def test_the_fingerprint_is_that_of_names_and_contents(folder):
    def changed(before):
        after = open_local(folder).fingerprint
        return after != before, after

    first = open_local(folder).fingerprint
    assert changed(first) == (False, first)
    os.utime(folder / "a.txt", (1, 1))
    assert changed(first) == (False, first)
    (folder / "a.txt").write_text("other")
    different, second = changed(first)
    assert different
    (folder / "a.txt").rename(folder / "c.txt")
    different, third = changed(second)
    assert different
    assert open_local(folder, Reading(text_field="body")).fingerprint != third


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(1, 120))
def test_parts_are_the_source(tmp_path_factory, sizes, most):
    folder = tmp_path_factory.mktemp("parts")
    for number, size in enumerate(sizes):
        (folder / f"{number:02}.txt").write_text("x" * size)
    (folder / "picture.png").write_bytes(b"")
    source = open_local(folder)
    parts = [pickle.loads(pickle.dumps(part)) for part in source.parts(most)]
    ids, rejected = zip(*map(read, parts), strict=True)
    assert ([*chain(*ids)], [*chain(*rejected)]) == read(source)
    assert rejected[0] == ["picture.png"]
    assert all(len(part.names) == 1 or sum(sizes_of(part)) <= most for part in parts)
    assert all(sum(sizes_of(one)) + sizes_of(other)[0] > most for one, other in pairwise(parts))
    assert len({part.fingerprint for part in parts}) == len(parts)
    assert parts[0].fingerprint == source.fingerprint or len(parts) > 1


def sizes_of(part):
    return [(part.root / name).stat().st_size for name in part.names]


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(InputError, match="gone does not exist"):
        open_local(tmp_path / "gone")


@pytest.mark.parametrize("names", [[], ["a.png"], [".hidden.txt"]])
def test_a_folder_without_documents_is_named_with_what_is_read(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("a")
    with pytest.raises(
        InputError, match=r"holds no document: files that end in .txt, .md, .*source code are"
    ):
        open_local(tmp_path)


def test_a_file_of_another_kind_is_named_with_what_is_read(tmp_path):
    path = tmp_path / "a.docx"
    path.write_text("a")
    with pytest.raises(InputError, match=r"a.docx holds no document: files that end in"):
        open_local(path)


def test_a_pattern_names_a_file_once(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_text("C")
    assert open_local(tmp_path / "**" / "**" / "*.txt").names == ("a/b/c.txt",)


def test_a_folder_that_cannot_be_read_is_rejected(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    source = open_local(tmp_path)
    assert source.names == ("a.txt",)
    assert source.skipped == (("closed", "is a folder that cannot be read (Permission denied)"),)
