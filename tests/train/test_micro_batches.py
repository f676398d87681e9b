"""A step's rows are divided so that a GPU is busy and its memory suffices, and never otherwise."""

import dataclasses

import pytest
import torch

from groundup.core.device import Device
from groundup.optim import AdamW, ByRole
from groundup.scaling.plan import decoder_of_size
from groundup.train import Pretrain
from groundup.train.micro_batches import few_micro_batches, predicted_memory

GPU = Device(torch.device("cuda"), torch.bfloat16)  # nothing is computed on it
CPU = Device(torch.device("cpu"), torch.float32)
MODEL = decoder_of_size(2, vocab_size=1000)
ADAMW = AdamW(lr=1e-3)
CONFIG = Pretrain(
    steps=5,
    batch=8,
    accumulation=16,
    optimizer=ByRole(matrices=ADAMW, embedding=ADAMW, rest=ADAMW),
)


def test_a_processor_takes_what_was_planned() -> None:
    assert few_micro_batches(CONFIG, MODEL, CPU, 1 << 40) == CONFIG


def test_a_gpu_takes_enough_tokens_at_once_and_no_more() -> None:
    found = few_micro_batches(CONFIG, MODEL, GPU, 1 << 40)
    assert (found.batch, found.accumulation) == (64, 2)  # 64 · 512 = 2¹⁵
    assert dataclasses.replace(found, batch=8, accumulation=16) == CONFIG


def test_steps_of_few_rows_stay_whole() -> None:
    config = dataclasses.replace(CONFIG, accumulation=2)
    assert few_micro_batches(config, MODEL, GPU, 1 << 40).accumulation == 1
    config = dataclasses.replace(CONFIG, accumulation=3)
    assert few_micro_batches(config, MODEL, GPU, 1 << 40) == config


@pytest.mark.parametrize("batch", [8, 16, 32])
def test_memory_decides_where_there_is_little(batch: int) -> None:
    wanted = dataclasses.replace(CONFIG, batch=batch, accumulation=128 // batch)
    needed = predicted_memory(wanted, MODEL, GPU).total
    assert few_micro_batches(CONFIG, MODEL, GPU, 2 * needed + 1) == wanted
