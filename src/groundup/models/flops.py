"""FLOPs of a language model, counted from its config: a multiplication and an addition are two.

Only matrix products count, as in the literature (Kaplan et al. 2020, section 2.1; Chowdhery et al.
2022, appendix B): all else is a few per cent of the arithmetic.
"""

from groundup.models.decoder import Decoder
from groundup.models.recurrent import RecurrentLM


def matrix_parameters(config: Decoder | RecurrentLM) -> int:
    """Weights that multiply every token: the blocks' matrices and the head (not the embedding)."""
    if isinstance(config, RecurrentLM):
        return config.matrix_parameters()
    total = config.width * config.vocab_size
    for layer in range(config.depth):
        mlp = config.mlp_of(layer)
        total += config.attention_of(layer).matrix_parameters(config.width)
        total += mlp.matrix_parameters(config.width) if mlp else 0
    return total


def forward_flops(config: Decoder | RecurrentLM, tokens: int, *, causal: bool = True) -> int:
    """FLOPs of a forward pass over one sequence of `tokens` tokens.

    causal: count only the scores that a causal model needs, T(T+1)/2 of T² (the useful work);
    otherwise the whole square, which is what an implementation that masks computes.
    """
    if isinstance(config, RecurrentLM):
        return 2 * matrix_parameters(config) * tokens
    mixing = sum(
        config.attention_of(layer).mixing_flops(tokens, causal=causal)
        for layer in range(config.depth)
    )
    return 2 * matrix_parameters(config) * tokens + mixing


def training_flops(config: Decoder | RecurrentLM, tokens: int, *, causal: bool = True) -> int:
    """FLOPs of a forward and a backward pass (twice the forward) over one sequence."""
    return 3 * forward_flops(config, tokens, causal=causal)
