"""The families, by the `model_type` of their `config.json`; and the published sizes."""

from groundup.models import (
    bert,
    deepseek,
    gemma,
    gpt2,
    gpt3,
    llama,
    mamba2,
    mistral,
    qwen,
    t5,
    transformer,
)
from groundup.models.bert import BERT, BERTModel
from groundup.models.decoder import Decoder, DecoderModel
from groundup.models.encoder_decoder import EncoderDecoder, EncoderDecoderModel
from groundup.models.huggingface import Family
from groundup.models.recurrent import RecurrentLM, RecurrentModel
from groundup.models.seq2seq import Seq2Seq, Seq2SeqModel

Architecture = Decoder | RecurrentLM | BERT | EncoderDecoder | Seq2Seq
Model = DecoderModel | RecurrentModel | BERTModel | EncoderDecoderModel | Seq2SeqModel


def module_of(config: Architecture) -> Model:
    """The module of a config, with weights that are still to be set."""
    match config:
        case BERT():
            return BERTModel(config)
        case RecurrentLM():
            return RecurrentModel(config)
        case Seq2Seq():
            return Seq2SeqModel(config)
        case EncoderDecoder():
            return EncoderDecoderModel(config)
        case Decoder():
            return DecoderModel(config)


# in the order in which a config of ours is tried: the plainer class first
FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        gpt2.FAMILY,
        gpt3.FAMILY,
        llama.FAMILY,
        mistral.MISTRAL,
        mistral.MIXTRAL,
        qwen.QWEN2,
        qwen.QWEN3,
        qwen.QWEN3_MOE,
        gemma.GEMMA2,
        gemma.GEMMA3,
        deepseek.V2,
        deepseek.V3,
        mamba2.FAMILY,
        bert.FAMILY,
        transformer.FAMILY,
        t5.FAMILY,
    )
}

PRESETS: dict[str, Decoder | BERT | EncoderDecoder] = {
    name: config
    for module in (gpt2, gpt3, llama, mistral, qwen, gemma, deepseek, mamba2, bert, transformer, t5)
    for name, config in module.PRESETS.items()
}
