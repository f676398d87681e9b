"""The repository agrees with itself: documents, make targets, version, packages."""

import ast
import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import groundup

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "groundup"
PAGES = sorted(path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md"))
PACKAGES = sorted(init.parent for init in SOURCES.rglob("__init__.py"))
FOLDERS = [package for package in PACKAGES if package.parent == SOURCES]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    assert sorted(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)) == PAGES


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_package_says_what_it_holds(package: Path) -> None:
    module = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(module)


def test_every_folder_with_modules_is_a_package() -> None:
    assert sorted({path.parent for path in SOURCES.rglob("*.py")}) == PACKAGES


@pytest.mark.parametrize("package", FOLDERS, ids=lambda p: p.name)
def test_every_module_is_in_the_reference(package: Path) -> None:
    if package.name == "cli":
        pytest.skip("the command line documents itself: groundup --help")
    page = (ROOT / "docs" / "reference" / f"{package.name}.md").read_text(encoding="utf-8")
    documented = re.findall(r"^::: (\S+)$", page, re.MULTILINE)
    paths = [m.relative_to(package) for m in package.rglob("*.py") if not m.stem.startswith("_")]
    modules = {".".join(path.with_suffix("").parts) for path in paths}
    name = f"groundup.{package.name}"
    assert sorted(documented) == sorted([name, *(f"{name}.{module}" for module in modules)])


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/index.md", ".ci/run"])
def test_make_commands_in_documents_are_targets(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    commands = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    assert commands
    assert commands <= targets


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
        missing = [link for link in links if not (document.parent / link).exists()]
        assert not missing, document


def test_the_version_is_that_of_the_installed_package() -> None:
    assert groundup.__version__ == importlib.metadata.version("groundup")


def test_constraints_pin_a_pytorch_that_the_package_accepts() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = re.search(r"^torch==(\d+)\.(\d+)", pins, re.MULTILINE)
    assert pinned is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    torch = next(need for need in project["dependencies"] if need.startswith("torch"))
    lowest = re.search(r">=(\d+)\.(\d+)", torch)
    assert lowest is not None
    assert tuple(map(int, pinned.groups())) >= tuple(map(int, lowest.groups()))


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    needs = {*project["dependencies"], *(need for extra in extras for need in extra)}
    names = {re.split(r"[\[><=~!]", need)[0] for need in needs} - {"groundup"}
    explained = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert {name for name in names if name not in explained} == set()


def test_an_old_or_missing_python_is_named_in_one_sentence(tmp_path: Path) -> None:
    make = subprocess.run(
        ["make", f"VENV={tmp_path / 'venv'}", "PYTHON=/nonexistent/python", "test"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert make.returncode != 0
    assert "groundup needs Python 3.11 or newer" in make.stderr
    assert not (tmp_path / "venv").exists()
