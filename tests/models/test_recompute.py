"""Computing again gives the same gradients, and keeps less."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from groundup.kernels.cpu import HAS_LOOPS, watched
from groundup.layers import GLU, GroupedQuery, MoE, RouterReport
from groundup.models import Decoder, LanguageModel, RecurrentLM
from groundup.models.memory import bytes_saved, training_memory
from groundup.models.recompute import Recompute
from groundup.optim import AdamW
from groundup.train.compile import can_compile, compile_model

V, T, B = 97, 48, 32  # 1,536 tokens: a part and a half
DECODER = Decoder(
    vocab_size=V,
    context=T,
    width=32,
    depth=2,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=16),
    mlp=GLU(hidden=64),
    dropout=0.1,
)
EXPERTS = replace(DECODER, mlp=MoE(experts=4, active=2, hidden=32), dropout=0.0)
RECURRENT = RecurrentLM(vocab_size=V, context=T, width=32, depth=2)
TOKENS = torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


def gradients(model: LanguageModel, recompute: Recompute) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    torch.manual_seed(0)  # of the dropout
    reports: list[RouterReport] = []
    losses = model.losses(TOKENS, TOKENS, reports=reports, recompute=recompute, z_loss=1e-3)
    weight = torch.linspace(0, 1, losses.numel()).view(losses.shape)  # no two tokens alike
    ((losses * weight).sum() + sum(report.loss for report in reports)).backward()
    return losses, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("config", [DECODER, EXPERTS, RECURRENT], ids=["dense", "experts", "rnn"])
@pytest.mark.parametrize("recompute", ["logits", "blocks"])
def test_losses_and_gradients_are_the_same(
    config: Decoder | RecurrentLM, recompute: Recompute
) -> None:
    model = config.build(0).double()
    losses, grads = gradients(model, "nothing")
    again, grads_again = gradients(model, recompute)
    torch.testing.assert_close(again, losses)
    assert grads.keys() == grads_again.keys()
    torch.testing.assert_close(grads_again, grads)


@pytest.mark.parametrize("recompute", ["logits", "blocks"])
def test_the_compiled_cores_operations_compute_the_same_again(recompute: Recompute) -> None:
    """In float32 and large enough for them; the mask of its dropout, too."""
    model = replace(DECODER, width=256, mlp=GLU(hidden=512)).build(0)
    called: list[Tensor] = []
    with watched(called.extend):
        losses, grads = gradients(model, "nothing")
        again, grads_again = gradients(model, recompute)
    assert bool(called) == HAS_LOOPS
    torch.testing.assert_close(again, losses)
    torch.testing.assert_close(grads_again, grads, rtol=1e-4, atol=1e-5)


@pytest.mark.slow  # it compiles
@pytest.mark.filterwarnings("ignore")  # torch warns of itself while it compiles
@pytest.mark.skipif(not can_compile(torch.device("cpu")), reason="there is no C++ compiler")
@pytest.mark.parametrize("recompute", ["logits", "blocks"])
def test_compiled_parts_compute_the_same_again(recompute: Recompute) -> None:
    config = replace(DECODER, dropout=0.0)
    model, compiled = config.build(0), config.build(0)
    compile_model(compiled)
    losses, grads = gradients(model, "nothing")
    again, grads_again = gradients(compiled, recompute)
    torch.testing.assert_close(again, losses, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(grads_again, grads, rtol=1e-3, atol=1e-4)


def test_the_logits_are_never_held() -> None:
    """What autograd keeps shrinks by no less than float32 logits, and with blocks to little more
    than their inputs."""
    model = replace(DECODER, dropout=0.0).build(0)
    kept = {
        recompute: bytes_saved(model, lambda r=recompute: model.losses(TOKENS, TOKENS, recompute=r))
        for recompute in ("nothing", "logits", "blocks")
    }
    assert kept["nothing"] - kept["logits"] >= 4 * B * T * V
    stream = 4 * B * T * DECODER.width
    views_and_targets = 8 * B * T + 2 * 4 * T * 16 + 8 * 2 * B * T
    assert kept["blocks"] <= (DECODER.depth + 1) * stream + views_and_targets


@pytest.mark.parametrize("recompute", ["logits", "blocks"])
def test_the_prediction_of_memory_knows_of_it(recompute: Recompute) -> None:
    config = replace(DECODER, dropout=0.0)
    predicted = training_memory(
        config, batch=B, tokens=T, optimizer=AdamW(lr=0.1), recompute=recompute
    )
    model = config.build(0)
    losses = lambda: model.losses(  # noqa: E731
        TOKENS, TOKENS, implementation="blockwise", recompute=recompute
    )
    assert predicted.activations == pytest.approx(bytes_saved(model, losses), rel=0.02)


def test_the_penalty_is_the_square_of_the_logarithm_of_the_sum() -> None:
    model = replace(DECODER, dropout=0.0).build(0).double()
    logits = model(TOKENS)
    expected = (
        torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), TOKENS.flatten(), reduction="none"
        ).view(B, T)
        + 0.01 * torch.log(torch.exp(logits).sum(-1)).square()
    )
    got = model.losses(TOKENS, TOKENS, z_loss=0.01)
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)


def test_dropout_is_of_training_alone() -> None:
    model = replace(DECODER, dropout=0.5).build(0)
    for weight in model.blocks[0].writes():  # zeros at first, and then there is nothing to drop
        torch.nn.init.normal_(weight)
    torch.manual_seed(0)
    first, second = model(TOKENS[:1]), model(TOKENS[:1])
    assert not torch.equal(first, second)
    model.eval()
    assert torch.equal(model(TOKENS[:1]), model(TOKENS[:1]))


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="dropout"):
        replace(DECODER, dropout=1.0)
