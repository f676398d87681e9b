"""BERT, T5 and the Transformer against `transformers` with the same random weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from groundup.checkpoint import load_model, save_model
from groundup.checkpoint.huggingface import read_model, write_model

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

VOCAB = 97
BERT = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "intermediate_size": 80,
    "max_position_embeddings": 64,
}
T5 = {
    "vocab_size": VOCAB,
    "d_model": 48,
    "d_kv": 10,
    "d_ff": 80,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 6,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20,
    "decoder_start_token_id": 0,
}
MARIAN = {
    "vocab_size": VOCAB,
    "d_model": 48,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 6,
    "decoder_attention_heads": 6,
    "encoder_ffn_dim": 80,
    "decoder_ffn_dim": 80,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "forced_eos_token_id": 1,
    "decoder_start_token_id": 0,
    "scale_embedding": True,
}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertForPreTraining", "BertConfig", BERT),
    "t5": ("T5ForConditionalGeneration", "T5Config", T5),
    "t5-v1.1": (
        "T5ForConditionalGeneration",
        "T5Config",
        T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "t5-v1.1-silu": (
        "T5ForConditionalGeneration",
        "T5Config",
        T5 | {"feed_forward_proj": "gated-silu", "tie_word_embeddings": False},
    ),
    "transformer": ("MarianMTModel", "MarianConfig", MARIAN | {"activation_function": "relu"}),
}


def peer_of(case: str) -> Any:
    name, config, settings = CASES[case]
    model = getattr(transformers, name)(getattr(transformers, config)(**settings)).eval()
    model.set_attn_implementation("eager")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "embed_positions" not in key:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for key, buffer in model.named_buffers():
            if key.endswith("final_logits_bias"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return model


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(2, VOCAB, shape, generator=torch.Generator().manual_seed(seed))


REAL = torch.arange(19) < torch.tensor([[19], [11]])


def logits(peer: Any, *inputs: torch.Tensor) -> torch.Tensor:
    source, target = inputs
    return peer(input_ids=source, attention_mask=REAL.long(), decoder_input_ids=target).logits


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def assert_same_files(theirs: Path, ours: Path) -> None:
    a, b = (load_file(folder / "model.safetensors") for folder in (theirs, ours))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("case", ["t5", "t5-v1.1", "t5-v1.1-silu", "transformer"])
@pytest.mark.parametrize("implementation", ["reference", "sdpa", "blockwise"])
def test_encoder_decoders_are_theirs(case: str, implementation: Any, tmp_path: Path) -> None:
    """With padding in the source, and lengths that differ."""
    peer = peer_of(case)
    peer.save_pretrained(tmp_path / "theirs")
    model = read_model(tmp_path / "theirs")
    source, target = random(2, 19), random(2, 13, seed=2)
    with torch.no_grad():
        theirs = logits(peer, source, target)
        assert_close(model(source, target, real=REAL, implementation=implementation), theirs)

    write_model(tmp_path / "ours", model, settings={})
    assert_same_files(tmp_path / "theirs", tmp_path / "ours")
    assert read_model(tmp_path / "ours").config == model.config
    again = type(peer).from_pretrained(tmp_path / "ours", attn_implementation="eager")
    with torch.no_grad():
        torch.testing.assert_close(logits(again, source, target), theirs, rtol=0, atol=0)


def test_a_t5_with_a_head_of_its_own_is_written_and_read(tmp_path: Path) -> None:
    """As the published files of version 1.1 are, which have both matrices."""
    import dataclasses

    peer = peer_of("t5-v1.1")
    peer.save_pretrained(tmp_path / "theirs")
    config = dataclasses.replace(read_model(tmp_path / "theirs").config, tied=False)
    model = config.build(0)
    write_model(tmp_path / "ours", model, settings={})
    back = read_model(tmp_path / "ours")
    assert back.config == config
    assert "lm_head.weight" in load_file(tmp_path / "ours" / "model.safetensors")
    source, target = random(2, 19), random(2, 13, seed=2)
    assert torch.equal(back(source, target), model(source, target))


@torch.no_grad()
def test_bert_is_theirs(tmp_path: Path) -> None:
    """Masked-token and next-segment logits, with segments and padding."""
    peer = peer_of("bert")
    peer.save_pretrained(tmp_path / "theirs")
    model = read_model(tmp_path / "theirs")
    tokens = random(2, 19)
    segments = (torch.arange(19) >= 8).long().expand(2, -1)
    theirs = peer(tokens, attention_mask=REAL.long(), token_type_ids=segments)
    for implementation in ("reference", "sdpa", "blockwise"):
        ours = model(tokens, segments=segments, real=REAL, implementation=implementation)
        assert_close(ours.tokens[REAL], theirs.prediction_logits[REAL])
        assert_close(ours.follows, theirs.seq_relationship_logits)
    write_model(tmp_path / "ours", model, settings={})
    assert_same_files(tmp_path / "theirs", tmp_path / "ours")
    assert read_model(tmp_path / "ours").config == model.config


def test_the_loss_of_bert_is_theirs(tmp_path: Path) -> None:
    peer = peer_of("bert")
    peer.save_pretrained(tmp_path)
    model = read_model(tmp_path)
    tokens, targets = random(2, 19), random(2, 19, seed=3)
    masked = torch.rand(2, 19, generator=torch.Generator().manual_seed(4)) < 0.3
    labels = targets.masked_fill(~masked, -100)
    follows = torch.tensor([True, False])
    theirs = peer(tokens, labels=labels, next_sentence_label=(~follows).long()).loss
    ours = model.loss(tokens, targets, masked, follows=follows)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_gradients_of_t5_are_theirs(tmp_path: Path) -> None:
    peer = peer_of("t5")
    peer.save_pretrained(tmp_path / "theirs")
    model = read_model(tmp_path / "theirs")
    source, target = random(2, 19), random(2, 13, seed=2)
    logits(peer, source, target).square().mean().backward()
    model(source, target, real=REAL).square().mean().backward()
    with torch.no_grad():  # gradients take the weights' place, to be translated by the same code
        for network in (peer, model):
            for parameter in network.parameters():
                parameter.copy_(parameter.grad)
    peer.save_pretrained(tmp_path / "gradients")
    theirs = dict(read_model(tmp_path / "gradients").named_parameters())
    for key, ours in model.named_parameters():
        assert (ours - theirs[key]).abs().max() <= 1e-4 * theirs[key].abs().max() + 1e-7, key


@torch.no_grad()
def test_names_of_older_berts_are_read(tmp_path: Path) -> None:
    """Their norms have a gamma and a beta, as the files that Google published."""
    peer_of("bert").save_pretrained(tmp_path)
    expected = read_model(tmp_path)
    path = tmp_path / "model.safetensors"
    older = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(path).items()
    }
    assert "bert.embeddings.LayerNorm.gamma" in older
    save_file(older, path)
    model = read_model(tmp_path)
    for name, parameter in expected.named_parameters():
        assert torch.equal(model.get_parameter(name), parameter), name


@torch.no_grad()
def test_greedy_generation_is_theirs(tmp_path: Path) -> None:
    peer = peer_of("t5")
    peer.save_pretrained(tmp_path)
    model = read_model(tmp_path)
    source = random(2, 19)
    free = model.generate(source, end=VOCAB, most=12, real=REAL)
    (end,) = free[0, 4:5].tolist()  # a token that ends the first row early
    theirs = peer.generate(
        source, attention_mask=REAL.long(), max_new_tokens=12, do_sample=False, eos_token_id=end
    )
    ours = model.generate(source, end=end, most=12, real=REAL)
    assert free.shape == (2, 12)
    assert end in ours[0, :5]
    # theirs begins with the token that begins a target, and pads what has ended with 0
    assert ours.shape == theirs[:, 1:].shape
    for row, other in zip(ours.tolist(), theirs[:, 1:].tolist(), strict=True):
        length = row.index(end) + 1 if end in row else len(row)
        assert row[:length] == other[:length]
        assert set(row[length:]) <= {end}
        assert set(other[length:]) <= {0}


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_of_ours_holds_them(case: str, tmp_path: Path) -> None:
    peer_of(case).save_pretrained(tmp_path / "theirs")
    model = read_model(tmp_path / "theirs")
    save_model(tmp_path / "model", model, {})
    back = load_model(tmp_path / "model")
    assert back.config == model.config
    for name, parameter in model.named_parameters():
        assert torch.equal(back.get_parameter(name), parameter)
