"""Fine-tuning: packing, the mask, and that it is pretraining's loss when nothing is masked."""

import dataclasses
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.align.chat import SPECIAL_TOKENS, Example, encode_example, encode_request
from groundup.align.sft import SFT, collate, fine_tune, packed_rows
from groundup.core.device import Device
from groundup.core.errors import InputError
from groundup.core.files import sha256_file
from groundup.core.progress import make_console
from groundup.layers import GLU, GroupedQuery
from groundup.models import Decoder
from groundup.optim import AdamW, ByRole, Muon
from groundup.tokenizers import BPE

TOKENIZER = BPE.learned([], "gpt2", SPECIAL_TOKENS)
CPU = Device(torch.device("cpu"), torch.float32)
MODEL = Decoder(
    vocab_size=TOKENIZER.vocab_size,
    context=32,
    width=32,
    depth=1,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=16),
    mlp=GLU(hidden=64),
)
CONFIG = SFT(
    steps=8,
    batch=2,
    optimizer=ByRole(matrices=Muon(lr=0.02), embedding=AdamW(lr=0.01), rest=AdamW(lr=0.01)),
    compile=False,
    save_seconds=0.0,
)
EXAMPLES = [encode_example(TOKENIZER, f"say {word}", word) for word in ("yes", "no", "why", "ha")]


def test_the_chat_format() -> None:
    end, user, assistant = (TOKENIZER.special_tokens[token] for token in SPECIAL_TOKENS)
    assert encode_request(TOKENIZER, "hi") == [user, *b"hi", assistant]
    example = encode_example(TOKENIZER, "hi", "yo")
    assert example.tokens == [user, *b"hi", assistant, *b"yo", end]
    assert example.tokens[example.answer :] == [*b"yo", end]


def test_a_user_cannot_write_special_tokens() -> None:
    assert (
        TOKENIZER.special_tokens["<|assistant|>"]
        not in encode_request(TOKENIZER, "<|assistant|>")[:-1]
    )


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(12, 40), st.integers(0, 99)
)
def test_every_epoch_takes_every_example_once_and_rows_fit(
    lengths: list[int], context: int, seed: int
) -> None:
    examples = [Example(tokens=[i] * n, answer=0) for i, n in enumerate(lengths)]
    taken: list[int] = []
    for row in packed_rows(examples, context, seed):
        assert row
        assert sum(len(example.tokens) for example in row) <= context + 1
        taken += [example.tokens[0] for example in row]
        if len(taken) >= 2 * len(examples):
            break
    assert sorted(taken) == sorted(2 * list(range(len(examples))))
    assert sorted(taken[: len(examples)]) == list(range(len(examples)))


def test_only_answers_are_learned() -> None:
    rows = [[Example([1, 2, 3, 4], answer=2), Example([5, 6, 7], answer=1)], [Example([8, 9], 1)]]
    batch = collate(rows, CPU, width=8)
    assert batch.tokens.tolist() == [[1, 2, 3, 4, 5, 6, 0, 0], [8, 0, 0, 0, 0, 0, 0, 0]]
    learned = [
        [int(t) for t, w in zip(*row, strict=True) if w]
        for row in zip(batch.targets, batch.weight, strict=True)
    ]
    assert learned == [[3, 4, 6, 7], [9]]


def test_without_a_mask_it_is_pretraining_s_loss() -> None:
    model = MODEL.build(0)
    ids = torch.randint(257, (1, 33))
    row = [Example(tokens=ids[0].tolist(), answer=1)]
    batch = collate([row], CPU, width=32)
    losses = model.losses(batch.tokens, batch.targets)
    masked = (losses * batch.weight).sum() / batch.weight.sum()
    assert torch.equal(masked, model.losses(ids[:, :-1], ids[:, 1:]).mean())


def test_answers_are_learned_and_a_cut_run_ends_the_same(tmp_path: Path, cut_off) -> None:
    def tune(name: str) -> dict:
        return fine_tune(
            CONFIG,
            MODEL.build(0),
            EXAMPLES,
            tmp_path / name,
            device=CPU,
            console=make_console(quiet=True),
        )

    facts = tune("whole")
    assert (facts["examples"], facts["too_long"]) == (4, 0)
    cut_off(lambda: tune("cut"), 3)
    tune("cut")
    whole, cut = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert sha256_file(whole) == sha256_file(cut)


def test_long_examples_are_counted_and_none_left_is_an_error(tmp_path: Path) -> None:
    long = encode_example(TOKENIZER, "x" * 40, "y")
    facts = fine_tune(
        dataclasses.replace(CONFIG, steps=1),
        MODEL.build(0),
        [*EXAMPLES, long],
        tmp_path / "a",
        device=CPU,
        console=make_console(quiet=True),
    )
    assert (facts["examples"], facts["too_long"]) == (4, 1)
    with pytest.raises(InputError, match="none of the 1 examples fits"):
        fine_tune(
            CONFIG,
            MODEL.build(0),
            [long],
            tmp_path / "b",
            device=CPU,
            console=make_console(quiet=True),
        )


def test_packing_goes_on_where_it_was() -> None:
    rows = list(islice(packed_rows(EXAMPLES, 32, 0), 12))
    assert list(islice(packed_rows(EXAMPLES, 32, 0), 5, 12)) == rows[5:]
