"""The benchmark of Triton kernels has the promised form, and its subjects compute the same; under
Triton's interpreter, or on a GPU.
"""

import dataclasses
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")
from groundup.bench import gpu_bytes, gpu_kernels, gpu_products
from groundup.bench.curves import plot_curves
from groundup.bench.gpu_case import FUSED, QUICK, Case, Scale, results
from groundup.bench.gpu_kernels import bench_gpu_kernels
from groundup.bench.result import OURS
from groundup.core.device import Device, select_device

ON_GPU = torch.cuda.is_available()
# torch multiplies groups in bfloat16 alone on a GPU; Triton's interpreter does so wrongly.
DEVICE = select_device("auto", "bfloat16" if ON_GPU else "float32")
TINY = Scale(
    elements=1 << 10,
    widths=(64, 128),
    rows=(32, 64),
    hidden=64,
    lengths=(32, 64),
    tokens=64,
    width=64,
    head_widths=(16, 32),
    window=9,
    document=13,
    vocabularies=(96, 128),
    experts=4,
    copied=1 << 12,
    product=32,
    rounds=1,
    compiled=False,
)
KINDS = ("forward", "both passes")
OPERATIONS = {
    "RMSNorm",
    "addition and RMSNorm",
    "SwiGLU's gate",
    "rotary positions",
    "attention, 16 wide",
    "attention, 32 wide",
    "attention, 32 wide, window",
    "attention, 32 wide, documents",
    "linear cross-entropy",
    "grouped product, 4 experts",
}
WITH_FUSED = OPERATIONS - {
    "SwiGLU's gate",
    "rotary positions",
    "attention, 32 wide, window",
    "attention, 32 wide, documents",
}


def cases(scale: Scale) -> Iterator[Case]:
    return chain(gpu_bytes.cases(DEVICE, scale), gpu_products.cases(DEVICE, scale))


def check(result: dict[str, Any], subjects: set[str]) -> None:
    """Every operation was measured forward and with gradients, at all sizes, with all subjects."""
    reached: dict[tuple[str, int], set[str]] = {}
    for row in result["rows"]:
        assert 0 < row["value"] < float("inf"), row
        if row["metric"] == "rate":
            reached.setdefault((row["operation"], row["size"]), set()).add(row["subject"])
    limits = {limit["name"] for limit in result["limits"]}
    assert limits == {"memory, copied", "matrix product"}
    for found in reached.values():
        assert found >= subjects
        assert len(found & limits) == 1
    assert result["absent"] == []
    json.dumps(result)


@pytest.mark.parametrize("number", range(20))
def test_subjects_compute_the_same(number: int) -> None:
    case = list(cases(TINY))[number]
    inputs = [x.clone().requires_grad_() for x in case.inputs]
    wanted = results(case.formula, inputs)
    grads = [torch.randn_like(y) for y in wanted]
    wanted += torch.autograd.grad(wanted, inputs, grads)
    for operation in (case.ours, *case.peers.values()):
        found = results(operation, inputs)
        found += torch.autograd.grad(found, inputs, grads)
        for one, other in zip(found, wanted, strict=True):
            assert (one - other).norm() <= (3e-2 if ON_GPU else 1e-4) * other.norm()


def test_work_is_what_cannot_be_done_without() -> None:
    """By hand: bytes of RMSNorm; pairs of the two sequences of 32 positions, and of their windows
    and documents."""
    work = {(case.operation, case.size): case.work for case in cases(TINY)}
    element = DEVICE.compute_dtype.itemsize
    assert work["RMSNorm", 64] == (2 * element * 1024, 5 * element * 1024)
    pairs = {"": 32 * 33 // 2, ", window": 9 * 10 // 2 + 23 * 9, ", documents": 2 * 91 + 21}
    for kind, seen in pairs.items():
        heads = 2 * 2  # in each of two sequences
        flops = seen * heads * 32
        assert work[f"attention, 32 wide{kind}", 32] == (4 * flops, 14 * flops)
    assert work["linear cross-entropy", 96] == (2 * 64 * 64 * 96, 6 * 64 * 64 * 96)
    assert work["grouped product, 4 experts", 32] == (2 * 32 * 64 * 64, 6 * 32 * 64 * 64)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError(), "does not fit into memory"),
        (ImportError("another\nversion"), "ImportError: another version"),
    ],
)
def test_what_cannot_run_is_named_and_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fails(*_inputs: Tensor) -> Tensor:
        raise error

    norm, *_, product = cases(TINY)
    some = [dataclasses.replace(norm, formula=fails), product]
    monkeypatch.setattr(gpu_kernels, "_cases", lambda _device, _scale: some)
    result = bench_gpu_kernels(DEVICE, TINY, ["norm", "product"])
    assert result["absent"] == [f"RMSNorm, {kind}, 16 × 64: torch: {reason}" for kind in KINDS]
    measured = {(row["case"].split(",")[0], row["subject"]) for row in result["rows"]}
    assert measured >= {("RMSNorm", OURS), ("RMSNorm", FUSED), ("grouped product", "torch")}
    assert ("RMSNorm", "torch") not in measured
    alone = bench_gpu_kernels(DEVICE, TINY, ["product"])
    assert [limit["name"] for limit in alone["limits"]] == ["matrix product"]


@pytest.mark.slow  # the interpreter takes some 10 s
def test_every_operation_is_measured_beside_its_peers_and_the_limits(tmp_path: Path) -> None:
    result = bench_gpu_kernels(DEVICE, TINY)
    check(result, {OURS, "torch"})
    rates = [row for row in result["rows"] if row["metric"] == "rate"]
    kinds = {f"{name}, {kind}" for name in OPERATIONS for kind in KINDS}
    assert {row["operation"] for row in rates} == kinds
    fused = {row["operation"].rpartition(", ")[0] for row in rates if row["subject"] == FUSED}
    assert fused == WITH_FUSED
    measured = {row["metric"] for row in result["rows"]}
    memory = {"peak memory"} if ON_GPU else set()
    assert measured == {"time", "rate", "of the limit"} | memory
    plot_curves(result, tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert all(f">{kind}</text>" in drawn for kind in kinds)


@pytest.mark.slow  # compiling takes a minute
@pytest.mark.filterwarnings("default")  # torch's compiler warns of itself
def test_formulas_compile_as_a_whole() -> None:
    one = {"widths": (64,), "rows": (64,), "lengths": (64,), "vocabularies": (96,)}
    result = bench_gpu_kernels(DEVICE, dataclasses.replace(TINY, compiled=True, **one))
    check(result, {OURS, "torch", "torch.compile"})


@pytest.mark.gpu
@pytest.mark.skipif(not ON_GPU, reason="no GPU that CUDA knows")
@pytest.mark.filterwarnings("default")  # torch's compiler warns of itself
def test_a_gpu_is_measured_with_its_memory_and_no_attention_is_above_the_limit() -> None:
    result = bench_gpu_kernels(Device(torch.device("cuda"), torch.bfloat16), QUICK)
    check(result, {OURS, "torch"})
    assert {row["subject"] for row in result["rows"] if row["metric"] == "peak memory"} >= {OURS}
    shares = [row for row in result["rows"] if row["metric"] == "of the limit"]
    assert max(row["value"] for row in shares if row["case"].startswith("attention")) < 1
