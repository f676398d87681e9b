"""A file of prompts: in order, resumed to the same bytes, and refused before any work."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.infer import Engine, Sampling
from groundup.infer.batch import HOW as HOW_FILE
from groundup.infer.batch import PARTIAL, Record, answer_file
from groundup.infer.grammar import Grammars
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.tokenizers import BPE

TOKENIZER = BPE.learned([], "gpt2", ["<|end|>"])
FLOAT32 = Device(torch.device("cpu"), torch.float32)
SAMPLING = Sampling(max_tokens=9, seed=3)
HOW = {"model": "tiny", "seed": 3}


@pytest.fixture(scope="module")
def engine() -> Engine:
    attention = GroupedQuery(heads=2, kv_heads=1, head_width=8)
    config = Decoder(
        vocab_size=257, context=32, width=16, depth=1, attention=attention, mlp=GLU(hidden=16)
    )
    return Engine(config.build(0), FLOAT32, stop=[256], rows=3)


def encode(record: Record) -> list[int]:
    return TOKENIZER.encode_ordinary(record["prompt"])


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    records = [{"prompt": "abé"[: 1 + i % 3] * (1 + i % 4), "id": i} for i in range(14)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def begun(out: Path, written: bytes) -> Path:
    """What a run that was killed has left of a file."""
    partial = out.with_name(out.name + PARTIAL)
    partial.write_bytes(written)
    partial.with_name(partial.name + HOW_FILE).write_text(json.dumps(HOW))
    return partial


def test_answers_stand_in_the_order_of_the_prompts(
    engine: Engine, prompts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out.jsonl"
    told: list[float] = []
    done = answer_file(
        engine,
        TOKENIZER,
        prompts,
        out,
        encode,
        SAMPLING,
        how=HOW,
        advance=lambda n=1: told.append(n),
    )
    assert (done.prompts, done.resumed, sum(told)) == (14, 0, 14)
    records = [json.loads(line) for line in prompts.read_text().splitlines()]
    answers = engine.generate([encode(record) for record in records], SAMPLING)
    assert done.tokens >= sum(len(answer.tokens) for answer in answers)
    for record, answer, line in zip(records, answers, out.read_text().splitlines(), strict=True):
        text = TOKENIZER.decode(answer.tokens)
        assert json.loads(line) == {**record, "completion": text, "finish": answer.finish}


@pytest.mark.parametrize("kept", [0, 1, 70, 300, 10_000])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    engine: Engine, prompts: Path, tmp_path: Path, kept: int
) -> None:
    """After any number of bytes, half a line included."""
    answer_file(engine, TOKENIZER, prompts, tmp_path / "whole", encode, SAMPLING, how=HOW)
    whole = (tmp_path / "whole").read_bytes()
    partial = begun(tmp_path / "cut", whole[:kept])
    done = answer_file(engine, TOKENIZER, prompts, tmp_path / "cut", encode, SAMPLING, how=HOW)
    assert done.resumed == whole[:kept].count(b"\n")
    assert (tmp_path / "cut").read_bytes() == whole
    assert not partial.exists()


def test_a_stop_string_ends_an_answer(engine: Engine, prompts: Path, tmp_path: Path) -> None:
    answer_file(engine, TOKENIZER, prompts, tmp_path / "free", encode, SAMPLING, how=HOW)
    free = json.loads((tmp_path / "free").read_text().splitlines()[0])["completion"]
    stop = free[3]
    out = tmp_path / "out"
    answer_file(engine, TOKENIZER, prompts, out, encode, SAMPLING, how=HOW, stop=[stop])
    first = json.loads(out.read_text().splitlines()[0])
    assert first["completion"] == free[: free.index(stop)]
    assert first["finish"] == "stop"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{", "line 15: Expecting"),
        (b"[1]", "line 15: it is no JSON object"),
        (b'{"prompt": ""}', "a prompt is empty"),
        (b'{"prompt": "' + b"a" * 32 + b'"}', "line 15: a prompt has 32 tokens"),
        (b'{"prompt": "a", "error": 1}', "line 15: 'error' is what the answer is called"),
        (b"\xff", "line 15"),
    ],
)
def test_a_wrong_line_is_refused_before_any_work(
    engine: Engine, prompts: Path, tmp_path: Path, line: bytes, sentence: str
) -> None:
    prompts.write_bytes(prompts.read_bytes() + line + b"\n")
    with pytest.raises(InputError, match=sentence):
        answer_file(engine, TOKENIZER, prompts, tmp_path / "out", encode, SAMPLING, how=HOW)
    assert [path.name for path in tmp_path.iterdir()] == ["prompts.jsonl"]


def test_other_prompts_and_files_that_exist_are_refused(
    engine: Engine, prompts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    begun(out, b'{"prompt": "zz", "id": 0, "completion": "x"}\n')
    with pytest.raises(InputError, match=r"begun with other prompts \(line 1 differs\)"):
        answer_file(engine, TOKENIZER, prompts, out, encode, SAMPLING, how=HOW)
    out.write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        answer_file(engine, TOKENIZER, prompts, out, encode, SAMPLING, how=HOW)
    assert out.read_text() == "precious"


def test_what_does_not_say_how_it_was_begun_is_refused(
    engine: Engine, prompts: Path, tmp_path: Path
) -> None:
    """Unless there is nothing in it."""
    out = tmp_path / "out"
    partial = begun(out, b'{"prompt": "a", "id": 0, "completion": "x"}\n')
    partial.with_name(partial.name + HOW_FILE).unlink()
    with pytest.raises(InputError, match="out.partial.how is gone"):
        answer_file(engine, TOKENIZER, prompts, out, encode, SAMPLING, how=HOW)
    partial.write_bytes(b"")
    assert answer_file(engine, TOKENIZER, prompts, out, encode, SAMPLING, how=HOW).resumed == 0


def test_a_form_that_turns_out_too_large_fails_its_own_answers(
    engine: Engine, prompts: Path, tmp_path: Path
) -> None:
    """Those that begin with an x; and the file comes to an end."""
    form = Grammars(TOKENIZER, 257, [256]).regex("y|x(a?b?){600}c")
    sampling = replace(SAMPLING, grammar=form)
    out = tmp_path / "out"
    done = answer_file(engine, TOKENIZER, prompts, out, encode, sampling, how=HOW)
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(answers) == done.prompts == 14
    for answer in answers:
        if answer["completion"] == "y":
            assert answer["finish"] == "stop"
        else:
            assert answer["finish"] == "failed"
            assert "make it simpler" in answer["error"]
    assert {answer["finish"] for answer in answers} == {"stop", "failed"}


def test_another_model_or_other_options_do_not_go_on(
    engine: Engine, prompts: Path, tmp_path: Path
) -> None:
    """Half of a file would be of one, and half of the other."""

    def dies(n: float = 1) -> None:
        if n:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        answer_file(engine, TOKENIZER, prompts, out, encode, SAMPLING, how=HOW, advance=dies)
    other = replace(SAMPLING, seed=4)
    with pytest.raises(InputError, match="begun with another seed"):
        answer_file(engine, TOKENIZER, prompts, out, encode, other, how={**HOW, "seed": 4})
    answer_file(engine, TOKENIZER, prompts, out, encode, SAMPLING, how=HOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "prompts.jsonl"]
