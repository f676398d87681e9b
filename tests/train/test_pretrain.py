"""Pretraining learns, and a run that was cut off ends with the bits of one that was not."""

import dataclasses
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from groundup.checkpoint import Retention, load_decoder
from groundup.core.device import Device
from groundup.core.errors import DivergedError
from groundup.core.files import sha256_file
from groundup.core.metrics import read_metrics
from groundup.core.progress import make_console
from groundup.core.terminate import Terminated
from groundup.data.batches import Batches
from groundup.data.mixture import Source
from groundup.data.shards import TokenShards, write_shards
from groundup.data.windows import Windows
from groundup.layers import GLU, GroupedQuery, MoE
from groundup.models import Decoder
from groundup.optim import EMA, AdamW, ByRole, Muon
from groundup.tokenizers import BPE
from groundup.train import Guard, Journal, Pretrain, pretrain

TOKENIZER = BPE.learned([], "gpt2", ["<|endoftext|>"])
DEVICES = [Device(torch.device("cpu"), dtype) for dtype in (torch.float32, torch.bfloat16)]
MODEL = Decoder(
    vocab_size=257,
    context=32,
    width=32,
    depth=2,
    attention=GroupedQuery(heads=2, kv_heads=1, head_width=16),
    mlp=GLU(hidden=64),
)
EXPERTS = dataclasses.replace(
    MODEL,
    mlp=MoE(experts=4, active=2, hidden=24, shared=16, scoring="sigmoid", bias=True, balance=0.01),
)
CONFIG = Pretrain(
    steps=12,
    batch=4,
    accumulation=2,
    optimizer=ByRole(matrices=Muon(lr=0.02), embedding=AdamW(lr=0.003), rest=AdamW(lr=0.003)),
    compile=False,
    validations=2,
    save_seconds=0.0,
)


@pytest.mark.parametrize(("steps", "asked"), [(100, 1), (15, 8), (23, 8), (3, 8), (1, 1)])
def test_validations_stand_evenly_between_beginning_and_end(steps: int, asked: int) -> None:
    at = sorted(dataclasses.replace(CONFIG, steps=steps, validations=asked).validated_steps())
    assert len(at) == min(asked, steps - 1)
    gaps = [b - a for a, b in zip([0, *at], [*at, steps], strict=True)]
    assert max(gaps) - min(gaps) <= 1
    assert min(gaps) > 0


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, source_files: list[str]) -> TokenShards:
    directory = tmp_path_factory.mktemp("shards")
    write_shards(directory, source_files, TOKENIZER, end_of_text=256)
    return TokenShards(directory, TOKENIZER.fingerprint)


def run(
    config: Pretrain,
    train: TokenShards | list[Source],
    directory: Path,
    device: Device,
    model: Decoder = MODEL,
) -> dict:
    return pretrain(
        config,
        model,
        train,
        train if isinstance(train, TokenShards) else train[0].shards,
        directory,
        end_of_text=256,
        device=device,
        console=make_console(quiet=True),
    )


@pytest.mark.parametrize("model", [MODEL, EXPERTS], ids=["dense", "experts"])
@pytest.mark.parametrize("device", DEVICES, ids=["float32", "bfloat16"])
def test_a_run_that_is_cut_off_ends_with_the_same_bits(
    shards: TokenShards, tmp_path: Path, device: Device, model: Decoder, cut_off
) -> None:
    run(CONFIG, shards, tmp_path / "whole", device, model)
    cut_off(lambda: run(CONFIG, shards, tmp_path / "cut", device, model), 7)
    run(CONFIG, shards, tmp_path / "cut", device, model)

    whole, cut = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert sha256_file(whole) == sha256_file(cut)
    lines = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "cut")]
    for record in (*lines[0], *lines[1]):
        del record["seconds"]
    assert lines[0] == lines[1]


