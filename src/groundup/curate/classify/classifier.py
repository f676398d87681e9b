"""A linear classifier of texts: fastText (Joulin et al. 2017) without its hidden layer.

    logit(class) = bias(class) + mean over the text's buckets of weight(bucket, class)

and the classes' probabilities are the softmax. With a few classes the hidden layer of fastText is
no narrower than they are, so that it makes nothing smaller, and one matrix learns more from less.

A weight is a byte, a multiple of one `scale`: a classifier of three classes takes 3 MB, and the
part that a text touches stays in the processor's cache. In the compiled core what a word's rows of
characters add is summed once for all its occurrences in a row of texts.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as to_safetensors

from groundup.core.config import from_dict, to_dict
from groundup.core.errors import ArtifactError, ConfigError
from groundup.core.files import write_bytes
from groundup.core.native import core
from groundup.curate.classify.ngrams import Ngrams
from groundup.curate.duplicates.shingles import lowered

_KIND = "groundup linear classifier, 1"


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """labels: the names of C classes. weights: int8 [2^bits, C], in units of `scale`.
    bias: float32 [C]."""

    labels: tuple[str, ...]
    ngrams: Ngrams
    weights: NDArray[np.int8]
    scale: float
    bias: NDArray[np.float32]

    def logits(self, texts: list[str]) -> NDArray[np.float32]:
        """[texts, C]"""
        sums, counts = self._sums(texts)
        means = sums * (self.scale / np.maximum(counts, 1))[:, None]
        return (means + self.bias).astype(np.float32)

    def probabilities(self, texts: list[str]) -> NDArray[np.float32]:
        """[texts, C], each row of sum 1."""
        logits = self.logits(texts)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def predict(self, texts: list[str]) -> list[str]:
        """The most probable label of each text."""
        return [self.labels[best] for best in self.logits(texts).argmax(1)]

    def probability(self, text: str, label: str) -> float:
        """That of one label."""
        return float(self.probabilities([text])[0, self.labels.index(label)])

    def _sums(self, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each text the sums of its buckets' weights [texts, C], and how many they are."""
        if core is not None:
            return core.sums([lowered(text) for text in texts], self.ngrams.kind(), self.weights)
        numbers, ends = self.ngrams.buckets(texts)
        rows = self.weights[numbers].astype(np.int64)
        before = np.concatenate([np.zeros((1, rows.shape[1]), np.int64), rows.cumsum(0)])
        return np.diff(before[np.concatenate([[0], ends])], axis=0), np.diff(ends, prepend=0)

    def save(self, path: Path) -> None:
        """Write one `.safetensors` file, with labels and n-grams in its header."""
        facts = {"labels": list(self.labels), "ngrams": to_dict(self.ngrams), "scale": self.scale}
        tensors = {"weights": self.weights, "bias": self.bias}
        write_bytes(path, to_safetensors(tensors, {"kind": _KIND, "classifier": json.dumps(facts)}))


def load_classifier(path: Path) -> Classifier:
    """What `Classifier.save` wrote. Raises `ArtifactError` where the file is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            header = file.metadata() or {}
            if header.get("kind") != _KIND:
                raise ValueError("its header names no classifier")
            facts = json.loads(header["classifier"])
            weights, bias = file.get_tensor("weights"), file.get_tensor("bias")
        ngrams = from_dict(Ngrams, facts["ngrams"])
        labels = tuple(facts["labels"])
        if weights.shape != (1 << ngrams.bits, len(labels)) or bias.shape != (len(labels),):
            raise ValueError("its weights are of another shape than its header says")
        if weights.dtype != np.int8 or bias.dtype != np.float32:
            raise ValueError("its weights are of another type")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise ArtifactError(
            f"{path} is no classifier that can be read ({error}): train one by "
            "groundup curate train-classifier."
        ) from error
    return Classifier(
        labels=labels, ngrams=ngrams, weights=weights, scale=float(facts["scale"]), bias=bias
    )
