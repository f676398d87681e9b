"""The original Transformer against torch's own modules; BERT's masking by its statistics."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from groundup.core.errors import InputError
from groundup.layers import GLU, MLP, Mamba2
from groundup.models import Decoder, forward_flops, training_flops
from groundup.models.bert import BERT, mask_tokens
from groundup.models.encoder_decoder import EncoderDecoder, EncoderDecoderModel
from groundup.models.stack import Encoder
from groundup.models.t5 import t5
from groundup.models.transformer import transformer

CONFIG = transformer(width=32, depth=2, heads=4, hidden=48, vocab_size=53, context=40)


def torch_s(model: EncoderDecoderModel) -> nn.Transformer:
    """torch's Transformer with our weights; both put the norms after the branches. Its last norms,
    which the paper has not, are made to do nothing."""
    config = model.config
    peer = nn.Transformer(
        d_model=config.width,
        nhead=config.attention.heads,
        num_encoder_layers=config.encoder_depth,
        num_decoder_layers=config.depth,
        dim_feedforward=config.mlp.hidden,
        dropout=0.0,
        batch_first=True,
    ).eval()
    peer.encoder.enable_nested_tensor = False
    peer.encoder.norm = peer.decoder.norm = None

    def copy_attention(theirs: nn.MultiheadAttention, ours: nn.Module) -> None:
        parts = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())

    with torch.no_grad():
        sides = ((peer.encoder, model.encoder.blocks), (peer.decoder, model.blocks))
        for side, blocks in sides:
            for theirs, ours in zip(side.layers, blocks, strict=True):
                copy_attention(theirs.self_attn, ours.attention)
                norms = [ours.attention_post, ours.mlp_post]
                if hasattr(ours, "cross"):
                    copy_attention(theirs.multihead_attn, ours.cross)
                    norms.insert(1, ours.cross_post)
                for number, norm in enumerate(norms, start=1):
                    getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())
                theirs.linear1.load_state_dict(ours.mlp.up.state_dict())
                theirs.linear2.load_state_dict(ours.mlp.down.state_dict())
    return peer


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@torch.no_grad()
def test_the_transformer_is_torch_s() -> None:
    model = CONFIG.build(0)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    peer = torch_s(model)
    source = torch.randint(53, (2, 17), generator=generator)
    target = torch.randint(53, (2, 11), generator=generator)
    real = torch.arange(17) < torch.tensor([[17], [9]])

    def embedded(tokens: torch.Tensor) -> torch.Tensor:
        at = torch.arange(tokens.shape[1])[:, None]
        angle = at / 10_000 ** (torch.arange(0, 32, 2) / 32)
        waves = torch.stack((angle.sin(), angle.cos()), -1).flatten(-2)
        return model.embedding.weight[tokens] * 32**0.5 + waves

    hidden = peer(
        embedded(source),
        embedded(target),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(11),
        src_key_padding_mask=~real,
        memory_key_padding_mask=~real,
    )
    theirs = hidden @ model.embedding.weight.T
    ours = model(source, target, real=real)
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_losses_are_of_the_target_shifted_by_the_beginning() -> None:
    model = CONFIG.build(0)
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(53, (2, 9), generator=generator)
    target = torch.randint(53, (2, 6), generator=generator)
    begun = torch.cat((torch.zeros(2, 1, dtype=torch.int64), target[:, :-1]), dim=1)
    log_p = model(source, begun).double().log_softmax(-1)
    expected = -log_p.gather(-1, target[..., None]).squeeze(-1)
    torch.testing.assert_close(
        model.losses(source, target).double(), expected, rtol=1e-4, atol=1e-4
    )


def test_it_learns_to_copy_backwards() -> None:
    """A real, small training run: what the decoder needs is only in the encoder's memory."""
    config = transformer(width=48, depth=1, heads=4, hidden=96, vocab_size=12, context=16)
    model = config.build(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(250):
        source = torch.randint(2, 12, (32, 6), generator=generator)
        loss = model.losses(source, source.flip(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    source = torch.randint(2, 12, (64, 6), generator=generator)
    found = model.generate(source, end=1, most=6)
    assert (found == source.flip(1)).float().mean() > 0.9


def test_masking_has_the_paper_s_shares() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(10, 1000, (200, 500), generator=generator)
    candidates = torch.rand(tokens.shape, generator=generator) < 0.9
    changed, chosen = mask_tokens(
        tokens, candidates, mask_token=3, vocab_size=1000, generator=generator
    )
    assert not (chosen & ~candidates).any()
    assert chosen.float().sum() / candidates.float().sum() == pytest.approx(0.15, abs=0.005)
    assert torch.equal(changed[~chosen], tokens[~chosen])
    masked = (changed == 3)[chosen].float().mean()
    same = (changed == tokens)[chosen].float().mean()
    assert masked == pytest.approx(0.8, abs=0.02)
    assert same == pytest.approx(0.1, abs=0.02)


def test_bert_s_pseudo_likelihood_masks_one_token_at_a_time() -> None:
    model = BERT(vocab_size=31, context=12, width=16, depth=1, heads=2, hidden=24).build(0)
    tokens = torch.randint(5, 31, (2, 7), generator=torch.Generator().manual_seed(1))
    found = model.pseudo_logprobs(tokens, mask_token=3)
    hidden = tokens.clone()
    hidden[:, 4] = 3
    expected = model(hidden).tokens[:, 4].log_softmax(-1)
    torch.testing.assert_close(found[:, 4], expected.gather(1, tokens[:, 4:5])[:, 0])


SMALL = {
    "transformer": transformer(width=16, depth=1, heads=2, hidden=24, vocab_size=31, context=12),
    "t5": t5(
        width=16,
        depth=1,
        heads=2,
        head_width=8,
        mlp=MLP(hidden=24, activation="relu"),
        vocab_size=31,
        context=12,
    ),
}


@pytest.mark.parametrize("kind", SMALL)
@torch.no_grad()
def test_source_and_target_must_fit_the_context(kind: str) -> None:
    model = SMALL[kind].build(0)
    full, more = (torch.zeros(1, length, dtype=torch.int64) for length in (12, 13))
    assert model(full, full).shape == (1, 12, 31)
    assert model.generate(full, end=-1, most=100).shape == (1, 12)
    for source, target in ((more, full), (full, more)):
        with pytest.raises(InputError, match="has 13 tokens, and the model's context holds 12"):
            model(source, target)


SHIFTED = replace(SMALL["t5"], attention=replace(SMALL["t5"].attention, shift=True))
ENCODERS = {**SMALL, "shifted": SHIFTED}


def scrambled(config: EncoderDecoder | BERT) -> Any:
    model = config.build(0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("implementation", ["reference", "sdpa", "blockwise"])
@pytest.mark.parametrize("kind", ENCODERS)
@torch.no_grad()
def test_packed_pairs_are_as_if_alone(kind: str, implementation: str) -> None:
    """The third pair has the number of the first; the last document of either is padding."""
    model = scrambled(ENCODERS[kind])
    lengths, numbers = ((3, 5, 1, 3), (4, 1, 3, 2)), torch.tensor([7, 2, 7, 0])
    source, target = torch.randint(31, (2, 1, 12), generator=torch.Generator().manual_seed(2))
    target = target[:, :10]
    documents = tuple(numbers.repeat_interleave(torch.tensor(sizes))[None] for sizes in lengths)
    found = model.losses(source, target, documents=documents, implementation=implementation)
    texts = zip(source.split(lengths[0], 1), target.split(lengths[1], 1), strict=True)
    alone = torch.cat([model.losses(*pair) for pair in texts], dim=1)
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ENCODERS)
@torch.no_grad()
def test_padding_of_a_source_is_not_read(kind: str) -> None:
    """On the right, or as the first of two documents; and with padding inside of a document."""
    model = scrambled(ENCODERS[kind])
    source, target = torch.randint(31, (2, 1, 9), generator=torch.Generator().manual_seed(2))
    found = model(source, target, real=torch.arange(9)[None] < 6)
    torch.testing.assert_close(found, model(source[:, :6], target), rtol=1e-4, atol=1e-4)
    documents = tuple(torch.tensor([[0] * size + [1] * (9 - size)]) for size in (4, 5))
    packed = model(source, target, documents=documents, real=torch.arange(9)[None] != 8)
    alone = model(source[:, 4:8], target[:, 5:])
    torch.testing.assert_close(packed[:, 5:], alone, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_packed_documents_of_bert_are_as_if_alone() -> None:
    config = BERT(vocab_size=31, context=12, width=16, depth=2, heads=2, hidden=24)
    model = scrambled(config)
    lengths = (3, 5, 1, 3)
    tokens = torch.randint(31, (1, 12), generator=torch.Generator().manual_seed(2))
    segments = torch.arange(12)[None] % 2
    documents = torch.tensor([7, 2, 7, 0]).repeat_interleave(torch.tensor(lengths))[None]
    found = model(tokens, segments=segments, documents=documents)
    parts = zip(tokens.split(lengths, 1), segments.split(lengths, 1), strict=True)
    alone = [model(part, segments=kinds) for part, kinds in parts]
    expected = torch.cat([each.tokens for each in alone], dim=1)
    torch.testing.assert_close(found.tokens, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.follows, alone[0].follows, rtol=1e-4, atol=1e-4)
    masked = torch.arange(12)[None] % 3 == 0
    expected = -expected.log_softmax(-1).gather(-1, tokens[..., None])[..., 0][masked].mean()
    loss = model.loss(tokens, tokens, masked, segments=segments, documents=documents)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)


GATED = replace(
    SMALL["t5"],
    encoder_depth=3,
    attention=replace(SMALL["t5"].attention, kv_heads=1),
    mlp=GLU(hidden=20),
    tied=False,
)


@pytest.mark.parametrize("config", [*SMALL.values(), GATED], ids=["transformer", "t5", "gated"])
@pytest.mark.parametrize(("source", "target"), [(1, 1), (12, 5), (3, 11)])
def test_flops_equal_torch_s_counter(config: EncoderDecoder, source: int, target: int) -> None:
    model = config.build(0)
    texts = [torch.zeros(1, length, dtype=torch.int64) for length in (source, target)]
    with FlopCounterMode(display=False) as counter:
        logits = model(*texts, implementation="reference")
    expected = forward_flops(config, target, source_tokens=source, causal=False)
    assert counter.get_total_flops() == expected
    assert training_flops(config, target, source_tokens=source, causal=False) == 3 * expected
    with counter:
        logits.sum().backward()
    assert counter.get_total_flops() == 2 * expected


def test_flops_of_two_texts_need_both() -> None:
    with pytest.raises(ValueError, match="source_tokens must be given"):
        forward_flops(SMALL["t5"], 5)


@pytest.mark.parametrize("tokens", [1, 9])
def test_bert_s_flops_equal_torch_s_counter(tokens: int) -> None:
    config = BERT(vocab_size=31, context=12, width=16, depth=2, heads=2, hidden=24)
    model = config.build(0)
    with FlopCounterMode(display=False) as counter:
        predictions = model(torch.zeros(1, tokens, dtype=torch.int64), implementation="reference")
    assert counter.get_total_flops() == forward_flops(config, tokens)
    with counter:
        sum(part.sum() for part in predictions).backward()
    assert counter.get_total_flops() == 2 * forward_flops(config, tokens)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"window": 3}, r"an encoder sees the whole text: its attention has no window \(3\)"),
        ({"borrow": True}, "the first block has no layer below to borrow"),
    ],
)
def test_attention_that_an_encoder_cannot_have_is_refused(
    change: dict[str, Any], sentence: str
) -> None:
    for config in SMALL.values():
        with pytest.raises(ValueError, match=sentence):
            replace(config, attention=replace(config.attention, **change))


def test_a_state_is_no_encoder() -> None:
    config = Decoder(
        vocab_size=31,
        context=12,
        width=16,
        depth=1,
        attention=Mamba2(heads=4, head_width=8, state=4),
        mlp=None,
    )
    with pytest.raises(ValueError, match="an encoder sees the whole text, and Mamba2 not"):
        Encoder(config)


@pytest.mark.parametrize("begin", [-1, 31])
def test_a_target_begins_with_a_token(begin: int) -> None:
    with pytest.raises(ValueError, match="must be a token of the vocabulary"):
        replace(SMALL["t5"], begin=begin)


def test_bert_refuses_what_its_positions_do_not_hold() -> None:
    model = BERT(vocab_size=31, context=12, width=16, depth=1, heads=2, hidden=24).build(0)
    with pytest.raises(InputError, match="has 13 tokens, and the model's context holds 12"):
        model(torch.zeros(1, 13, dtype=torch.int64))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"heads \(5\) must divide width \(16\)"):
        BERT(vocab_size=31, context=12, width=16, depth=1, heads=5, hidden=24)
