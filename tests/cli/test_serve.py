"""`groundup serve` and `generate` as people start them."""

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from click.testing import CliRunner

from groundup.align.chat import SPECIAL_TOKENS
from groundup.checkpoint import save_model
from groundup.cli import cli
from groundup.cli import serve as command_of
from groundup.core.errors import GroundupError, InputError
from groundup.layers import GLU, GroupedQuery
from groundup.loading import load_served, split_stage
from groundup.models import Decoder
from groundup.tokenizers import save_tokenizer, train_bpe

CONFIG = Decoder(
    vocab_size=300,
    context=128,
    width=32,
    depth=2,
    attention=GroupedQuery(heads=4, kv_heads=2, head_width=8),
    mlp=GLU(hidden=48),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was pretrained and fine-tuned."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    for seed, stage in enumerate(("pretrain", "sft")):
        save_model(folder / stage / "model", CONFIG.build(seed), {})
        (folder / stage / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    text = Path(__file__).read_text(encoding="utf-8")
    tokenizer = train_bpe([text], vocab_size=300, special_tokens=SPECIAL_TOKENS)
    save_tokenizer(folder / "tokenizer" / "tokenizer.json", tokenizer)
    return folder


def said(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, arguments)
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its address, and the process: two stages, and the text itself drafts."""
    models = [f"{run}:base", f"{run}:sft"]
    more = ["--port", "0", "--draft", "lookup", "--tokenizer", str(run)]
    command = [sys.executable, "-m", "groundup", "serve", *models, *more]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"open (http://\S+);", line)
    assert found, line
    yield found[1], process
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_stages_tokenizers_and_runs_are_served(server: tuple[str, object]) -> None:
    address, _ = server
    models = httpx.get(f"{address}/v1/models").json()["data"]
    assert [(m["id"], m["converses"]) for m in models] == [("tiny:base", False), ("tiny:sft", True)]
    names = [one["id"] for one in httpx.get(f"{address}/tokenizers").json()["data"]]
    assert names == ["tiny:base", "tiny:sft", "bytes", "tiny"]
    curves = httpx.get(f"{address}/curves").json()["data"]
    assert sorted(curve["name"] for curve in curves) == ["tiny/pretrain", "tiny/sft"]
    assert "<title>Chat" in httpx.get(address).text
    said = [{"role": "user", "content": "a"}]
    asked = {"model": "tiny:sft", "max_tokens": 8, "messages": said}
    assert httpx.post(f"{address}/v1/chat/completions", json=asked).status_code == 200


def test_only_its_own_names_reach_it(server: tuple[str, object]) -> None:
    address, _ = server
    assert httpx.get(f"{address}/health", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "0.0.0.0"], "lets other machines in"),
        (["--memory", "-1G"], "is no size"),
        (["--memory", "lots"], "is no size"),
        (["--api-key", " "], "empty or not ASCII"),
    ],
)
def test_a_wrong_option_is_one_sentence(run: Path, arguments: list[str], sentence: str) -> None:
    code, output = said("serve", str(run), *arguments)
    assert code == 2
    assert sentence in output


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("none", "none does not exist"), ("{run}:grpo", "no model of the stage grpo")],
)
def test_a_model_that_is_not_there_is_one_sentence(run: Path, model: str, sentence: str) -> None:
    command = [sys.executable, "-m", "groundup", "serve", model.format(run=run)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("seconds", "left"), [(0.0, 0), (0.2, 1)])
def test_texts_are_ended_before_connections_are_closed(
    monkeypatch: pytest.MonkeyPatch, seconds: float, left: int
) -> None:
    """If they have not come to their ends by then."""
    server, told = uvicorn.Server(uvicorn.Config("none")), []

    async def closing(_: object) -> None:
        await asyncio.sleep(seconds)

    monkeypatch.setattr(server, "shutdown", closing)
    monkeypatch.setattr(command_of, "_ENDED", 0.05)
    command_of._end_in_time(server, lambda: told.append(1))
    asyncio.run(server.shutdown())
    assert len(told) == left


def test_an_answer_of_a_form(run: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(
        '{"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}'
    )
    code, output = said("generate", str(run), "def ", "--schema", str(schema))
    assert code == 0
    assert json.loads(output.removeprefix("def "))["a"] in (1, 2)
    code, output = said("generate", str(run), "def ", "--regex", "[a-z]{3}!", "--draft", "lookup")
    assert code == 0
    assert re.fullmatch("def [a-z]{3}!\n", output)
    code, output = said("generate", str(run), "x", "--regex", "a", "--schema", str(schema))
    assert (code, "give one" in output) == (2, True)
    schema.write_text('{"enum": []}')
    done = subprocess.run(
        [sys.executable, "-m", "groundup", "generate", str(run), "x", "--schema", str(schema)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no value fits the schema" in done.stderr


def test_a_file_of_prompts_by_a_smaller_model_s_guesses(run: Path, tmp_path: Path) -> None:
    """The answers are those of the model alone; the smaller one is the same run's other stage."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": p}) + "\n" for p in ("def a", "import", "x")))
    answers = []
    for name, more in {"alone": [], "drafted": ["--draft", str(run)]}.items():
        out = tmp_path / name
        options = ["--prompts", str(prompts), "--out", str(out), "--max-tokens", "12"]
        code, output = said("generate", str(run), *options, *more)
        assert code == 0, output
        answers.append(out.read_text())
    assert answers[0] == answers[1]


def test_a_checkpoint_is_a_model_of_its_run(run: Path) -> None:
    """So that two of them can be compared; the tokenizer is the run's."""
    served = load_served(run / "sft" / "model")
    assert served.name == "tiny:sft:model"
    assert served.template is not None
    assert load_served(run / "pretrain" / "model").template is None
    assert served.tokenizer.fingerprint == load_served(run).tokenizer.fingerprint
    assert split_stage(f"{run}:sft") == (run, "sft")


def test_a_checkpoint_without_its_run_is_one_sentence(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "sft" / "model", tmp_path / "alone")
    with pytest.raises(InputError, match="is in no run's folder"):
        load_served(tmp_path / "alone")


def test_a_smaller_model_s_stage_can_be_named(run: Path) -> None:
    code, output = said("generate", str(run), "def ", "--draft", f"{run}:sft", "--max-tokens", "9")
    assert (code, output) == said("generate", str(run), "def ", "--max-tokens", "9")


def test_standard_input_that_is_no_text_is_one_sentence(run: Path) -> None:
    done = CliRunner().invoke(cli, ["generate", str(run), "-"], input=b"\xff\xfe")
    assert isinstance(done.exception, InputError)
    assert "standard input is no UTF-8" in str(done.exception)


def test_a_chat_goes_on_after_a_message_that_is_too_long(run: Path) -> None:
    long = "a" * 4 * CONFIG.context
    done = CliRunner().invoke(cli, ["chat", str(run)], input=f"{long}\nhello\n\n")
    assert done.exit_code == 0, done.output
    assert "shorten it" in done.output
    assert done.output.rstrip().endswith(">")


def test_files_of_a_model_that_are_missing_are_one_sentence(run: Path, tmp_path: Path) -> None:
    """Whichever it is, and whatever is wrong with it; nothing is served."""
    for name, wrong in (
        ("tokenizer/tokenizer.json", None),
        ("tokenizer/tokenizer.json", b"{"),
        ("sft/model/config.json", None),
        ("sft/model/config.json", b"[" * 100_000),
        ("sft/model/model.safetensors", None),
        ("sft/model/model.safetensors", b"\xff"),
        ("sft/model/manifest.json", b"\xff"),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(run, copy)
        if wrong is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(wrong)
        with pytest.raises(GroundupError) as caught:
            load_served(copy, "sft")
        assert "\n" not in str(caught.value)
        shutil.rmtree(copy)


def test_a_port_that_is_taken_is_one_sentence(run: Path, server: tuple[str, object]) -> None:
    port = server[0].rpartition(":")[2]
    command = [sys.executable, "-m", "groundup", "serve", str(run), "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"127.0.0.1:{port} cannot be had" in done.stderr
    assert "Traceback" not in done.stderr
