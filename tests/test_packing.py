"""Sources as token shards: every document where it belongs, and shares that a training keeps."""

import contextlib
import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from tests.interrupted import Interrupted

from groundup.cli import cli
from groundup.core.config import apply_overrides, from_dict
from groundup.core.errors import ArtifactError, ConfigError, InputError
from groundup.curate.copies import Copies
from groundup.curate.engines.local import Local
from groundup.data.mixture import Mixture
from groundup.data.shards import TokenShards
from groundup.experiments import Variant, compare
from groundup.infer.load import load_run
from groundup.packing import PackedSource, Packing, open_packed, run_packing
from groundup.recipes.experiment import experiments
from groundup.tokenizers import BPE, save_tokenizer
from groundup.training import run_training

TOKENIZER = BPE.learned([(97, 98)], "gpt2", ["<|endoftext|>"])
QUIET = Console(quiet=True)


@pytest.fixture
def config(tmp_path: Path) -> Packing:
    """Two sources of several files, with scores."""
    for name, files in (("web", 5), ("code", 3)):
        (tmp_path / name).mkdir()
        for file in range(files):
            lines = [
                json.dumps({"text": f"{name} {file} {n} " + "ab" * n, "metadata": {"score": n % 3}})
                for n in range(40)
            ]
            (tmp_path / name / f"{file}.jsonl").write_text("\n".join(["not JSON", *lines]))
    save_tokenizer(tmp_path / "tokenizer.json", TOKENIZER)
    return Packing(
        sources=tuple(PackedSource(data=str(tmp_path / n), name=n) for n in ("web", "code")),
        tokenizer=str(tmp_path / "tokenizer.json"),
        validation_share=0.2,
        shard_bytes=1,
    )


def run(config: Packing, to: Path, engine: Any = None) -> dict[str, Any]:
    return dict(run_packing(config, to, engine or Local(1), QUIET).facts)


def texts_of(folder: Path) -> list[str]:
    shards = TokenShards(folder, TOKENIZER.fingerprint)
    whole = TOKENIZER.decode(shards.read(0, len(shards)))
    return whole.split("<|endoftext|>")[:-1]


def contents(run: Path) -> dict[str, bytes]:
    found = [path for path in run.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(run)): path.read_bytes() for path in found}


def test_each_document_is_on_one_side(config: Packing, tmp_path: Path) -> None:
    facts = run(config, tmp_path / "out")
    sides = {name: texts_of(tmp_path / "out" / "train" / name) for name in ("web", "code")}
    held_out = texts_of(tmp_path / "out" / "validation")
    for name, files in (("web", 5), ("code", 3)):
        there = [f"{name} {f} {n} " + "ab" * n for f in range(files) for n in range(40)]
        assert [text for text in there if text not in held_out] == sides[name]
    assert 0.1 < len(held_out) / 320 < 0.3  # four deviations
    for row in facts["sources"]:
        side = sides[row["name"]]
        assert row["documents"] == {"web": 200, "code": 120}[row["name"]]
        assert row["unreadable"] == {"web": 5, "code": 3}[row["name"]]
        assert row["copies"] == len(side) == row["documents"] - row["held_out"]
        assert row["bytes"] == sum(len(text) for text in side)
        assert row["tokens"] == sum(len(TOKENIZER.encode(text)) + 1 for text in side)
        assert row["gives"] == pytest.approx(row["tokens"])
        assert row["epochs"] == pytest.approx(1)
    assert facts["validation"]["documents"] == len(held_out)
    assert facts["tokens"] == sum(row["tokens"] for row in facts["sources"])


def test_processes_and_parts_make_no_difference(config: Packing, tmp_path: Path) -> None:
    run(config, tmp_path / "one")
    with Local(2) as engine:
        run(config, tmp_path / "two", engine)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    whole = replace(config, shard_bytes=10**9)
    run(whole, tmp_path / "whole")
    for folder in ("train/web", "train/code", "validation"):
        assert texts_of(tmp_path / "whole" / folder) == texts_of(tmp_path / "one" / folder)


