"""Comparisons of trainings: which variants there are, what is measured of each, and that a finished
training is not done again."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from groundup.core.config import apply_overrides
from groundup.core.errors import ConfigError, InputError
from groundup.core.progress import make_console
from groundup.experiments import Variant, compare, variants_of
from groundup.layers import GLU, GroupedQuery, LayerNorm, Learned, NoPE, RMSNorm, RoPE
from groundup.models import Decoder, RecurrentLM, training_flops
from groundup.recipes.experiment import Experiment, ablation, ladder
from groundup.recipes.quickstart import Evaluation, TokenizerTraining

BASE = ablation()


def small(folder: Path, **changes: object) -> Experiment:
    """An experiment that trains in a second."""
    model = Decoder(
        vocab_size=300,
        context=32,
        width=32,
        depth=1,
        attention=GroupedQuery(heads=2, kv_heads=1, head_width=16),
        mlp=GLU(hidden=48),
    )
    pretrain = dataclasses.replace(BASE.pretrain, batch=2, validations=3)
    return dataclasses.replace(
        BASE,
        **{
            "model": model,
            "pretrain": pretrain,
            "budget": "1.2e8",
            "data": str(folder),
            "tokenizer": TokenizerTraining(vocab_size=300),
            "evaluation": Evaluation(stride=32, max_bytes=5_000),
            "compile": "no",
            "dtype": "float32",
            **changes,
        },
    )


def test_each_value_is_tried_alone() -> None:
    found = variants_of(
        BASE,
        ["model.norm=rmsnorm,layernorm,none", "model.position=rope,learned,nope"],
        grid=False,
    )
    assert [variant.name for variant in found] == [
        "base",
        "norm=layernorm",
        "norm=none",
        "position=learned",
        "position=nope",
    ]
    models = [variant.experiment.model for variant in found]
    assert [m.norm for m in models] == [RMSNorm(), LayerNorm(), None, RMSNorm(), RMSNorm()]
    assert [m.position for m in models] == [RoPE(), RoPE(), RoPE(), Learned(), NoPE()]


def test_a_grid_has_all_combinations() -> None:
    vary = ["model.depth=1,3", "model.mlp.hidden=256,512"]
    found = variants_of(BASE, vary, grid=True)
    sizes = {(v.experiment.model.depth, v.experiment.model.mlp.hidden) for v in found}
    assert sizes == {(1, 256), (1, 512), (3, 256), (3, 512)}
    assert len(found) == 4  # the base is one of them


def test_a_value_may_be_json_with_commas() -> None:
    wide = '{"type": "GLU", "hidden": 64}'
    found = variants_of(BASE, [f"model.mlp={wide},none"], grid=False)
    assert [variant.experiment.model.mlp for variant in found[1:]] == [GLU(hidden=64), None]


def test_the_model_has_the_tokenizer_s_vocabulary() -> None:
    found = variants_of(BASE, ["tokenizer.vocab_size=512,1024"], grid=False)
    assert [variant.experiment.model.vocab_size for variant in found] == [4096, 512, 1024]


@pytest.mark.parametrize(
    ("vary", "sentence"),
    [
        (["model.norn=none"], "did you mean 'model.norm'"),
        (["model.norm=batchnorm"], "must be one of RMSNorm, LayerNorm"),
        (["model.norm"], "varies nothing: write KEY=VALUE,VALUE"),
        (["pretrain.steps=5,10"], "pretrain.steps follows from budget: vary that instead"),
        ([], "there is nothing to compare"),
    ],
)
def test_what_cannot_be_varied_is_one_sentence(vary: list[str], sentence: str) -> None:
    with pytest.raises((ConfigError, InputError), match=sentence):
        variants_of(BASE, vary, grid=False)


def test_every_variant_gets_the_same_flops(documents: Path, tmp_path: Path) -> None:
    base = small(documents)
    found = variants_of(base, ["model.depth=1,3", "model.norm=none"], grid=False)
    result = compare(found, tmp_path, seeds=2, console=make_console(quiet=True))
    assert [row["name"] for row in result["rows"]] == ["base", "depth=3", "norm=none"]
    for row, variant in zip(result["rows"], found, strict=True):
        model = variant.experiment.model
        step = 2 * training_flops(model, model.context)
        assert 1.2e8 - step < row["flops"] <= 1.2e8
        assert row["flops"] == pytest.approx(row["steps"] * step)
        assert len(row["seeds"]) == 2
        assert row["seeds"][0] != row["seeds"][1]
        assert row["curve"][-1]["flops"] == pytest.approx(row["flops"])
        assert 2 < row["bits_per_byte"]["mean"] < 8
    base_row, deeper, _ = result["rows"]
    assert base_row["difference"] is None
    expected = sum(b - a for a, b in zip(base_row["seeds"], deeper["seeds"], strict=True)) / 2
    assert deeper["difference"]["mean"] == pytest.approx(expected)
    assert json.loads((tmp_path / "result.json").read_text()) == result

    models = list(tmp_path.glob("trainings/*/seed-*/pretrain/model/model.safetensors"))
    assert len(models) == 6
    times = [model.stat().st_mtime_ns for model in models]
    more = variants_of(base, ["model.norm=none,layernorm"], grid=False)
    compare(more, tmp_path, seeds=2, console=make_console(quiet=True))
    assert [model.stat().st_mtime_ns for model in models] == times  # only the new one was trained
    assert len(list(tmp_path.glob("trainings/*/seed-*"))) == 8


def test_recurrent_and_n_gram_models_stand_beside_decoders(documents: Path, tmp_path: Path) -> None:
    decoder = small(documents)
    lstm = small(documents, model=RecurrentLM(vocab_size=300, context=32, width=24, depth=1))
    rungs = [Variant(name="LSTM", experiment=lstm), Variant(name="decoder", experiment=decoder)]
    result = compare(rungs, tmp_path, seeds=1, console=make_console(quiet=True), ngrams=True)
    names = [row["name"] for row in result["rows"]]
    assert names == ["1-gram", "2-gram", "3-gram", "4-gram", "5-gram", "LSTM", "decoder"]
    bits = [row["bits_per_byte"]["mean"] for row in result["rows"]]
    assert bits[0] > bits[1] > bits[2]
    assert all(1 < value < 8 for value in bits)


def test_a_budget_in_time_is_measured_once(documents: Path, tmp_path: Path) -> None:
    base = small(documents, budget="1s")
    variants = [Variant(name="base", experiment=base)]
    first = compare(variants, tmp_path, seeds=1, console=make_console(quiet=True))
    (kept,) = tmp_path.glob("trainings/*/step_seconds.json")
    seconds = json.loads(kept.read_text())["step_seconds"]
    assert first["rows"][0]["steps"] == int(1 / seconds)
    again = compare(variants, tmp_path, seeds=1, console=make_console(quiet=True))
    assert again["rows"] == first["rows"]


def test_every_variant_is_trained_in_its_own_format(documents: Path, tmp_path: Path) -> None:
    found = variants_of(small(documents), ["dtype=float32,bfloat16"], grid=False)
    result = compare(found, tmp_path, seeds=1, console=make_console(quiet=True))
    exact, rounded = (row["seeds"][0] for row in result["rows"])
    assert 0 < abs(exact - rounded) < 0.1


def test_the_end_of_a_curve_is_measured_as_the_rest_is(documents: Path, tmp_path: Path) -> None:
    """At a rate of zero nothing is learned, so the whole curve is one value."""
    still = ["pretrain.optimizer.matrices.lr=0", "pretrain.optimizer.rest.lr=0"]
    base = apply_overrides(small(documents), [*still, "pretrain.optimizer.embedding.lr=0"])
    variants = [Variant(name="base", experiment=base)]
    (row,) = compare(variants, tmp_path, seeds=2, console=make_console(quiet=True))["rows"]
    bits = [point["bits_per_byte"] for point in row["curve"]]
    assert len(bits) > 2
    assert bits == pytest.approx([bits[0]] * len(bits))
    seconds = [point["seconds"] for point in row["curve"]]
    assert seconds == sorted(seconds)
    assert row["seconds"] == pytest.approx(seconds[-1])


@pytest.mark.slow  # two texts' n-grams, three times
def test_other_text_and_another_budget_may_share_a_folder(documents: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in sorted(documents.iterdir())[:4]:
        (other / path.name).write_bytes(path.read_bytes())
    runs, quiet = tmp_path / "runs", make_console(quiet=True)
    for base in (small(documents), small(documents, budget="6e7"), small(other)):
        variants = [Variant(name="base", experiment=base)]
        result = compare(variants, runs, seeds=1, console=quiet, ngrams=True)
        assert result["budget"] == base.budget
    assert len(list(runs.glob("text-*"))) == 3


def test_a_budget_below_one_step_is_refused(documents: Path, tmp_path: Path) -> None:
    variants = [Variant(name="base", experiment=small(documents, budget="1e6"))]
    with pytest.raises(InputError, match="less than one step"):
        compare(variants, tmp_path, seeds=1, console=make_console(quiet=True))


def test_the_rungs_of_the_ladder_are_of_like_size() -> None:
    """Between 1 and 2 million weights work on a token, beside embedding and head."""
    from groundup.models.flops import matrix_parameters

    rungs = ladder()
    assert len(rungs) == 8
    for experiment in rungs.values():
        model = experiment.model
        assert 1.0e6 < matrix_parameters(model) - model.width * model.vocab_size < 2.0e6


def test_the_command_prints_a_table_and_draws(documents: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        "from pathlib import Path\n"
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_experiments import small\n"
        f"def recipe():\n    return small(Path({str(documents)!r}))\n"
    )
    varied = ["--vary", "model.norm=none", "--seeds", "2", "--runs", str(tmp_path / "runs")]
    varied += ["--budget", "1e8"]
    done = subprocess.run(
        [sys.executable, "-m", "groundup", "ablate", f"{recipe}:recipe", *varied],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Trained with 1e8 each" in done.stdout
    assert "norm=none" in done.stdout
    assert "±" in done.stdout
    assert (tmp_path / "runs" / "ablation" / "ablation.svg").read_text().startswith("<svg")


def test_the_ladder_is_climbed_and_drawn(documents: Path, tmp_path: Path) -> None:
    """All rungs, a step each, of short texts."""
    settings = ["compile=no", "dtype=float32", "model.context=16", "pretrain.batch=1"]
    settings += ["tokenizer.vocab_size=300", "evaluation.stride=16", "evaluation.max_bytes=2000"]
    changes = [word for setting in settings for word in ("--set", setting)]
    where = ["--data", str(documents), "--runs", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "groundup", "ladder", "--budget", "4e8", *where, *changes, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    names = ["LSTM", "Transformer", "GPT-2", "Llama", "Qwen3", "DeepSeek", "Mamba-2", "groundup"]
    assert [row["name"] for row in rows if row["curve"]] == names
    for plot in ("ladder-flops.svg", "ladder-seconds.svg"):
        text = (tmp_path / "ladder" / plot).read_text()
        assert all(name in text for name in names)
        assert "-gram" in text
