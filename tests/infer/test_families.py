"""Models of Hugging Face's classes, with random weights, as the engine serves them: the tokens that
the class itself thinks likeliest."""

from pathlib import Path

import pytest
import torch
from tests.checkpoint.test_huggingface import CASES, VOCAB, peer_of

from groundup.checkpoint.huggingface import read_model
from groundup.core.device import Device
from groundup.infer import Engine, Sampling
from groundup.models import DecoderModel

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
FLOAT32 = Device(torch.device("cpu"), torch.float32)
NEW = 8


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_every_family_goes_on_as_its_class_does(case: str, tmp_path: Path) -> None:
    """Two texts together, one of them longer than what is attended to in one call; and how likely
    they are."""
    peer = peer_of(case)
    peer.save_pretrained(tmp_path)
    model = read_model(tmp_path)
    assert isinstance(model, DecoderModel)
    engine = Engine(model, FLOAT32, stop=[])
    generator = torch.Generator().manual_seed(7)
    prompts = [torch.randint(VOCAB, (n,), generator=generator).tolist() for n in (3, 40)]
    found = engine.generate(prompts, Sampling(temperature=0, max_tokens=NEW))
    for prompt, completion in zip(prompts, found, strict=True):
        logits = peer(torch.tensor([prompt + completion.tokens[:-1]])).logits[0]
        assert logits[-NEW:].argmax(-1).tolist() == completion.tokens
    pairs = [(p, c.tokens) for p, c in zip(prompts, found, strict=True)]
    for (prompt, tokens), told in zip(pairs, engine.loglikelihood(pairs), strict=True):
        logprobs = peer(torch.tensor([prompt + tokens[:-1]])).logits[0, -NEW:].log_softmax(-1)
        theirs = logprobs.gather(1, torch.tensor(tokens)[:, None]).sum()
        assert told.greedy
        assert told.logprob == pytest.approx(float(theirs), abs=1e-3)
