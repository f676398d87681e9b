"""What evaluation compares means the same for every language model."""

import numpy as np
import pytest
import torch

from groundup.layers import GLU, GRU, GroupedQuery
from groundup.models import Decoder, LanguageModel, RecurrentLM
from groundup.models.ngram import NGram, NGramModel, train_ngram

VOCABULARY = 13
TOKENS = torch.randint(VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(1))


def models() -> dict[str, LanguageModel | NGramModel]:
    decoder = Decoder(
        vocab_size=VOCABULARY,
        context=16,
        width=12,
        depth=2,
        attention=GroupedQuery(heads=2, kv_heads=1, head_width=6),
        mlp=GLU(hidden=16),
    )
    recurrent = RecurrentLM(vocab_size=VOCABULARY, context=16, width=12, depth=2, cell=GRU())
    built = {"decoder": decoder.build(0), "recurrent": recurrent.build(0)}
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in (p for model in built.values() for p in model.parameters()):
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    documents = torch.randint(VOCABULARY, (50, 20), generator=generator)
    counted = {
        f"{boundaries} boundaries": train_ngram(
            NGram(order=3, vocab_size=VOCABULARY, boundaries=boundaries == "with"),
            documents.numpy(),
        )
        for boundaries in ("with", "without")
    }
    return built | counted


def next_token(model: LanguageModel | NGramModel, before: torch.Tensor) -> np.ndarray:
    """Log-probabilities of what follows a row, from the model's other interface."""
    if isinstance(model, NGramModel):
        return model.next_logprobs(before.numpy()).astype(np.float64)
    return model(before[None])[0, -1].double().log_softmax(-1).numpy()


@pytest.mark.parametrize("kind", models())
@torch.no_grad()
def test_each_token_but_the_first_given_those_before_it(kind: str) -> None:
    """One row and one token at a time; what may follow sums to one."""
    model = models()[kind]
    found = np.asarray(model.logprobs(TOKENS))
    assert found.shape == (2, 8)
    assert found.dtype == np.float32
    for row, tokens in enumerate(TOKENS):
        for t in range(1, 9):
            expected = next_token(model, tokens[:t])
            assert np.exp(expected).sum() == pytest.approx(1, abs=1e-5)
            assert found[row, t - 1] == pytest.approx(expected[tokens[t]], abs=1e-5)


@pytest.mark.parametrize("kind", models())
@torch.no_grad()
def test_one_token_has_nothing_before_it(kind: str) -> None:
    assert models()[kind].logprobs(TOKENS[:, :1]).shape == (2, 0)


@pytest.mark.parametrize("kind", ["decoder", "recurrent"])
@torch.no_grad()
def test_a_model_of_tokens_gives_logits(kind: str) -> None:
    model = models()[kind]
    expected = model(TOKENS[:, :-1]).double().log_softmax(-1)
    expected = expected.gather(-1, TOKENS[:, 1:, None])[..., 0]
    losses = model.losses(TOKENS[:, :-1], TOKENS[:, 1:])
    torch.testing.assert_close(-losses.double(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(model.logprobs(TOKENS), -losses)
