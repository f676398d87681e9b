"""FLOPs of a model, counted from its config: a multiplication and an addition are two.

Only matrix products count, as in the literature (Kaplan et al. 2020, section 2.1; Chowdhery et al.
2022, appendix B): all else is a few per cent of the arithmetic.
"""

from groundup.layers import Bahdanau
from groundup.models.bert import BERT
from groundup.models.decoder import Decoder
from groundup.models.encoder_decoder import EncoderDecoder
from groundup.models.recurrent import RecurrentLM
from groundup.models.seq2seq import Seq2Seq

OneText = Decoder | RecurrentLM | BERT
TwoTexts = EncoderDecoder | Seq2Seq


def matrix_parameters(config: Decoder | RecurrentLM) -> int:
    """Weights that multiply every token: the blocks' matrices and the head (not the embedding)."""
    if isinstance(config, RecurrentLM):
        return config.matrix_parameters()
    return config.width * config.vocab_size + _block_parameters(config)


def forward_flops(
    config: OneText | TwoTexts,
    tokens: int,
    *,
    source_tokens: int | None = None,
    causal: bool = True,
) -> int:
    """FLOPs of a forward pass over one sequence of `tokens` tokens.

    source_tokens: of the source that an encoder reads, for those models that have one beside the
    target of `tokens` tokens. causal: count only the scores that a causal model needs, T(T+1)/2 of
    T² (the useful work); otherwise the whole square, which is what an implementation that masks
    computes. BERT's scores are a whole square, as are an encoder's.
    """
    match config:
        case RecurrentLM():
            return 2 * matrix_parameters(config) * tokens
        case Decoder():
            mixing = _mixing(config, tokens, causal=causal)
            return 2 * matrix_parameters(config) * tokens + mixing
        case BERT():
            return _bert(config, tokens)
    if source_tokens is None:
        raise ValueError("source_tokens must be given for a model that reads a source")
    if isinstance(config, Seq2Seq):
        return _recurrent_translation(config, source_tokens, tokens)
    return _encoder_decoder(config, source_tokens, tokens, causal=causal)


def training_flops(
    config: OneText | TwoTexts,
    tokens: int,
    *,
    source_tokens: int | None = None,
    causal: bool = True,
) -> int:
    """FLOPs of a forward and a backward pass (twice the forward) over one sequence."""
    return 3 * forward_flops(config, tokens, source_tokens=source_tokens, causal=causal)


def _block_parameters(config: Decoder) -> int:
    """Weights of all blocks that multiply every token."""
    total = 0
    for layer in range(config.depth):
        mlp = config.mlp_of(layer)
        total += config.attention_of(layer).matrix_parameters(config.width)
        total += mlp.matrix_parameters(config.width) if mlp else 0
    return total


def _mixing(config: Decoder, tokens: int, *, causal: bool) -> int:
    return sum(
        config.attention_of(layer).mixing_flops(tokens, causal=causal)
        for layer in range(config.depth)
    )


def _bert(config: BERT, tokens: int) -> int:
    blocks, D = config.blocks(), config.width
    each = _block_parameters(blocks) + D * D + D * config.vocab_size
    first = D * D + 2 * D  # does the second segment follow?
    return 2 * (each * tokens + first) + _mixing(blocks, tokens, causal=False)


def _encoder_decoder(config: EncoderDecoder, source: int, tokens: int, *, causal: bool) -> int:
    attention, D = config.attention, config.width
    sides = [(config.blocks(encoder=True), source, False)]
    sides.append((config.blocks(encoder=False), tokens, causal))
    total = 2 * tokens * D * config.vocab_size
    for blocks, length, half in sides:
        total += 2 * length * _block_parameters(blocks) + _mixing(blocks, length, causal=half)
    per_head = 2 * D * attention.head_width
    ends = 2 * per_head * (tokens * attention.heads + source * attention.kv_heads)
    across = 4 * tokens * source * attention.heads * attention.head_width
    return total + config.depth * (ends + across)


def _recurrent_translation(config: Seq2Seq, source: int, tokens: int) -> int:
    D, S, T, gates = config.width, source, tokens, config.cell.gates
    early = isinstance(config.attention, Bahdanau)
    memory = 2 * D if early else D
    encoder = 2 * S * gates * D * (D + D)
    bridge = D * D + (0 if early else S * 2 * D * D)
    cell = T * gates * D * ((3 if early else 2) * D + D)
    combine = T * (4 * D * 2 * D if early else 2 * D * D)
    look = T * S * memory  # the weighted sum
    if isinstance(config.attention, Bahdanau) or config.attention.score == "concat":
        inner = config.attention.width if isinstance(config.attention, Bahdanau) else D
        look += S * memory * inner + T * D * inner + T * S * inner
    else:
        look += T * S * D + (S * memory * D if config.attention.score == "general" else 0)
    return 2 * (encoder + bridge + cell + combine + look + T * D * config.vocab_size)
