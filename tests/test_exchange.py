"""From Hugging Face's format to a run and back, as `transformers` sees it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from groundup.align.chat import SPECIAL_TOKENS, encode_request
from groundup.checkpoint import load_model, save_model
from groundup.core.errors import InputError
from groundup.exchange import export_run, import_run
from groundup.infer.load import document_ends
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.report.model_card import model_card
from groundup.tokenizers import load_tokenizer, save_tokenizer, train_bpe

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

CONFIG = Decoder(
    vocab_size=300,
    context=64,
    width=32,
    depth=2,
    attention=GroupedQuery(heads=4, kv_heads=2, head_width=8),
    mlp=GLU(hidden=48),
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was pretrained and fine-tuned."""
    folder = tmp_path / "run"
    for seed, stage in enumerate(("pretrain", "sft")):
        save_model(folder / stage / "model", CONFIG.build(seed), {})
    text = Path(__file__).read_text(encoding="utf-8")
    tokenizer = train_bpe([text], vocab_size=300, special_tokens=SPECIAL_TOKENS)
    save_tokenizer(folder / "tokenizer" / "tokenizer.json", tokenizer)
    return folder


@torch.no_grad()
def test_what_we_export_transformers_loads_and_chats_with(run: Path, tmp_path: Path) -> None:
    facts = export_run(run, tmp_path / "out")
    assert (facts["stage"], facts["architecture"]) == ("sft", "Qwen3ForCausalLM")
    peer = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    model = load_model(run / "sft" / "model")
    ids = theirs.apply_chat_template(
        [{"role": "user", "content": "add"}, {"role": "assistant", "content": "def add"}],
        add_generation_prompt=True,
        return_dict=False,
    )
    plain = theirs.apply_chat_template(
        [{"role": "user", "content": "add two numbers"}],
        add_generation_prompt=True,
        return_dict=False,
    )
    ours = load_tokenizer(run / "tokenizer" / "tokenizer.json")
    assert plain == encode_request(ours, "add two numbers")
    tokens = torch.tensor([ids])
    torch.testing.assert_close(peer(tokens).logits, model(tokens), rtol=1e-4, atol=1e-5)
    assert peer.generation_config.eos_token_id == ours.special_tokens["<|endoftext|>"]
    greedy = peer.generate(torch.tensor([plain]), max_new_tokens=5, do_sample=False)
    assert greedy.shape[1] <= len(plain) + 5


@torch.no_grad()
def test_out_and_in_again_gives_the_same_bits(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "out", stage="base")
    facts = import_run(tmp_path / "out", tmp_path / "back")
    assert facts["tokenizer"] is None
    before = load_model(run / "pretrain" / "model")
    after = load_model(tmp_path / "back" / "pretrain" / "model")
    assert after.config == before.config
    for name, parameter in before.named_parameters():
        assert torch.equal(after.get_parameter(name), parameter)
    end = document_ends(run, 297)
    assert end == ([297], [297])
    assert document_ends(tmp_path / "back", None) == end


def test_a_model_without_a_tokenizer_is_imported_without_one(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "out")
    (tmp_path / "out" / "tokenizer.json").unlink()
    facts = import_run(tmp_path / "out", tmp_path / "back")
    assert "tokenizer.json" in facts["tokenizer"]
    assert load_model(tmp_path / "back" / "pretrain" / "model").config == CONFIG


def test_nothing_is_written_over(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "out")
    with pytest.raises(InputError, match="out exists already: choose another --out"):
        export_run(run, tmp_path / "out")
    with pytest.raises(InputError, match="run exists already: choose another --out"):
        import_run(tmp_path / "out", run)


def test_a_refused_export_leaves_nothing_that_looks_whole(tmp_path: Path, run: Path) -> None:
    attention = GroupedQuery(heads=4, kv_heads=2, head_width=8, shift=True)
    model = Decoder(**{**vars(CONFIG), "attention": attention}).build(0)
    save_model(run / "sft" / "model", model, {})
    with pytest.raises(InputError, match="differs in attention.shift"):
        export_run(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_commands_say_what_they_did(run: Path, tmp_path: Path) -> None:
    def groundup(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "groundup", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )

    done = groundup("export", str(run), "--out", "out", "--dtype", "bfloat16", "--json")
    assert json.loads(done.stdout)["dtype"] == "bfloat16", done.stderr
    done = groundup("import", "out", "--out", "back")
    assert done.stdout.startswith("back: Qwen3ForCausalLM, ")
    done = groundup("generate", "back", "def ", "--max-tokens", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("def ")
    done = groundup("import", "nowhere", "--out", "again")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere holds no config.json" in done.stderr


def test_the_card_of_an_imported_model_says_that_little_is_known() -> None:
    facts = {"architecture": "LlamaForCausalLM", "parameters": 12, "dtype": "float32"}
    card = model_card("tiny", facts, None, None)
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "what that one was made of is not known" in card
