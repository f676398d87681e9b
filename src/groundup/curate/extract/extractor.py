"""The main text of a web page: blocks that trees take for it, and the element that holds most of
them.

A block is judged by itself and by what is round it (`features`); then the element is sought whose
blocks together are most likely the text, and a block within needs less to be taken than one
outside.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from groundup.core.errors import ArtifactError
from groundup.core.files import write_bytes
from groundup.curate.extract.features import features
from groundup.curate.extract.page import Page, read_page
from groundup.curate.extract.rendering import render
from groundup.curate.extract.trees import Trees

_MIDDLE = 0.5  # what a block's probability is compared with in the search for the element
_INSIDE, _OUTSIDE = 0.4, 0.8  # probabilities from which on blocks are taken


@dataclass(frozen=True)
class Extractor:
    """Finds the main text of pages by trees that were trained on some (`training`)."""

    trees: Trees

    def text(self, html: str) -> str:
        """What the page says, without navigation, advertisements and comments; empty where it says
        nothing. Lists, tables, code and formulas are kept (`rendering`)."""
        page = read_page(html)
        return render(page, self.chosen(page).tolist())

    def chosen(self, page: Page) -> NDArray[np.bool_]:
        """Which of the blocks are the main text."""
        if not page.texts:
            return np.zeros(0, dtype=bool)
        probabilities = self.trees.probabilities(features(page))
        sizes = np.array([len(text) for text in page.texts])
        gains = np.concatenate([[0.0], np.cumsum(sizes * (probabilities - _MIDDLE))])
        of_element = gains[page.last] - gains[page.first]
        best = np.flatnonzero(of_element >= of_element.max() - 1e-6)
        element = best[np.argmin((page.last - page.first)[best])]
        place = np.arange(len(sizes))
        inside = (place >= page.first[element]) & (place < page.last[element])
        return probabilities >= np.where(inside, _INSIDE, _OUTSIDE)

    def save(self, path: Path) -> None:
        """Write a `.safetensors` file."""
        write_bytes(path, _to_bytes(self.trees))


def load_extractor(path: Path) -> Extractor:
    """What `Extractor.save` wrote. Raises `ArtifactError` where the file is none."""
    try:
        return Extractor(_from_bytes(path.read_bytes()))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path} is no extractor that can be read ({error}).") from error


@cache
def default_extractor() -> Extractor:
    """The one that comes with groundup, which was trained on 60 articles in several languages."""
    data = resources.files("groundup.curate.extract").joinpath("articles.safetensors").read_bytes()
    return Extractor(_from_bytes(data))


def _to_bytes(trees: Trees) -> bytes:
    arrays = {name: getattr(trees, name) for name in ("feature", "bound", "values")}
    return save({**arrays, "base": np.array([trees.base], dtype=np.float32)})


def _from_bytes(data: bytes) -> Trees:
    arrays = load(data)
    base = float(arrays.pop("base")[0])
    trees = Trees(**arrays, base=base)
    depth = trees.feature.shape[1]
    if trees.bound.shape != trees.feature.shape or trees.values.shape[1] != 1 << depth:
        raise ValueError("its arrays do not fit each other")
    return trees
