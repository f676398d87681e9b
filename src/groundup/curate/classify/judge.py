"""A model that gives a text's probability of each label: a classifier of ours, or of fastText's."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from groundup.curate.classify.classifier import load_classifier
from groundup.curate.classify.fasttext_model import load_fasttext

CLASSIFIER = "classifier.safetensors"  # in the folder of a training
_OF_FASTTEXT = (".bin", ".ftz")


class Judge(Protocol):
    @property
    def labels(self) -> tuple[str, ...]: ...

    def probabilities(self, texts: list[str], /) -> NDArray[np.float32]:
        """[texts, labels]"""
        ...


def load_judge(path: Path) -> Judge:
    """The model of a file, or of a folder that `groundup curate train-classifier` wrote.

    Raises `InputError` or `ArtifactError` where there is none.
    """
    if path.suffix in _OF_FASTTEXT:
        return load_fasttext(path)
    return load_classifier(path / CLASSIFIER if path.is_dir() else path)
