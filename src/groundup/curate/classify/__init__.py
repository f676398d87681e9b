"""Judging documents: a linear classifier of n-grams, fastText's, and what they are worth."""

from groundup.curate.classify.classifier import Classifier, load_classifier
from groundup.curate.classify.judge import Judge, load_judge
from groundup.curate.classify.ngrams import Ngrams
from groundup.curate.classify.step import Classify
from groundup.curate.classify.training import TrainClassifier, train_classifier

__all__ = [
    "Classifier",
    "Classify",
    "Judge",
    "Ngrams",
    "TrainClassifier",
    "load_classifier",
    "load_judge",
    "train_classifier",
]
