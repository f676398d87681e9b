"""Builds groundup._native, the compiled core; everything else is in pyproject.toml.

Without a C++ compiler the package installs all the same, and the reference in Python serves.
"""

from pathlib import Path

from pybind11.setup_helpers import Pybind11Extension
from setuptools import setup

SOURCES = Path("src/native")

setup(
    ext_modules=[
        Pybind11Extension(
            "groundup._native",
            sorted(str(source) for source in SOURCES.glob("*.cpp")),
            depends=sorted(str(header) for header in SOURCES.glob("*.h")),
            cxx_std=17,
            # The last two let the compiler take the roots of several numbers at once.
            extra_compile_args=[
                "-O2",
                "-Wall",
                "-Wextra",
                "-Wno-psabi",  # no vector of numbers leaves its file
                "-fno-math-errno",
                "-fno-trapping-math",
            ],
            optional=True,
        )
    ]
)
