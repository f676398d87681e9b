"""The benchmark of learning: both subjects see the same text, and are measured alike."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundup.bench.learn import bench_learn, learning_svg
from groundup.bench.plain_loop import PlainLoop, run
from groundup.bench.result import OURS
from groundup.core.errors import InputError
from groundup.recipes.experiment import ablation
from groundup.scaling.plan import decoder_of_size

TEXT = "the quick brown fox jumps over the lazy dog and does it again. " * 400


@pytest.mark.slow  # the peer has its own size
def test_the_curves_go_down_and_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    base = ablation()
    model = decoder_of_size(1, 64, context=32)
    recipe = replace(base, model=model, compile="no", pretrain=replace(base.pretrain, batch=2))
    result = bench_learn(text, [], seconds=6, characters=True, recipe=recipe)
    assert set(result["curves"]) >= {OURS}
    assert len(result["curves"]) == 4
    minutes = {r["case"].split()[0] for r in result["rows"] if r["subject"] == OURS}
    assert minutes == {"0.1", "0.0333"}
    assert result["curves"][OURS][0][-1][1] < math.log2(64)
    for (curve,) in result["curves"].values():
        assert [seconds for seconds, _ in curve] == sorted(seconds for seconds, _ in curve)
    nats = next(r for r in result["rows"] if r["metric"] == "nats per byte")["value"]
    assert nats == pytest.approx(result["curves"][OURS][0][-1][1] * math.log(2))
    assert "bits per byte" in learning_svg(result)
    json.dumps(result)


def test_ours_can_be_trained_alone(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    base = ablation()
    model = decoder_of_size(1, 64, context=32)
    recipe = replace(base, model=model, pretrain=replace(base.pretrain, batch=2))
    result = bench_learn(
        text, [], seconds=1, characters=True, recipe=replace(recipe, compile="no"), alone=True
    )
    assert list(result["curves"]) == [OURS]
    assert {r["subject"] for r in result["rows"]} == {OURS}
    assert "bits per byte" in learning_svg(result)


def test_the_peer_counts_every_token_once_and_in_bits(tmp_path: Path) -> None:
    """At a rate of zero it knows nothing: as many bits a token as an even guess takes, nearly."""
    pytest.importorskip("transformers")
    np.save(tmp_path / "train.npy", np.arange(1000) % 8)
    np.save(tmp_path / "held_out.npy", np.arange(1 + 150) % 8)
    (tmp_path / "bytes.json").write_text("75")
    loop = PlainLoop(
        vocab_size=8, width=16, depth=1, heads=1, context=64, batch=1, data=str(tmp_path), points=1
    )
    *_, last = run(replace(loop, seconds=1e-9))  # one step
    assert last["bits_per_byte"] == pytest.approx(150 * 3 / 75, rel=0.05)


@pytest.mark.parametrize(
    ("held_out", "message"), [(["b.txt"], "has no b.txt"), ([], "must hold text to train on")]
)
def test_a_folder_needs_its_held_out_files(
    tmp_path: Path, held_out: list[str], message: str
) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    with pytest.raises(InputError, match=message):
        bench_learn(tmp_path, held_out, seconds=1)
