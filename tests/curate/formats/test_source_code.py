import pytest
from tests.curate.formats.conftest import Read

from groundup.curate.formats.source_code import LANGUAGES, language_of


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("a.py", "Python"),
        ("src/Main.JAVA", "Java"),
        ("a.R", "R"),
        ("a.cpp", "C++"),
        ("a.d.ts", "TypeScript"),
        ("lib/Makefile", "Makefile"),
        ("CMakeLists.txt", "CMake"),
        ("Dockerfile", "Dockerfile"),
    ],
)
def test_a_source_file_says_its_language(read: Read, name: str, language: str) -> None:
    assert language_of(name) == language
    base = name.rpartition("/")[2]
    ((document,), rejected) = read(base, b"a line of code\n")
    assert (document.id, document.text) == (base, "a line of code\n")
    assert document.metadata == {"programming_language": language}
    assert rejected == []


@pytest.mark.parametrize("name", ["a.txt", "a.md", "py", "a.", "makefile.txt", ".py/a", "a.min"])
def test_other_names_are_of_no_language(name: str) -> None:
    assert language_of(name) is None


def test_no_name_is_of_two_languages() -> None:
    names = [name.lower() for names in LANGUAGES.values() for name in names.split()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("jquery.min.js", "a = 1;\nb = 2;\n"),
        ("bundle.js", "x=1;" * 100),
        ("style.css", "a{b:c}" * 100 + "\n"),
    ],
)
def test_minified_code_is_rejected(read: Read, name: str, contents: str) -> None:
    assert read(name, contents.encode()) == ([], [(name, "is minified")])


def test_long_lines_of_other_languages_are_not_minified(read: Read) -> None:
    assert len(read("a.sql", b"x" * 1000)[0]) == 1


@pytest.mark.parametrize("name", ["package-lock.json", "pnpm-lock.yaml"])
def test_lock_files_are_rejected(read: Read, name: str) -> None:
    reason = "is a lock file, which a package manager wrote"
    assert read(name, b"[]") == ([], [(name, reason)])
