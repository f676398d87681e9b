"""Judging documents: a linear classifier of n-grams, its training, and what it is worth."""

from groundup.curate.classify.classifier import Classifier, load_classifier
from groundup.curate.classify.ngrams import Ngrams
from groundup.curate.classify.training import TrainClassifier, train_classifier

__all__ = ["Classifier", "Ngrams", "TrainClassifier", "load_classifier", "train_classifier"]
