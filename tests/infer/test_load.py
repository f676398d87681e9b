"""Which model of a run is used."""

from pathlib import Path

import pytest

from groundup.checkpoint import save_model
from groundup.core.errors import InputError
from groundup.infer import load_run
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.tokenizers import BPE, save_tokenizer


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was pretrained and fine-tuned; the stages' models differ in their seeds."""
    attention = GroupedQuery(heads=2, kv_heads=1, head_width=8)
    config = Decoder(
        vocab_size=256, context=16, width=16, depth=1, attention=attention, mlp=GLU(hidden=16)
    )
    for seed, folder in enumerate(("pretrain", "sft")):
        save_model(tmp_path / folder / "model", config.build(seed), {"seed": seed})
    save_tokenizer(tmp_path / "tokenizer" / "tokenizer.json", BPE.learned([], "gpt2"))
    return tmp_path


def test_the_last_stage_is_taken_unless_another_is_asked_for(run: Path) -> None:
    last, tokenizer, stage = load_run(run)
    base, _, _ = load_run(run, "base")
    assert stage == "sft"
    assert tokenizer.vocab_size == 256
    assert (last.embedding.weight != base.embedding.weight).any()


def test_a_stage_that_is_not_there_is_named(run: Path) -> None:
    with pytest.raises(InputError, match="no model of the stage grpo: it has sft, base"):
        load_run(run, "grpo")


def test_a_run_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no trained model"):
        load_run(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load_run(tmp_path / "none")
