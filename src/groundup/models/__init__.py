"""Model families, each a composition of layers."""

from groundup.models.decoder import Decoder, DecoderModel
from groundup.models.flops import forward_flops, training_flops
from groundup.models.recurrent import RecurrentLM, RecurrentModel

__all__ = [
    "Decoder",
    "DecoderModel",
    "LanguageModel",
    "RecurrentLM",
    "RecurrentModel",
    "forward_flops",
    "training_flops",
]

LanguageModel = DecoderModel | RecurrentModel  # what predicts the next token, and trains alike
