"""The families, by the `model_type` of their `config.json`; and the published sizes."""

from groundup.models import deepseek, gemma, gpt2, gpt3, llama, mistral, qwen
from groundup.models.decoder import Decoder
from groundup.models.huggingface import Family

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
    )
}

PRESETS: dict[str, Decoder] = {
    name: decoder
    for module in (gpt2, gpt3, llama, mistral, qwen, gemma, deepseek)
    for name, decoder in module.PRESETS.items()
}
