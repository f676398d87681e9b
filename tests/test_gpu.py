"""On a GPU: what trains and generates gives what a CPU gives, and resumes to the same bits.

The oracles are float64 on the CPU and torch's own optimizers. `pytest -m gpu`
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

from groundup.cli import cli
from groundup.core.device import Device, Format, select_device
from groundup.core.files import sha256_file
from groundup.core.metrics import read_metrics
from groundup.core.progress import make_console
from groundup.data.shards import TokenShards, write_shards
from groundup.infer import Engine, Sampling
from groundup.layers import GLU, GroupedQuery, MoE
from groundup.layers.attend import attend
from groundup.models import Decoder, LanguageModel
from groundup.optim import (
    EMA,
    SOAP,
    Adam,
    AdamW,
    ByRole,
    Lion,
    Muon,
    ScheduleFreeAdamW,
)
from groundup.optim.muon import orthogonalize
from groundup.recipes.experiment import ladder
from groundup.tokenizers import BPE
from groundup.train import Pretrain, pretrain

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA knows"),
    pytest.mark.filterwarnings("default"),  # torch's compiler and profiler warn of themselves
]

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TOKENIZER = BPE.learned([], "gpt2", ["<|endoftext|>"])
MODEL = Decoder(
    vocab_size=257,
    context=128,
    width=64,
    depth=2,
    attention=GroupedQuery(heads=4, kv_heads=2, head_width=16, shift=True),
    mlp=GLU(hidden=128),
    embedding_in_head=True,
)
EXPERTS = dataclasses.replace(
    MODEL,
    mlp=MoE(experts=4, active=2, hidden=32, shared=32, scoring="sigmoid", bias=True, balance=0.01),
)
RUNGS = {
    name: dataclasses.replace(experiment.model, vocab_size=257)
    for name, experiment in ladder().items()
}
OPTIMIZER = ByRole(matrices=Muon(lr=0.02), embedding=AdamW(lr=0.03), rest=AdamW(lr=0.003))
CONFIG = Pretrain(
    steps=12,
    batch=4,
    accumulation=2,
    optimizer=OPTIMIZER,
    compile=False,
    validations=2,
    save_seconds=0.0,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, source_files: list[str]) -> TokenShards:
    directory = tmp_path_factory.mktemp("shards")
    write_shards(directory, source_files, TOKENIZER, end_of_text=256)
    return TokenShards(directory, TOKENIZER.fingerprint)


def scrambled(model: LanguageModel) -> LanguageModel:
    """Every weight matters: the initialisation has zeros."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


