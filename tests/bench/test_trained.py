"""What a run's model loses by eight bits, and gains by guesses."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from groundup.align.chat import END_OF_TEXT, SPECIAL_TOKENS
from groundup.bench.result import OURS
from groundup.bench.trained import load_trained, trained_rows
from groundup.checkpoint import load_decoder, save_model
from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.tokenizers import save_tokenizer, train_bpe

FLOAT32 = Device(torch.device("cpu"), torch.float32)
CONFIG = Decoder(
    vocab_size=300,
    context=48,
    width=32,
    depth=2,
    attention=GroupedQuery(heads=4, kv_heads=2, head_width=8),
    mlp=GLU(hidden=48),
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_model(tmp_path / "pretrain" / "model", CONFIG.build(0), {})
    text = Path(__file__).read_text(encoding="utf-8")
    tokenizer = train_bpe([text], vocab_size=300, special_tokens=SPECIAL_TOKENS)
    save_tokenizer(tmp_path / "tokenizer" / "tokenizer.json", tokenizer)
    return tmp_path


def test_bits_and_guesses(run: Path) -> None:
    (run / "corpus").mkdir()
    texts = ["import json\n" * 30, "short", Path(__file__).read_text(encoding="utf-8")]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (run / "corpus" / "validation.jsonl").write_text(lines)
    rows = trained_rows(load_trained(run), FLOAT32, rounds=1)
    bits = {row["subject"]: row["value"] for row in rows if row["metric"] == "bits per byte"}
    tokenizer = train_bpe([texts[2]], vocab_size=300, special_tokens=SPECIAL_TOKENS)
    model, nats, count = load_decoder(run / "pretrain" / "model"), 0.0, 0
    for text in (texts[0], texts[2]):
        ids = [tokenizer.special_tokens[END_OF_TEXT], *tokenizer.encode_ordinary(text)][:48]
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0, :-1]
        nats += float(F.cross_entropy(logits.double(), torch.tensor(ids[1:]), reduction="sum"))
        count += len(tokenizer.decode_bytes(ids[1:]))
    assert bits[OURS] == pytest.approx(nats / math.log(2) / count, rel=1e-5)
    assert bits["groundup, int8 weights"] == pytest.approx(bits[OURS], rel=0.01)
    told = {(row["metric"], row["case"][-3:], row["subject"]): row["value"] for row in rows}
    guessing = "groundup, prompt lookup"
    assert told["tokens a pass", "0.0", OURS] == 1
    assert told["tokens a pass", "0.0", guessing] > 1  # greedy, a model of noise repeats itself
    for temperature in ("0.0", "0.8"):
        assert told["texts that are the same", temperature, guessing] == 1


def test_a_run_without_its_text_is_one_sentence(run: Path) -> None:
    with pytest.raises(InputError, match="keeps no corpus/validation.jsonl"):
        load_trained(run)
    (run / "corpus").mkdir()
    (run / "corpus" / "validation.jsonl").write_text('{"text": "short"}\n')
    with pytest.raises(InputError, match="no text of 48 tokens"):
        load_trained(run)