def test_a_mixture_of_masked_documents_goes_on_with_the_same_bits(
    shards: TokenShards, tmp_path: Path, cut_off
) -> None:
    write_shards(tmp_path / "other", ["other text " * 90] * 3, TOKENIZER, end_of_text=256)
    other = TokenShards(tmp_path / "other", TOKENIZER.fingerprint)
    sources = [Source(shards=shards, weight=0.75), Source(shards=other, weight=0.25)]
    config = dataclasses.replace(CONFIG, steps=5, validations=1, document_mask=True)
    whole = run(config, sources, tmp_path / "whole", DEVICES[0])
    cut_off(lambda: run(config, sources, tmp_path / "cut", DEVICES[0]), 3)
    assert run(config, sources, tmp_path / "cut", DEVICES[0])["epochs"] == whole["epochs"]
    models = [tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut")]
    assert sha256_file(models[0]) == sha256_file(models[1])
    other_windows = (len(other) - 1) // 32 - 1
    assert whole["epochs"] == pytest.approx(5 * 8 * 0.25 / other_windows)


@pytest.mark.parametrize(
    ("weights", "device"),
    [
        ("bfloat16_alone", DEVICES[1]),
        ("bfloat16", DEVICES[1]),
        ("float32", Device(torch.device("cpu"), torch.float16)),
    ],
    ids=["by chance", "copies", "float16"],
)
def test_what_is_left_to_chance_goes_on_with_the_same_bits(
    shards: TokenShards, tmp_path: Path, cut_off, weights: Any, device: Device
) -> None:
    """Dropout, and rounding by chance; and all else that a step can do."""
    config = dataclasses.replace(
        CONFIG, weights=weights, recompute="blocks", z_loss=1e-4, batch_warmup=0.5, ema=EMA()
    )
    model = dataclasses.replace(MODEL, dropout=0.2)
    whole = run(config, shards, tmp_path / "whole", device, model)
    cut_off(lambda: run(config, shards, tmp_path / "cut", device, model), 4)
    run(config, shards, tmp_path / "cut", device, model)
    models = [tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut")]
    assert sha256_file(models[0]) == sha256_file(models[1])
    records = [
        [record for record in read_metrics(tmp_path / name / "metrics.jsonl") if "loss" in record]
        for name in ("whole", "cut")
    ]
    assert [r["tokens"] for r in records[0]] == [r["tokens"] for r in records[1]]
    assert records[0][-1]["tokens"] == whole["tokens"]
    assert records[0][-1]["loss"] < records[0][0]["loss"]


@given(st.integers(1, 8), st.floats(0, 1), st.integers(1, 300))
def test_a_batch_that_grows_keeps_within_the_budget(
    accumulation: int, share: float, micro_batches: int
) -> None:
    """It never shrinks, ends whole, and one more step would be too much."""
    config = dataclasses.replace(CONFIG, accumulation=accumulation, batch_warmup=share)
    steps = config.steps_within(micro_batches)
    if not steps:
        assert micro_batches < accumulation
        return
    config = dataclasses.replace(config, steps=steps)
    sizes = [config.micro_batches_of(step) for step in range(steps)]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 1
    assert sizes[-1] == accumulation
    assert sum(sizes) == config.micro_batches_before(steps) <= micro_batches
    longer = dataclasses.replace(config, steps=steps + 1)
    assert longer.micro_batches_before(steps + 1) > micro_batches


def test_sigterm_saves_and_ends_the_loop(
    shards: TokenShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = dataclasses.replace(CONFIG, save_seconds=1e9)
    write = Journal.write

    def write_then_signal(journal: Journal, **record: object) -> None:
        write(journal, **record)
        if journal._training.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write", write_then_signal)
        with pytest.raises(Terminated):
            run(slow, shards, tmp_path / "cut", DEVICES[0])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert [path.name for path in (tmp_path / "cut" / "checkpoints").iterdir()] == ["step-00000005"]
    for name in ("cut", "whole"):
        run(slow, shards, tmp_path / name, DEVICES[0])
    whole, cut = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert sha256_file(whole) == sha256_file(cut)


def test_the_loss_falls_below_that_of_single_bytes(shards: TokenShards, tmp_path: Path) -> None:
    """60 steps must beat the best model that knows only how often each byte occurs."""
    facts = run(dataclasses.replace(CONFIG, steps=60), shards, tmp_path, DEVICES[0])
    records = read_metrics(tmp_path / "metrics.jsonl")
    counts = torch.bincount(torch.from_numpy(shards.read(0, len(shards)).astype("int64")))
    share = counts[counts > 0].double() / counts.sum()
    unigram = float(-(share * share.log()).sum())
    losses = [record["loss"] for record in records if "loss" in record]
    assert losses[0] == pytest.approx(torch.tensor(257.0).log().item(), abs=0.3)
    assert sum(losses[-5:]) / 5 < unigram - 0.3
    assert facts["tokens"] == 60 * 4 * 2 * 32
    bits = [r["validation_bits_per_byte"] for r in records if "validation_bits_per_byte" in r]
    assert len(bits) == 2  # on the way
    assert 1.0 < bits[0] < 8.0


def test_experts_are_kept_busy_and_written_down(shards: TokenShards, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, balance_rate=0.05)
    run(config, shards, tmp_path, DEVICES[0], EXPERTS)
    records = [r for r in read_metrics(tmp_path / "metrics.jsonl") if "loss" in r]
    assert all(1 <= record["router_busiest"] <= 4 for record in records)
    assert all(record["router_dropped"] == 0 for record in records)
    moved = load_decoder(tmp_path / "model").get_buffer("blocks.0.mlp.bias")
    assert moved.abs().max() > 0


def test_an_average_of_the_weights_is_what_is_kept(shards: TokenShards, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, ema=EMA(decay=0.9))
    run(config, shards, tmp_path / "whole", DEVICES[0])
    run(CONFIG, shards, tmp_path / "plain", DEVICES[0])
    newest = max((tmp_path / "whole" / "checkpoints").iterdir())
    state = load_file(newest / "optimizer.safetensors")
    kept = load_decoder(tmp_path / "whole" / "model").state_dict()
    for name, weight in load_file(newest / "model.safetensors").items():
        assert torch.equal(kept[name], state[f"average.{name}"])
        assert not torch.equal(kept[name], weight)
    trained = load_file(newest / "model.safetensors")
    for name, weight in load_decoder(tmp_path / "plain" / "model").state_dict().items():
        assert torch.equal(trained[name], weight)  # the path itself is that without an average


def test_micro_batches_are_averaged(shards: TokenShards, tmp_path: Path) -> None:
    """2 micro-batches of 4 sequences are one batch of 8."""
    split = dataclasses.replace(CONFIG, steps=2, validations=1)
    joined = dataclasses.replace(split, batch=8, accumulation=1)
    for name, config in (("split", split), ("joined", joined)):
        run(config, shards, tmp_path / name, DEVICES[0])
    split_loss, joined_loss = (
        [r["loss"] for r in read_metrics(tmp_path / name / "metrics.jsonl") if "loss" in r]
        for name in ("split", "joined")
    )
    assert split_loss == pytest.approx(joined_loss, rel=1e-4)


def test_divergence_is_one_sentence(shards: TokenShards, tmp_path: Path) -> None:
    wild = ByRole(matrices=Muon(lr=1e30), embedding=AdamW(lr=1e30), rest=AdamW(lr=1e30))
    with pytest.raises(DivergedError, match="training diverged at step 7 .* since step 2"):
        run(dataclasses.replace(CONFIG, optimizer=wild), shards, tmp_path, DEVICES[0])


def test_steps_that_are_refused_do_not_change_how_a_run_resumes(
    shards: TokenShards, tmp_path: Path, cut_off: Callable[[Callable[[], object], int], None]
) -> None:
    """With a bound so low that ordinary steps are spikes, and experts, whose biases roll back."""
    guard = Guard(on_spike="rollback", deviations=0.5, window=4, patience=4)
    saving = {"save_seconds": 1e9, "retention": Retention(every=3)}
    config = dataclasses.replace(CONFIG, guard=guard, validations=1, **saving)
    run(config, shards, tmp_path / "whole", DEVICES[0], EXPERTS)
    cut_off(lambda: run(config, shards, tmp_path / "cut", DEVICES[0], EXPERTS), 8)
    run(config, shards, tmp_path / "cut", DEVICES[0], EXPERTS)

    records = [
        [{key: record[key] for key in record if key != "seconds"} for record in lines]
        for lines in (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "cut"))
    ]
    assert records[0] == records[1]
    refused = [record["step"] for record in records[0] if "incident" in record]
    assert min(refused) <= 8 < max(refused)
    whole, cut = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert sha256_file(whole) == sha256_file(cut)

    kept = load_file(tmp_path / "cut" / "incidents" / f"step-{refused[0]:08d}.safetensors")
    batches = Batches(samples=Windows(shards=shards, context=32, seed=0), batch=4)
    for number in range(2):
        tokens, targets, _ = batches.read(2 * (refused[0] - 1) + number)
        assert (kept[f"{number}.tokens"].numpy() == tokens).all()
        assert (kept[f"{number}.targets"].numpy() == targets).all()


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch": 0}, {"accumulation": 0}])
def test_counts_must_be_positive(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        dataclasses.replace(CONFIG, **wrong)