def test_a_run_that_was_cut_off_goes_on_to_the_same_bytes(config: Packing, tmp_path: Path) -> None:
    run(config, tmp_path / "whole")
    for tasks in (2, 3, 0):
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path / "cut", Interrupted(tasks))
    torn = tmp_path / "cut" / "work" / "code" / "00001"  # of a task that was killed
    torn.mkdir(parents=True)
    (torn / "tokens-00000.bin").write_text("half of")
    run(config, tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert not (tmp_path / "cut" / "work").exists()


def test_a_run_that_was_cut_off_at_its_very_end_is_finished(
    config: Packing, tmp_path: Path
) -> None:
    """When all is written, but the manifest, and what was needed for it is half gone."""
    run(config, tmp_path / "whole")
    run(config, tmp_path / "cut")
    (tmp_path / "cut" / "manifest.json").unlink()
    left = tmp_path / "cut" / "work" / "code" / "00001"
    left.mkdir(parents=True)
    (left / "facts.json").write_text("{}")
    run(config, tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_documents_occur_as_often_as_their_score_says(config: Packing, tmp_path: Path) -> None:
    copies = Copies(field="score", scores=(0, 2), copies=(0, 2.5))
    web = replace(config.sources[0], copies=copies)
    facts = run(replace(config, sources=(web, config.sources[1])), tmp_path / "out")
    run(config, tmp_path / "plain")
    assert texts_of(tmp_path / "out" / "validation") == texts_of(tmp_path / "plain" / "validation")
    texts = texts_of(tmp_path / "out" / "train" / "web")
    counts = Counter(texts)
    by_score: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for text in texts_of(tmp_path / "plain" / "train" / "web"):
        by_score[int(text.split()[2]) % 3].add(counts[text])
    assert by_score == {0: {0}, 1: {1, 2}, 2: {2, 3}}
    assert all(a != b for a, b in itertools.pairwise(texts))
    assert facts["sources"][0]["copies"] == len(texts)


@pytest.mark.parametrize(
    ("web", "code", "more", "shares"),
    [
        ({"weight": 3}, {"weight": 1}, {}, [3 / 4, 1 / 4]),
        ({"epochs": 1}, {"epochs": 2}, {}, None),
        ({}, {}, {"temperature": 1e9, "tokens": 1000}, [1 / 2, 1 / 2]),
        ({"weight": 1}, {"weight": 99}, {"max_epochs": 1.5}, None),
    ],
)
def test_shares_are_those_asked_for_and_a_training_keeps_them(
    config: Packing,
    tmp_path: Path,
    web: dict[str, float],
    code: dict[str, float],
    more: dict[str, Any],
    shares: list[float] | None,
) -> None:
    sources = (replace(config.sources[0], **web), replace(config.sources[1], **code))
    facts = run(replace(config, sources=sources, **more), tmp_path / "out")
    sizes = [row["tokens"] for row in facts["sources"]]
    if "epochs" in web:
        assert [row["epochs"] for row in facts["sources"]] == pytest.approx([1, 2])
        assert facts["tokens"] == sizes[0] + 2 * sizes[1]
    if "max_epochs" in more:  # the second is full, the first gives the rest
        assert facts["sources"][1]["epochs"] == 1.5
        assert sum(row["gives"] for row in facts["sources"]) == pytest.approx(sum(sizes))
    found = [row["share"] for row in facts["sources"]]
    assert shares is None or found == pytest.approx(shares)

    packed = open_packed(tmp_path / "out")
    samples = Mixture(sources=tuple(packed.train), context=8, seed=0)
    places = samples.locate(np.arange(2000))
    taken = [sum(shards is s.shards for shards, _ in places) / 2000 for s in packed.train]
    assert taken == pytest.approx(found, abs=2e-3)


def test_a_training_reads_what_was_packed(config: Packing, tmp_path: Path) -> None:
    run(config, tmp_path / "packed")
    small = ["compile=no", "dtype=float32", "model.context=16", "model.width=32", "model.depth=1"]
    small += ["model.attention.heads=2", "model.attention.kv_heads=1", "model.mlp.hidden=48"]
    small += ["model.attention.head_width=16", "pretrain.batch=2", "budget=1e8"]
    small += ["evaluation.stride=16", "evaluation.max_bytes=2000", "pretrain.validations=1"]
    base = apply_overrides(experiments()["ablation"], [*small, f"data={tmp_path / 'packed'}"])
    result = run_training(base, tmp_path / "trained", QUIET)
    assert result["bits_per_byte"] > 0
    model, tokenizer, _ = load_run(tmp_path / "trained")
    assert tokenizer.fingerprint == TOKENIZER.fingerprint
    assert model.config.vocab_size == TOKENIZER.vocab_size


def test_what_cannot_be_packed_is_told(config: Packing, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no special token <\|end\|>.*<\|endoftext\|>"):
        run(replace(config, end_of_text="<|end|>"), tmp_path / "out")
    with pytest.raises(InputError, match="there is no tokenizer nowhere"):
        run(replace(config, tokenizer="nowhere"), tmp_path / "out")
    with pytest.raises(InputError, match="none of 320 documents is held out"):
        run(replace(config, validation_share=1e-9), tmp_path / "a")
    with pytest.raises(InputError, match="4 epochs of them are less than 1,000,000"):
        run(replace(config, tokens=10**6), tmp_path / "b")
    light = (replace(config.sources[0], weight=1e-6), replace(config.sources[1], weight=1))
    with pytest.raises(InputError, match="web would give less than a 10,000th"):
        run(replace(config, sources=light, max_epochs=9), tmp_path / "c")
    none = replace(config.sources[0], copies=Copies(field="score", scores=(0,), copies=(0,)))
    with pytest.raises(InputError, match="web has no document to train on"):
        run(replace(config, sources=(none,)), tmp_path / "d")


def test_other_settings_and_other_documents_are_refused(config: Packing, tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        run(config, tmp_path / "out", Interrupted(1))
    with pytest.raises(ConfigError, match="made with another seed"):
        run(replace(config, seed=1), tmp_path / "out")
    (tmp_path / "web" / "more.txt").write_text("more")
    with pytest.raises(ArtifactError, match="made of other documents"):
        run(config, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sources": []}, "at least one source"),
        ({"sources": [{"data": "x", "name": "a"}] * 2}, "a name of its own"),
        ({"sources": [{"data": "x", "name": "a/b"}]}, "that of a folder"),
        ({"sources": [{"data": "x", "name": "a", "weight": 0}]}, "weights and epochs are above 0"),
        (
            {"sources": [{"data": "x", "name": "a", "weight": 1}, {"data": "x", "name": "b"}]},
            "all sources have weight, or none",
        ),
        ({"sources": [{"data": "x", "name": "a", "weight": 1, "epochs": 1}]}, "not both"),
        ({"temperature": 0}, "above 0"),
        ({"validation_share": 0}, "above 0"),
    ],
)
def test_a_config_that_cannot_be_is_refused(change: dict[str, Any], sentence: str) -> None:
    base = {"sources": [{"data": "x", "name": "a"}], "tokenizer": "x"}
    with pytest.raises(ConfigError, match=sentence):
        from_dict(Packing, {**base, **change})


def test_the_command_packs_and_says_what(config: Packing, tmp_path: Path) -> None:
    def pack(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["data", "pack", "--runs", str(tmp_path), *arguments])

    data = [f"--data={source.name}={source.data}" for source in config.sources]
    more = ["--tokenizer", config.tokenizer, "--set", "validation_share=0.2", "--workers", "1"]
    done = pack(*data, *more, "--json")
    assert done.exit_code == 0
    assert [row["name"] for row in json.loads(done.stdout)["sources"]] == ["web", "code"]
    saved = str(tmp_path / "packed" / "config.json")
    done = pack(saved, "--workers", "1")
    assert "web: 5 that could not be read were left out." in done.stdout
    assert f"groundup train llama --data {tmp_path / 'packed'}" in done.stdout
    for wrong in ([], [saved, *data], ["--data", "x", "--tokenizer", "y"]):
        assert pack(*wrong).exit_code == 2
    assert isinstance(pack("nowhere").exception, InputError)


def test_n_grams_count_no_mixture(config: Packing, tmp_path: Path) -> None:
    run(config, tmp_path / "packed")
    base = apply_overrides(experiments()["ablation"], [f"data={tmp_path / 'packed'}"])
    variant = Variant(name="base", experiment=base)
    with pytest.raises(InputError, match="n-gram models count one corpus, and no mixture"):
        compare([variant], tmp_path / "compared", seeds=1, console=QUIET, ngrams=True)
