"""The model of costs against published measurements, and the laws that it must keep."""

import json
import subprocess
import sys
from dataclasses import replace

import click
import pytest

from groundup.cli.plan_cluster import command
from groundup.core.errors import InputError
from groundup.models import Decoder, training_flops
from groundup.models.families import PRESETS
from groundup.models.memory import parameter_count
from groundup.scaling.accelerators import ACCELERATORS, H100_500W
from groundup.scaling.cluster import Composition, estimate
from groundup.scaling.cluster_plan import llama_of, plan_cluster


def model_of(size: str) -> Decoder:
    model = PRESETS[f"llama-3.1-{size}"]
    assert isinstance(model, Decoder)
    return model


def plain(size: int, **more: bool) -> Composition:
    return Composition(shard=size, rows=2, recompute="half", **more)


def full(**more: int) -> Composition:
    return Composition(recompute="blocks", eight_bits=True, **more)


PIPELINE = {"shard": 8, "tensor": 8, "pipeline": 8}
# torchtitan, benchmarks of December 2024 (tables 1 to 6): tokens a second of a GPU, and its GiB.
# Micro-batches of a pipeline are as many as its stages, which was the default then.
PUBLISHED = [
    ("8b", 8192, plain(8, compiled=False), 5762, 82.4),
    ("8b", 8192, plain(8), 6667, 77.0),
    ("8b", 8192, plain(8, eight_bits=True), 8532, 76.8),
    ("8b", 32768, full(shard=8), 3890, 83.9),
    ("8b", 65536, full(shard=4, context=2), 2540, 84.2),
    ("8b", 8192, plain(128, compiled=False), 5605, 67.0),
    ("8b", 8192, plain(128), 6514, 62.0),
    ("8b", 8192, plain(128, eight_bits=True), 8380, 61.8),
    ("70b", 8192, full(shard=32, tensor=8, rows=16), 829, 71.9),
    ("405b", 8192, full(**PIPELINE, micro_batches=8, rows=4), 100, 82.5),
    ("405b", 8192, full(**PIPELINE, interleaved=2, micro_batches=16, rows=2), 128, 72.7),
    ("405b", 32768, full(**PIPELINE, micro_batches=8), 76, 75.3),
]


@pytest.mark.parametrize(("size", "tokens", "composition", "rate", "gibibytes"), PUBLISHED)
def test_published_rates_within_a_fifth(
    size: str, tokens: int, composition: Composition, rate: float, gibibytes: float
) -> None:
    found = estimate(model_of(size), tokens, composition, H100_500W)
    assert found.tokens_per_second == pytest.approx(rate, rel=0.2)
    assert found.memory.total / 2**30 == pytest.approx(gibibytes, rel=0.3)


def test_the_parts_of_a_step_are_counted_by_hand() -> None:
    model = model_of("8b")
    blocks = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    e = estimate(model, 8192, Composition(rows=1), H100_500W)
    products = 6 * 8192 * (blocks + 4096 * 128_256)
    assert e.seconds.matrices == pytest.approx(products / H100_500W.matrix)
    scores = training_flops(model, 8192) - products  # three times the forward pass
    attention = scores / 3 * (1 / H100_500W.attention + 2.5 / H100_500W.attention_backward)
    assert e.seconds.attention == pytest.approx(attention)
    assert e.memory.weights == pytest.approx(4 * parameter_count(model), rel=1e-3)
    two = estimate(model, 8192, Composition(rows=1, tensor=2), H100_500W)
    assert two.seconds.tensor == pytest.approx(32 * 8 * 0.5 * 8192 * 4096 * 2 / H100_500W.link)
    assert two.seconds.matrices == pytest.approx(e.seconds.matrices / 2)


def test_a_pipeline_waits_as_its_formula_says() -> None:
    model, c = model_of("70b"), Composition(pipeline=8, micro_batches=8)
    flat = estimate(model, 8192, c, H100_500W).seconds
    twice = estimate(model, 8192, replace(c, interleaved=2), H100_500W).seconds
    more = estimate(model, 8192, replace(c, micro_batches=32), H100_500W).seconds
    work = flat.total - flat.pipeline - flat.optimizer  # there are no copies
    assert flat.pipeline == pytest.approx(work * 7 / 8)
    assert twice.pipeline == pytest.approx(flat.pipeline / 2)
    assert more.pipeline == pytest.approx(flat.pipeline)  # of four times the work


