"""From Hugging Face's format to a run and back, as `transformers` sees it."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from groundup import exchange
from groundup.align.chat import SPECIAL_TOKENS, encode_request
from groundup.checkpoint import load_model, save_model
from groundup.core.errors import InputError
from groundup.exchange import export_run, import_run
from groundup.infer import load_run
from groundup.infer.load import document_ends
from groundup.layers import GLU, GatedDelta, GroupedQuery, Luong, NoPE
from groundup.models import Decoder
from groundup.models.seq2seq import Seq2Seq
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
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ours = load_tokenizer(run / "tokenizer" / "tokenizer.json")
    assert theirs("def f(x):")["input_ids"] == [297, *ours.encode_ordinary("def f(x):")]


SIZES = {"vocab_size": 97, "hidden_size": 48, "num_hidden_layers": 2, "intermediate_size": 80}
HEADS = {"num_attention_heads": 6, "max_position_embeddings": 64}
T5 = {"vocab_size": 97, "d_model": 48, "d_kv": 8, "d_ff": 80, "num_layers": 2, "num_heads": 6}
MARIAN = {"vocab_size": 97, "d_model": 48, "encoder_layers": 2, "decoder_layers": 2}
MARIAN |= {"encoder_attention_heads": 6, "decoder_attention_heads": 6, "encoder_ffn_dim": 80}
MARIAN |= {"decoder_ffn_dim": 80, "max_position_embeddings": 64, "pad_token_id": 3}
MARIAN |= {"decoder_start_token_id": 3, "eos_token_id": 1, "bos_token_id": None}
MARIAN |= {"forced_eos_token_id": None, "activation_function": "relu"}
FAMILIES = {
    "bert": ("BertForPreTraining", "BertConfig", {**SIZES, **HEADS}),
    "t5": ("T5ForConditionalGeneration", "T5Config", {**T5, "decoder_start_token_id": 0}),
    "marian": ("MarianMTModel", "MarianConfig", MARIAN),
    "llama": ("LlamaForCausalLM", "LlamaConfig", {**SIZES, **HEADS}),
}


@pytest.mark.parametrize("kind", FAMILIES)
@torch.no_grad()
def test_models_of_every_kind_go_in_and_out_without_a_tokenizer(kind: str, tmp_path: Path) -> None:
    name, config, settings = FAMILIES[kind]
    torch.manual_seed(0)
    peer = getattr(transformers, name)(getattr(transformers, config)(**settings)).eval()
    peer.save_pretrained(tmp_path / "theirs")
    assert import_run(tmp_path / "theirs", tmp_path / "run")["tokenizer"] is not None
    facts = export_run(tmp_path / "run", tmp_path / "out")
    assert (facts["architecture"], facts["tokenizer"]) == (name, False)
    card = (tmp_path / "out" / "README.md").read_text()
    finder = re.search(r"^model = (\w+)\.", card, re.M)
    assert finder is not None
    assert "AutoTokenizer" not in card
    again = getattr(transformers, finder[1]).from_pretrained(tmp_path / "out").eval()
    assert type(again) is type(peer)
    tokens = torch.randint(2, 97, (2, 19))
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    if kind in ("t5", "marian"):
        greedy = {"max_new_tokens": 6, "do_sample": False}
        assert torch.equal(again.generate(**inputs, **greedy), peer.generate(**inputs, **greedy))
        inputs["decoder_input_ids"] = torch.randint(2, 97, (2, 7))
    for ours, theirs in zip(again(**inputs)[:1], peer(**inputs)[:1], strict=True):
        assert torch.equal(ours, theirs)


def test_a_model_without_a_tokenizer_reads_no_text(tmp_path: Path) -> None:
    _, config, settings = FAMILIES["llama"]
    peer = transformers.LlamaForCausalLM(getattr(transformers, config)(**settings))
    peer.save_pretrained(tmp_path / "theirs")
    import_run(tmp_path / "theirs", tmp_path / "run")
    with pytest.raises(InputError, match="run was imported without a tokenizer, so it can read no"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("kind", ["a template", "none", "a byte level", "a flag"])
def test_a_text_begins_as_the_tokenizer_of_an_imported_model_says(
    kind: str, run: Path, tmp_path: Path
) -> None:
    """Llama 3's tokenizer.json has a template that puts a token before a text. GPT-2's and Qwen's
    put none there, though their configs name one; and `add_bos_token` changes nothing."""
    folder = tmp_path / "theirs"
    export_run(run, folder, stage="base")
    path = folder / "tokenizer.json"
    settings = json.loads(path.read_text())
    if kind != "a template":
        settings["post_processor"] = None
    if kind == "a byte level":
        options = {"add_prefix_space": True, "trim_offsets": False, "use_regex": True}
        settings["post_processor"] = {"type": "ByteLevel", **options}
    path.write_text(json.dumps(settings))
    if kind == "a flag":
        config = json.loads((folder / "tokenizer_config.json").read_text())
        config["add_bos_token"] = True
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    import_run(folder, tmp_path / "back")
    begin, _ = document_ends(tmp_path / "back", None)
    text = "def add(a, b):"
    ids = load_run(tmp_path / "back")[1].encode_ordinary(text)
    peer = transformers.AutoTokenizer.from_pretrained(folder)
    assert [*begin, *ids] == peer(text)["input_ids"]
    assert begin == ([297] if kind == "a template" else [])


@pytest.mark.parametrize("write", ["save_pretrained", "write_json", "save_model"])
def test_a_killed_import_is_done_again(
    write: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed runs nothing more, so what it left of the run stays."""
    export_run(run, tmp_path / "out")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    def nothing(*_: object, **__: object) -> None:
        pass

    with monkeypatch.context() as patch:
        patch.setattr(exchange, write, die)
        patch.setattr("shutil.rmtree", nothing)
        with pytest.raises(KeyboardInterrupt):
            import_run(tmp_path / "out", tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert (tmp_path / "back.partial").exists()
    assert import_run(tmp_path / "out", tmp_path / "back")["tokenizer"] is None
    assert load_run(tmp_path / "back")[0].config == CONFIG
    assert not (tmp_path / "back.partial").exists()


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
    with pytest.raises(InputError) as refused:
        export_run(run, tmp_path / "out")
    assert str(refused.value) == (
        "no Hugging Face class has all parts of this model; the nearest, qwen3, differs in "
        "attention.shift: train it with --set plan.model.attention.shift=false to export it."
    )
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


REFUSED = {
    "a delta rule": (
        replace(
            CONFIG,
            attention=GatedDelta(key_heads=1, value_heads=2, key_width=4, value_width=8),
            position=NoPE(),
        ),
        "it has GatedDelta in place of GroupedQuery",
    ),
    "translation": (
        Seq2Seq(source_vocab_size=9, vocab_size=9, width=8, attention=Luong()),
        "it is a Seq2Seq",
    ),
    "some layers": (
        replace(CONFIG, attention=(CONFIG.attention, replace(CONFIG.attention, shift=True))),
        "the nearest, qwen3, differs in attention.shift",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_class_has_is_named(name: str, run: Path, tmp_path: Path) -> None:
    config, reason = REFUSED[name]
    save_model(run / "sft" / "model", config.build(0), {})
    with pytest.raises(InputError) as refused:
        export_run(run, tmp_path / "out")
    sentence = f"no Hugging Face class has all parts of this model; {reason}."
    assert str(refused.value) == sentence


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


def test_the_card_of_an_imported_model_says_that_little_is_known(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "out")
    import_run(tmp_path / "out", tmp_path / "back")
    export_run(tmp_path / "back", tmp_path / "again")
    card = (tmp_path / "again" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "what that one was made of is not known" in card
    assert "make it again" not in card


def test_the_card_of_a_run_that_is_not_finished_says_so(run: Path, tmp_path: Path) -> None:
    (run / "config.json").write_text('{"budget": "9m"}')
    export_run(run, tmp_path / "out", stage="base")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "of the stage **base** of a run that is not finished" in card
    assert "imported" not in card
    assert "groundup quickstart --config groundup.json" in card
    assert json.loads((tmp_path / "out" / "groundup.json").read_text()) == {"budget": "9m"}
