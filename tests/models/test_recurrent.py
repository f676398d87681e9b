"""Recurrent models: the language model against torch's LSTM, translation against its papers."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from groundup.layers import GRU, LSTM, Bahdanau, Luong
from groundup.models import forward_flops
from groundup.models.recurrent import RecurrentLM
from groundup.models.seq2seq import Seq2Seq, Seq2SeqModel

LM = RecurrentLM(vocab_size=31, context=16, width=12, depth=2)


@torch.no_grad()
def test_the_language_model_is_torch_s_cells_with_residuals() -> None:
    model = LM.build(0)
    tokens = torch.randint(31, (2, 9), generator=torch.Generator().manual_seed(1))
    x = model.embedding.weight[tokens]
    for layer, cell in enumerate(model.blocks):
        peer = nn.LSTM(12, 12, batch_first=True)
        for mine, name in ((cell.input, "ih"), (cell.recurrent, "hh")):
            getattr(peer, f"weight_{name}_l0").copy_(mine.weight)
            getattr(peer, f"bias_{name}_l0").copy_(mine.bias)
        y, _ = peer(x)
        x = y + x if layer else y
    torch.testing.assert_close(model(tokens), x @ model.head.weight.T)


def test_logprobs_are_those_of_the_logits() -> None:
    model = LM.build(0)
    tokens = torch.randint(31, (2, 9), generator=torch.Generator().manual_seed(1))
    log_p = model(tokens).double().log_softmax(-1)[:, :-1]
    expected = log_p.gather(-1, tokens[:, 1:, None])[..., 0]
    torch.testing.assert_close(model.logprobs(tokens).double(), expected, rtol=1e-5, atol=1e-5)


def test_a_text_of_one_token_has_no_logprobs() -> None:
    assert LM.build(0).logprobs(torch.zeros(2, 1, dtype=torch.int64)).shape == (2, 0)


def test_a_text_in_pieces_is_the_text() -> None:
    model = LM.build(0)
    tokens = torch.randint(31, (2, 9), generator=torch.Generator().manual_seed(1))
    first, states = model.read(tokens[:, :5])
    rest, _ = model.read(tokens[:, 5:], states)
    torch.testing.assert_close(torch.cat((first, rest), dim=1), model(tokens))


@pytest.mark.parametrize("cell", [LSTM(), GRU(bias=False)])
@pytest.mark.parametrize("tokens", [1, 7])
def test_flops_equal_torch_s_counter(cell: LSTM | GRU, tokens: int) -> None:
    config = RecurrentLM(vocab_size=31, context=16, width=12, depth=2, cell=cell)
    model = config.build(0)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, tokens, dtype=torch.int64))
    assert counter.get_total_flops() == forward_flops(config, tokens)


ATTENTIONS = [Bahdanau(width=10), Luong(score="dot"), Luong(score="general"), Luong(score="concat")]


def translator(attention: Bahdanau | Luong, cell: GRU | LSTM = GRU()) -> Seq2SeqModel:  # noqa: B008
    config = Seq2Seq(
        source_vocab_size=23, vocab_size=19, width=8, cell=cell, attention=attention, begin=0
    )
    return config.build(0)


SOURCE = torch.randint(2, 23, (2, 7), generator=torch.Generator().manual_seed(1))
TARGET = torch.randint(2, 19, (2, 5), generator=torch.Generator().manual_seed(2))
REAL = torch.arange(7) < torch.tensor([[7], [4]])


@torch.no_grad()
@pytest.mark.parametrize("attention", ATTENTIONS, ids=str)
def test_translation_follows_its_paper_step_by_step(attention: Bahdanau | Luong) -> None:
    """One row and one word at a time, from the papers' equations; cells and scores have tests of
    their own."""
    model = translator(attention)
    logits, looks = model.look(SOURCE, TARGET, real=REAL)
    for row, length in ((0, 7), (1, 4)):
        states, _, first = model.encoder(model.source.weight[SOURCE[row : row + 1, :length]])
        memory = model.memory(states)
        keys = model.attention.keys(memory)
        hidden = torch.tanh(model.bridge(first.hidden))
        state = model.cell.begin(hidden)._replace(hidden=hidden)
        seen = torch.zeros(1, 8)
        for t, token in enumerate(TARGET[row]):
            word = model.target.weight[token][None]
            if isinstance(attention, Bahdanau):  # look, then read the word
                context, weights = model.attention(state.hidden, memory, keys, None)
                pairs = model.combine(torch.cat((state.hidden, word, context), -1))
                output = torch.maximum(pairs[:, 0::2], pairs[:, 1::2])
                state = model.cell.step(torch.cat((word, context), -1), state)
            else:  # read the word with what was seen before, then look
                state = model.cell.step(torch.cat((word, seen), -1), state)
                context, weights = model.attention(state.hidden, memory, keys, None)
                output = seen = torch.tanh(model.combine(torch.cat((context, state.hidden), -1)))
            expected = output @ model.head.weight.T + model.head.bias
            torch.testing.assert_close(logits[row, t], expected[0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(looks[row, t, :length], weights[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", ATTENTIONS, ids=str)
@pytest.mark.parametrize("cell", [GRU(), LSTM()], ids=str)
def test_generation_is_teacher_forcing_on_its_own_words(
    attention: Bahdanau | Luong, cell: GRU | LSTM
) -> None:
    model = translator(attention, cell)
    words = model.generate(SOURCE, end=1, most=6, real=REAL)
    begun = torch.cat((torch.zeros(2, 1, dtype=torch.int64), words[:, :-1]), dim=1)
    again = model(SOURCE, begun, real=REAL).argmax(-1)
    for row in range(2):
        ended = (words[row] == 1).nonzero()
        length = int(ended[0]) + 1 if len(ended) else words.shape[1]
        assert again[row, :length].tolist() == words[row, :length].tolist()


@pytest.mark.parametrize("attention", ATTENTIONS, ids=str)
@pytest.mark.parametrize("cell", [GRU(), LSTM(bias=False)], ids=str)
def test_flops_of_translation_equal_torch_s_counter(
    attention: Bahdanau | Luong, cell: GRU | LSTM
) -> None:
    model = translator(attention, cell)
    with FlopCounterMode(display=False) as counter:
        model(SOURCE[:1], TARGET[:1])
    assert counter.get_total_flops() == forward_flops(model.config, 5, source_tokens=7)


@pytest.mark.parametrize("attention", ATTENTIONS, ids=str)
def test_every_weight_learns(attention: Bahdanau | Luong) -> None:
    model = translator(attention)
    model.losses(SOURCE, TARGET, real=REAL).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("attention", [Bahdanau(width=32), Luong()], ids=str)
def test_it_learns_to_reverse(attention: Bahdanau | Luong) -> None:
    """A real, small training run; where it looks is then the word that it writes."""
    config = Seq2Seq(source_vocab_size=12, vocab_size=12, width=32, attention=attention)
    model = config.build(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(150):
        source = torch.randint(2, 12, (32, 6), generator=generator)
        loss = model.losses(source, source.flip(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    source = torch.randint(2, 12, (64, 6), generator=generator)
    found = model.generate(source, end=1, most=6)
    assert (found == source.flip(1)).float().mean() > 0.9
