"""The benchmark of models compares like with like."""

import pytest

from groundup.bench.models import bench_models
from groundup.bench.result import OURS
from groundup.core.errors import InputError


@pytest.mark.slow
def test_a_family_is_timed_beside_transformers_once_the_logits_agree() -> None:
    pytest.importorskip("transformers")
    result = bench_models(["Qwen3"], quick=True)
    assert {row["case"] for row in result["rows"]} == {"Qwen3, eager"}
    assert {row["subject"] for row in result["rows"]} == {OURS, "transformers"}
    assert all(row["value"] > 0 and row["unit"] == "tokens/s" for row in result["rows"])
    assert result["versions"].keys() >= {"torch", "transformers"}


def test_an_unknown_family_is_one_sentence() -> None:
    with pytest.raises(InputError, match="no family 'Bloom' here: choose of GPT-2, "):
        bench_models(["Bloom"], quick=True)
