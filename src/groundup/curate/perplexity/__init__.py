"""How well a reference foresees a document's words: an n-gram model, its training, and the step."""

from groundup.curate.perplexity.model import WordModel, load_word_model
from groundup.curate.perplexity.step import Perplexity
from groundup.curate.perplexity.training import TrainWordModel, train_word_model

__all__ = ["Perplexity", "TrainWordModel", "WordModel", "load_word_model", "train_word_model"]
