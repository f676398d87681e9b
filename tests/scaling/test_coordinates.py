"""Widening keeps proportions; the rule for rates is the papers'; the check tells it from none."""

import dataclasses

import pytest
import torch

from groundup.core.device import Device
from groundup.models import Decoder
from groundup.models.flops import matrix_parameters
from groundup.optim import AdamW, ByRole, Lion, Muon, Schedule
from groundup.report.coordinates import coordinates_svg, print_coordinates
from groundup.scaling.coordinates import coordinate_check
from groundup.scaling.plan import decoder_of_size
from groundup.scaling.transfer import transferred, widened
from groundup.train import Pretrain

CPU = Device(torch.device("cpu"), torch.float32)
MODEL = dataclasses.replace(
    decoder_of_size(1, 64, context=16),
    width=16,
    attention=dataclasses.replace(decoder_of_size(1, 64).attention, head_width=16),
    mlp=dataclasses.replace(decoder_of_size(1, 64).mlp, hidden=32),
)
ALL = ByRole(matrices=AdamW(lr=0.01), embedding=AdamW(lr=0.01), rest=AdamW(lr=0.01))
CONFIG = Pretrain(steps=1, batch=4, optimizer=ALL, schedule=Schedule(kind="constant", warmup=0.0))


def blocks(model: Decoder) -> int:
    return matrix_parameters(model) - model.width * model.vocab_size


def test_twice_the_width_is_four_times_the_weights_of_the_blocks() -> None:
    wide = widened(MODEL, 2)
    assert wide.width == 32
    assert blocks(wide) == 4 * blocks(MODEL)
    assert wide.attention.heads == 2 * MODEL.attention.heads


def test_rates_fall_as_the_papers_say() -> None:
    rates = {
        name: transferred(dataclasses.replace(ALL, matrices=matrices), 4, "mup")
        for name, matrices in (
            ("adam", AdamW(lr=1.0)),
            ("muon", Muon(lr=1.0)),
            ("lion", Lion(lr=1.0)),
        )
    }
    assert {name: rate.matrices.lr for name, rate in rates.items()} == {
        "adam": 0.25,
        "muon": 0.5,
        "lion": 0.25,
    }
    assert rates["adam"].embedding.lr == 0.01
    assert rates["adam"].rest.lr == 0.01 / 4
    assert transferred(ALL, 4, "fixed") == ALL
    assert transferred(ALL, 4, "sqrt").embedding.lr == 0.005


def test_the_check_tells_a_rule_that_transfers_from_one_that_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With Adam at one rate for all widths the logits change the more the wider the model is."""
    slopes = {}
    for rule in ("fixed", "mup"):
        result = coordinate_check(CONFIG, MODEL, CPU, (1, 2, 4, 8), rule=rule, steps_done=4)
        slopes[rule] = {part["part"]: part["slope"] for part in result["parts"]}
    assert slopes["fixed"]["logits"] > 0.5
    assert abs(slopes["mup"]["logits"]) < 0.25
    assert abs(slopes["mup"]["embedding"]) < 0.1
    print_coordinates(result)
    assert "embedding" in capsys.readouterr().out
    assert "slopes" in coordinates_svg(result)


def test_one_width_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="at least two"):
        coordinate_check(CONFIG, MODEL, CPU, (2, 2), rule="mup", steps_done=1)
