"""Files of source code.

The language is told by the name. Code that nobody wrote is rejected: minified JavaScript and CSS.
"""

from collections.abc import Iterator

from groundup.curate.document import Document, Reject
from groundup.curate.formats.text import read_text
from groundup.curate.input_file import InputFile

LANGUAGES = {
    "Ada": ".adb .ads",
    "Assembly": ".asm .s",
    "Batch": ".bat",
    "C": ".c .h",
    "C#": ".cs",
    "C++": ".cc .cpp .cxx .hh .hpp .hxx",
    "CMake": ".cmake CMakeLists.txt",
    "CSS": ".css .less .scss",
    "CUDA": ".cu .cuh",
    "Clojure": ".clj .cljs",
    "Dart": ".dart",
    "Dockerfile": ".dockerfile Dockerfile",
    "Elixir": ".ex .exs",
    "Emacs Lisp": ".el",
    "Erlang": ".erl",
    "F#": ".fs .fsx",
    "Fortran": ".f .f90 .f95 .f03",
    "Go": ".go",
    "GraphQL": ".graphql",
    "Groovy": ".gradle .groovy Jenkinsfile",
    "Haskell": ".hs",
    "Java": ".java",
    "JavaScript": ".cjs .js .jsx .mjs",
    "Julia": ".jl",
    "Kotlin": ".kt .kts",
    "Lean": ".lean",
    "Lisp": ".lisp",
    "Lua": ".lua",
    "Makefile": ".mk GNUmakefile Makefile",
    "Nix": ".nix",
    "OCaml": ".ml .mli",
    "Objective-C++": ".mm",
    "PHP": ".php",
    "Pascal": ".pas",
    "Perl": ".pl .pm",
    "PowerShell": ".ps1 .psm1",
    "Protocol Buffers": ".proto",
    "Python": ".py .pyi .pyx",
    "R": ".r",
    "Ruby": ".rb Gemfile Rakefile",
    "Rust": ".rs",
    "SQL": ".sql",
    "Scala": ".scala",
    "Scheme": ".scm",
    "Shell": ".bash .sh .zsh",
    "Solidity": ".sol",
    "Starlark": ".bzl BUILD.bazel",
    "Svelte": ".svelte",
    "Swift": ".swift",
    "TOML": ".toml",
    "Terraform": ".tf",
    "TypeScript": ".cts .mts .ts .tsx",
    "VHDL": ".vhd .vhdl",
    "Verilog": ".sv .v",
    "Visual Basic": ".vb",
    "Vue": ".vue",
    "YAML": ".yaml .yml",
    "Zig": ".zig",
}
_OF_NAME = {
    name.lower(): language for language, names in LANGUAGES.items() for name in names.split()
}
_MINIFIED = ("JavaScript", "CSS")
_LINE_CHARS = 110  # on average; linguist, which names the languages of GitHub, takes it, too


def language_of(name: str) -> str | None:
    """The language of a file of this name, if it is one of source code."""
    name = name.rpartition("/")[2].lower()
    _, dot, suffix = name.rpartition(".")
    return _OF_NAME.get(name) or (_OF_NAME.get(dot + suffix) if dot else None)


def read_source(file: InputFile, reject: Reject) -> Iterator[Document]:
    """A file of source code, as text; `programming_language` is in the metadata."""
    language = language_of(file.path.name)
    for document in read_text(file, reject):
        document.metadata["programming_language"] = language
        if language in _MINIFIED and _is_minified(file.path.name, document.text):
            reject(document, "is minified")
        else:
            yield document


def _is_minified(name: str, text: str) -> bool:
    return ".min." in name.lower() or len(text) > _LINE_CHARS * (text.count("\n") + 1)