def loss_and_gradients(
    model: LanguageModel, device: Device, documents: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Of each token [B, T], and of all weights as one vector; float64, on the CPU."""
    tokens, targets = torch.randint(256, (2, 2, 96), generator=torch.Generator().manual_seed(2)).to(
        device.device
    )
    documents = None if documents is None else documents.to(device.device)
    with device.autocast():
        losses = model.losses(tokens, targets, documents=documents, implementation="training")
    losses.mean().backward()
    gradients = [p.grad.double().cpu().flatten() for p in model.parameters() if p.grad is not None]
    return losses.detach().double().cpu(), torch.cat(gradients)


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "documents"])
@pytest.mark.parametrize("rung", [*RUNGS, "experts"])
def test_losses_and_gradients_equal_float64(rung: str, masked: bool) -> None:
    config = EXPERTS if rung == "experts" else RUNGS[rung]
    documents = torch.arange(96).expand(2, 96) // 40 if masked else None
    exact = scrambled(config.build(0)).double()
    losses, gradients = loss_and_gradients(exact, Device(CPU, torch.float32), documents)
    errors = {"float32": 1e-4, "bfloat16": 0.1}
    if rung in ("experts", "DeepSeek"):
        del errors["bfloat16"]  # a router's choice turns on the last bits
    for dtype, error in errors.items():
        device = select_device("cuda", dtype)  # type: ignore[arg-type]
        found = loss_and_gradients(scrambled(config.build(0)).to(CUDA), device, documents)
        assert (found[0] - losses).norm() <= error * losses.norm(), dtype
        assert (found[1] - gradients).norm() <= error * gradients.norm(), dtype


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("masked", [False, True], ids=["causal", "masked"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_equals_its_definition(kv_heads: int, masked: bool, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    shapes = [(2, 4, 77, 32), (2, kv_heads, 77, 32), (2, kv_heads, 77, 32)]
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    mask = torch.rand(2, 1, 77, 77, generator=generator).lt(0.5) if masked else None

    def run(device: torch.device, format: torch.dtype, implementation: Any) -> list[Tensor]:
        moved = [x.to(device, format, copy=True).requires_grad_() for x in inputs]
        there = None if mask is None else mask.to(device)
        out = attend(*moved, scale=32**-0.5, mask=there, implementation=implementation)
        out.square().sum().backward()
        return [
            x.double().cpu() for x in (out.detach(), *(x.grad for x in moved if x.grad is not None))
        ]

    expected = run(CPU, torch.float64, "reference")
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for implementation in ("training", "sdpa", "blockwise", "reference"):
        for ours, theirs in zip(run(CUDA, dtype, implementation), expected, strict=True):
            assert (ours - theirs).norm() <= tolerance * theirs.norm(), implementation


@pytest.mark.parametrize("ours", [Adam, AdamW])
def test_steps_equal_those_of_torch_in_float64(ours: type[Adam] | type[AdamW]) -> None:
    theirs = {Adam: torch.optim.Adam, AdamW: torch.optim.AdamW}[ours]
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator).to(CUDA) for shape in [(7,), (300, 513)]]
    expected = [weight.double().cpu().requires_grad_() for weight in weights]
    names = {str(i): weight for i, weight in enumerate(weights)}
    state = ours(lr=1e-3, betas=(0.9, 0.95), decay=0.1).build(names)
    peer = theirs(expected, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    for step in range(200):
        for weight, exact in zip(weights, expected, strict=True):
            gradient = torch.randn(weight.shape, generator=generator)
            weight.grad, exact.grad = gradient.to(CUDA), gradient.double()
        scale = 1.0 if step % 2 else 0.5
        state.step(scale)
        peer.param_groups[0]["lr"] = 1e-3 * scale
        peer.step()
    for weight, exact in zip(weights, expected, strict=True):  # 200 roundings to float32
        assert (weight.cpu() - exact).abs().max() <= 4e-6 * exact.abs().max()


@pytest.mark.parametrize("columns", [64, 65, 100, 200])
def test_a_narrow_format_does_not_upset_the_orthogonal_factor(columns: int) -> None:
    """A gradient's singular values span several decades, those of the first steps above all."""
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(2, 64, 6, generator=generator),
        torch.randn(2, 6, columns, generator=generator),
    )
    x = left @ right + 1e-4 * torch.randn(2, 64, columns, generator=generator)
    for dtype in (torch.float32, torch.bfloat16):
        with Device(CUDA, dtype).autocast():
            found = orthogonalize(x.to(CUDA))
        assert found.dtype == dtype
        sizes = torch.linalg.svdvals(found.double().cpu())
        assert (sizes[:, :6] > 0.6).all()
        assert (sizes < 1.3).all()


