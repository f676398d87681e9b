"""Measuring a model: whole documents, the compressors' own text, answers with their verdicts."""

import gzip
from pathlib import Path

import pytest
import torch

from groundup.core.device import Device
from groundup.data.shards import TokenShards, write_shards
from groundup.evals import Request, documents_within, measure_answers, measure_text
from groundup.infer import Engine, Sampling
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder, DecoderModel
from groundup.tokenizers import BPE
from groundup.verifiers.verifier import Problem, Verdict

TOKENIZER = BPE.learned([], "gpt2", ["<|endoftext|>"])
TEXTS = ["first text", "a second one", "third, é"]
CPU = Device(torch.device("cpu"), torch.float32)


@pytest.fixture
def model() -> DecoderModel:
    attention = GroupedQuery(heads=2, kv_heads=1, head_width=8)
    config = Decoder(
        vocab_size=257, context=16, width=16, depth=1, attention=attention, mlp=GLU(hidden=16)
    )
    return config.build(0)


@pytest.fixture
def shards(tmp_path: Path) -> TokenShards:
    write_shards(tmp_path, TEXTS, TOKENIZER, end_of_text=256)
    return TokenShards(tmp_path, TOKENIZER.fingerprint)


@pytest.mark.parametrize(
    ("most", "documents"), [(0, 1), (10, 1), (21, 1), (22, 2), (30, 2), (31, 3), (999, 3)]
)
def test_documents_are_taken_whole(shards: TokenShards, most: int, documents: int) -> None:
    assert documents_within(shards, most) == documents


def test_compressors_see_the_same_documents(model: DecoderModel, shards: TokenShards) -> None:
    facts = measure_text(model, TOKENIZER, shards, CPU, end_of_text=256, stride=8, documents=2)
    text = "".join(TEXTS[:2]).encode()
    assert facts["gzip_bits_per_byte"] == 8 * len(gzip.compress(text, 9, mtime=0)) / len(text)
    assert 7 < facts["bits_per_byte"] < 10  # an untrained model knows nothing of 257 tokens


def test_answers_are_kept_with_their_verdicts(model: DecoderModel) -> None:
    def even_length(problem: Problem, completion: str) -> Verdict:
        assert problem == {"n": 1}
        return Verdict(float(len(completion.encode()) % 2 == 0), "parity")

    engine = Engine(model, CPU, stop=[256])
    requests = [Request(prompt=t, tokens=TOKENIZER.encode(t), problem={"n": 1}) for t in TEXTS]
    facts, records = measure_answers(
        engine, TOKENIZER, requests, even_length, Sampling(max_tokens=4)
    )
    expected = [float(len(r["completion"].encode()) % 2 == 0) for r in records]
    assert [record["score"] for record in records] == expected
    assert facts["passed"] == sum(expected)
    assert facts["n"] == 3
    assert [record["prompt"] for record in records] == TEXTS


def test_without_a_verifier_there_is_no_score(model: DecoderModel) -> None:
    engine = Engine(model, CPU, stop=[256])
    requests = [Request(prompt="a", tokens=[97], problem={})]
    facts, records = measure_answers(engine, TOKENIZER, requests, None, Sampling(max_tokens=2))
    assert facts == {}
    assert set(records[0]) == {"prompt", "completion"}