def test_copies_send_their_gradients() -> None:
    model = model_of("8b")
    one = estimate(model, 8192, Composition(shard=8), H100_500W)
    two = estimate(model, 8192, Composition(shard=8, replicas=2), H100_500W)
    gradients = 4 * parameter_count(model) / 8
    assert two.sent.replicas == pytest.approx(gradients, rel=1e-3)  # 2 · (2 − 1)/2
    assert two.seconds.replicas == pytest.approx(two.sent.replicas / H100_500W.network)
    assert two.seconds.total == pytest.approx(one.seconds.total + two.seconds.replicas)
    assert two.memory == one.memory


def test_what_the_trainer_cannot_do_is_marked() -> None:
    assert Composition(shard=8, tensor=2, recompute="blocks").here
    assert Composition(pipeline=2, replicas=4).here
    assert Composition(replicas=4).here
    for lacking in (
        Composition(eight_bits=True),
        Composition(pipeline=2, interleaved=2),
        Composition(pipeline=2, shard=2),
        Composition(shard=2, replicas=2),
        Composition(recompute="half"),
    ):
        assert not lacking.here


def test_a_way_can_be_fixed() -> None:
    gpu = ACCELERATORS["h100"]
    fixed = {"tensor": 8, "pipeline": 4, "replicas": 1, "recompute": "blocks"}
    plans = plan_cluster(model_of("70b"), 8192, 256, gpu, sequences=512, fixed=fixed)
    assert plans
    for plan in plans:
        assert {name: getattr(plan.composition, name) for name in fixed} == fixed


def test_shares_of_memory() -> None:
    model = model_of("70b")
    one = estimate(model, 8192, Composition(shard=1), H100_500W).memory
    many = estimate(model, 8192, Composition(shard=16, tensor=4), H100_500W).memory
    for kind in ("weights", "gradients", "optimizer"):
        assert getattr(many, kind) == pytest.approx(getattr(one, kind) / 64)
    assert many.activations == pytest.approx(one.activations / 4)
    fewer = estimate(model, 8192, Composition(recompute="blocks"), H100_500W).memory
    assert fewer.activations < one.activations / 10


def test_plans_fit_and_the_fastest_comes_first() -> None:
    gpu = ACCELERATORS["h100"]
    plans = plan_cluster(model_of("70b"), 8192, 256, gpu, sequences=512)
    assert all(plan.composition.gpus == 256 for plan in plans)
    assert all(plan.memory.total < gpu.memory for plan in plans)
    assert all(plan.tokens == 512 * 8192 for plan in plans)
    assert all(0 < plan.utilisation < 1 for plan in plans)
    rates = [plan.tokens_per_second for plan in plans]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("weights", [5e8, 8e9, 7e10, 4e11])
def test_a_model_of_a_size(weights: float) -> None:
    assert parameter_count(llama_of(weights)) == pytest.approx(weights, rel=0.05)


@pytest.mark.parametrize(
    ("composition", "sentence"),
    [
        (Composition(tensor=3), "64 heads cannot be shared by 3 GPUs: choose a divisor of 64"),
        (Composition(context=3), "a sequence of 8192 tokens cannot be shared by 3 GPUs"),
        (Composition(pipeline=64, interleaved=2), "128 stages are more than the model's 80 layers"),
    ],
)
def test_what_does_not_fit_the_model_is_a_sentence(composition: Composition, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        estimate(model_of("70b"), 8192, composition, H100_500W)


def test_the_command() -> None:
    arguments = ["plan-cluster", "--params", "8e9", "--gpus", "64", "--tokens", "1e12", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "groundup", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    best = result["plans"][0]
    assert result["weights"] == pytest.approx(8e9, rel=0.05)
    rate = best["tokens_per_second_per_gpu"] * 64
    assert best["days"] == pytest.approx(1e12 / rate / 86_400)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "give one of --params and --model"),
        (["--model", "t5-small"], "'t5-small' is no decoder that is known: try one of llama-3"),
        (["--params", "4e11"], "nothing fits: of "),
        (["--params", "0"], "--params 0: choose from 5e8 to 1e14"),
        (["--params", "8e9", "--fix", "tensor=3"], "cannot be laid over 8 GPUs with tensor=3"),
    ],
)
def test_bad_options_are_a_sentence(options: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        command.main(["--gpus", "8", *options], standalone_mode=False)


@pytest.mark.parametrize("fix", ["tensor", "tensor=", "tensor=0", "heads=2", "recompute=all"])
def test_a_wrong_fix_is_a_sentence(fix: str) -> None:
    with pytest.raises(click.UsageError, match="write a name and a value"):
        command.main(["--params", "8e9", "--gpus", "8", "--fix", fix], standalone_mode=False)