@pytest.mark.parametrize(
    "config",
    [
        Lion(lr=1e-3, decay=0.1),
        Muon(lr=0.02),
        SOAP(lr=1e-3),
        ScheduleFreeAdamW(lr=1e-3, decay=0.1),
        EMA(decay=0.9).around(AdamW(lr=1e-3)),
    ],
    ids=lambda config: type(config).__name__,
)
def test_steps_equal_float64(config: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    # SOAP divides by what its first rotation makes zero, and the eigenvectors of a gradient that is
    # not square are not determined.
    soap = isinstance(config, SOAP)
    wide, dtype = ((24, 24), torch.float64) if soap else ((24, 48), torch.float32)
    shapes = {"a": wide, "b": wide[::-1], "c": wide}
    start = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    exact = {name: w.double() for name, w in start.items()}
    there = {name: w.to(CUDA, dtype, copy=True) for name, w in start.items()}
    states = config.build(exact), config.build(there)
    for _ in range(25):
        for name in shapes:
            gradient = torch.randn(shapes[name], generator=generator)
            exact[name].grad, there[name].grad = gradient.double(), gradient.to(CUDA, dtype)
        for state in states:
            state.step(0.7)
    for name in shapes:
        moved = (exact[name] - start[name]).norm()
        assert (there[name].double().cpu() - exact[name]).norm() <= 1e-3 * moved


def run(
    config: Pretrain, shards: TokenShards, folder: Path, device: Device, model: Decoder
) -> None:
    pretrain(
        config,
        model,
        shards,
        shards,
        folder,
        end_of_text=256,
        device=device,
        console=make_console(quiet=True),
    )


@pytest.mark.parametrize(
    ("dtype", "changes", "model"),
    [
        *((dtype, {}, MODEL) for dtype in get_args(Format) if dtype != "auto"),
        ("bfloat16", {}, EXPERTS),
        ("bfloat16", {"compile": True}, MODEL),
        ("bfloat16", {"document_mask": True, "recompute": "blocks"}, MODEL),
        ("bfloat16", {"weights": "bfloat16"}, MODEL),
        ("bfloat16", {"weights": "bfloat16_alone"}, dataclasses.replace(MODEL, dropout=0.1)),
    ],
    ids=[
        *(dtype for dtype in get_args(Format) if dtype != "auto"),
        "experts",
        "compiled",
        "documents",
        "copies",
        "by chance",
    ],
)
def test_a_run_that_is_cut_off_ends_with_the_same_bits(
    shards: TokenShards,
    tmp_path: Path,
    cut_off: Callable[[Callable[[], object], int], None],
    dtype: Format,
    changes: dict[str, Any],
    model: Decoder,
) -> None:
    device = select_device("cuda", dtype)
    config = dataclasses.replace(CONFIG, **changes)
    run(config, shards, tmp_path / "whole", device, model)
    cut_off(lambda: run(config, shards, tmp_path / "cut", device, model), 7)
    run(config, shards, tmp_path / "cut", device, model)
    records = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "cut")]
    losses = [[r["loss"] for r in lines if "loss" in r] for lines in records]
    assert losses[0][-1] < losses[0][0] - 0.3
    assert losses[0] == losses[1]
    whole, cut = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "cut"))
    assert sha256_file(whole) == sha256_file(cut)


def test_generated_tokens_equal_those_of_a_cpu() -> None:
    model = scrambled(MODEL.build(0)).eval()
    prompts = [[3, 1, 4], [1], [5, 9, 2, 6, 5, 3, 5]]
    sampling = Sampling(max_tokens=40, temperature=0)
    expected = Engine(model, Device(CPU, torch.float32), stop=[]).generate(prompts, sampling)
    there = Engine(model.to(CUDA), Device(CUDA, torch.float32), stop=[])
    assert [answer.tokens for answer in there.generate(prompts, sampling)] == [
        answer.tokens for answer in expected
    ]


def invoke(*arguments: str) -> Result:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    return done


def test_a_profile_names_the_gpu_and_predicts_its_memory(tmp_path: Path) -> None:
    said = invoke("profile", "llama", "--runs", str(tmp_path), "--set", "compile=no", "--json")
    profile = json.loads(said.stdout)
    assert torch.cuda.get_device_name() in profile["machine"].values()
    memory = profile["memory"]
    for kind in ("weights", "gradients", "optimizer"):
        assert memory["measured"][kind] == memory["predicted"][kind]
    assert profile["step"]["share_of_peak"] <= 1
    assert memory["measured"]["activations"] <= 1.05 * memory["predicted"]["activations"]


def test_a_training_and_what_it_generates(documents: Path, tmp_path: Path) -> None:
    data = ["--data", str(documents), "--runs", str(tmp_path)]
    small = ["--set", "tokenizer.vocab_size=400", "--set", "compile=no"]
    invoke("train", "ablation", *data, "--budget", "10s", *small)
    said = invoke("generate", str(tmp_path / "train"), "def ", "--max-tokens", "8")
    assert said.stdout.strip()
