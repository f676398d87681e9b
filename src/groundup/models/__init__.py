"""Model families, each a composition of layers."""

from groundup.models.decoder import Decoder, DecoderModel
from groundup.models.flops import forward_flops, training_flops

__all__ = ["Decoder", "DecoderModel", "forward_flops", "training_flops"]
