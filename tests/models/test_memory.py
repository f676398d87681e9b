"""Memory of tensors without numbers against what a real training keeps."""

import dataclasses

import pytest
import torch

from groundup.kernels.cpu import HAS_LOOPS, watched
from groundup.layers import (
    GLU,
    LSTM,
    Bahdanau,
    GatedDelta,
    GroupedQuery,
    Latent,
    LayerNorm,
    Learned,
    Luong,
    Mamba2,
    MoE,
)
from groundup.models import Decoder, RecurrentLM
from groundup.models.bert import BERT, BERTModel
from groundup.models.encoder_decoder import EncoderDecoderModel
from groundup.models.families import PRESETS, Architecture, Model
from groundup.models.memory import bytes_saved, parameter_count, training_memory
from groundup.models.seq2seq import Seq2Seq, Seq2SeqModel
from groundup.models.t5 import t5
from groundup.models.transformer import transformer
from groundup.optim import AdamW, ByRole, Muon

OPTIMIZER = ByRole(matrices=Muon(lr=0.1), embedding=AdamW(lr=0.1), rest=AdamW(lr=0.1))
CONFIG = Decoder(
    vocab_size=97,
    context=64,
    width=48,
    depth=3,
    attention=GroupedQuery(heads=6, kv_heads=2, head_width=16),
    mlp=GLU(hidden=80),
)
KINDS: dict[str, Architecture] = {
    "llama": CONFIG,
    "tied, learned positions": dataclasses.replace(
        CONFIG, tied=True, norm=LayerNorm(), position=Learned()
    ),
    "a head that reads the embedding": dataclasses.replace(CONFIG, embedding_in_head=True),
    "mamba": dataclasses.replace(
        CONFIG, attention=Mamba2(heads=6, head_width=16, state=8, chunk=16), mlp=None
    ),
    "delta": dataclasses.replace(
        CONFIG,
        attention=GatedDelta(key_heads=2, value_heads=6, key_width=10, value_width=14, chunk=8),
    ),
    "latent": dataclasses.replace(
        CONFIG,
        attention=Latent(
            heads=4, rank=20, query_rank=28, key_width=10, rope_width=6, value_width=14
        ),
    ),
    "full residual stream": dataclasses.replace(CONFIG, residual="float32"),
    "lstm": RecurrentLM(vocab_size=97, context=64, width=48, depth=2, cell=LSTM()),
    "bert": BERT(vocab_size=97, context=64, width=48, depth=2, heads=4, hidden=80),
    "transformer": transformer(width=48, depth=2, heads=4, hidden=80, vocab_size=97, context=64),
    "t5": t5(width=48, depth=2, heads=4, mlp=GLU(hidden=80), head_width=16, vocab_size=97),
    "translation, bahdanau": Seq2Seq(
        source_vocab_size=97, vocab_size=97, width=24, attention=Bahdanau(width=16)
    ),
    "translation, luong": Seq2Seq(
        source_vocab_size=97, vocab_size=97, width=24, attention=Luong(), cell=LSTM()
    ),
}
SOURCE_TOKENS = 30


def loss(model: Model) -> torch.Tensor:
    ids = torch.zeros(2, 40, dtype=torch.int64)
    source = torch.zeros(2, SOURCE_TOKENS, dtype=torch.int64)
    if isinstance(model, BERTModel):
        return model.loss(ids, ids, torch.arange(80).view(2, 40) < 12, implementation="blockwise")
    if isinstance(model, Seq2SeqModel):
        return model.losses(source, ids).sum()
    texts = (source, ids) if isinstance(model, EncoderDecoderModel) else (ids, ids)
    return model.losses(*texts, implementation="blockwise").sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_activations_are_what_a_real_forward_pass_keeps(kind: str, dtype: torch.dtype) -> None:
    """Distinct storages that autograd saves, beside the weights'."""
    config = KINDS[kind]
    model = config.build(0)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype, enabled=dtype != torch.float32),
    ):
        loss(model)
    found = training_memory(
        config,
        batch=2,
        tokens=40,
        source_tokens=SOURCE_TOKENS,
        optimizer=AdamW(lr=0.1),
        dtype=dtype,
    )
    assert found.activations == pytest.approx(sum(kept.values()), rel=0.001)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_operations_of_the_compiled_core_are_predicted_too(dtype: torch.dtype) -> None:
    """They are for tensors that are larger than those above."""
    model = CONFIG.build(0)
    tokens = torch.zeros(8, 64, dtype=torch.int64)
    called: list[torch.Tensor] = []

    def forward() -> torch.Tensor:
        with watched(called.extend), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            return model.losses(tokens, tokens, implementation="training").sum()

    found = training_memory(CONFIG, batch=8, tokens=64, optimizer=AdamW(lr=0.1), dtype=dtype)
    assert found.activations == pytest.approx(bytes_saved(model, forward), rel=0.001)
    assert bool(called) == HAS_LOOPS


def test_what_is_saved_by_hand() -> None:
    """x for the gradient of the matrix, and what the ReLU returns, which the square needs too."""
    linear, x = torch.nn.Linear(3, 4, bias=False), torch.ones(2, 3)
    assert bytes_saved(linear, lambda: linear(x).relu().square()) == 4 * (2 * 3 + 2 * 4)


def test_two_texts_need_both_lengths() -> None:
    with pytest.raises(ValueError, match="source_tokens must be given"):
        training_memory(KINDS["t5"], batch=2, tokens=40, optimizer=OPTIMIZER)


def test_the_optimizer_s_state_is_its_tensors() -> None:
    model = CONFIG.build(0)
    state = OPTIMIZER.build(dict(model.named_parameters()))
    expected = sum(tensor.numel() * tensor.element_size() for tensor in state.tensors().values())
    found = training_memory(CONFIG, batch=1, tokens=8, optimizer=OPTIMIZER)
    assert found.optimizer == expected
    assert found.weights == found.gradients == 4 * model.parameter_count()
    assert found.total == found.weights + found.gradients + found.optimizer + found.activations


def test_half_the_bytes_halve_the_activations_and_copy_the_weights() -> None:
    full = training_memory(CONFIG, batch=4, tokens=64, optimizer=OPTIMIZER)
    half = training_memory(CONFIG, batch=4, tokens=64, optimizer=OPTIMIZER, dtype=torch.bfloat16)
    copies = 2 * (parameter_count(CONFIG) - 97 * 48)  # the embedding is not multiplied
    assert (
        0.4 < (half.activations - copies) / full.activations < 0.9
    )  # what the core does not fuse stays float32


def test_it_grows_with_the_batch_and_counts_experts_by_their_share() -> None:
    experts = dataclasses.replace(CONFIG, mlp=MoE(experts=8, active=2, hidden=32, shared=16))
    one, two = (training_memory(experts, batch=b, tokens=32, optimizer=OPTIMIZER) for b in (1, 2))
    assert two.activations / one.activations == pytest.approx(2, rel=0.05)
    dense = dataclasses.replace(CONFIG, mlp=GLU(hidden=80))
    alike = training_memory(dense, batch=1, tokens=32, optimizer=OPTIMIZER)
    assert one.activations == alike.activations
    assert one.weights > alike.weights


@pytest.mark.parametrize("name", ["gpt2", "deepseek-v3", "bert-base", "t5-small"])
def test_weights_are_counted_without_making_them(name: str) -> None:
    config: Architecture = PRESETS[name]
    published = {
        "gpt2": 124_439_808,
        "deepseek-v3": 671_026_404_352,
        "bert-base": 110_106_428,
        "t5-small": 60_506_624,
    }
    assert parameter_count(config) == published[name]
