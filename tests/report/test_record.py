import re
import shutil
from pathlib import Path

import pytest

from groundup.core.errors import ArtifactError
from groundup.report.record import read_record


def test_a_record_holds_every_stage_of_the_run(aligned_run: Path) -> None:
    record = read_record(aligned_run)
    assert record.name == "aligned"
    assert record.config["budget"] == record.summary["budget"] == "9m"
    assert len(record.pretrain) == 11
    assert len(record.sft) == 5
    assert {seed: len(metrics) for seed, metrics in record.grpo.items()} == {0: 5, 1: 5}


def test_stages_that_the_run_lacks_are_empty(base_run: Path) -> None:
    record = read_record(base_run)
    assert record.pretrain
    assert not record.sft
    assert not record.grpo


def test_the_seeds_are_in_the_order_of_their_numbers(aligned_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(aligned_run, tmp_path / "run")
    for name in ("grpo-seed-10", "grpo-seed-2", "grpo-seed-3.partial"):
        (run / name).mkdir()
    assert list(read_record(run).grpo) == [0, 1, 2, 10]


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=re.escape(f"{tmp_path} holds no finished run")):
        read_record(tmp_path)


@pytest.mark.parametrize("damaged", ['{"run": ', "[1, 2]", "\xff"])
def test_a_damaged_summary_is_named(aligned_run: Path, tmp_path: Path, damaged: str) -> None:
    run = shutil.copytree(aligned_run, tmp_path / "run")
    (run / "summary.json").write_text(damaged, encoding="latin-1")
    with pytest.raises(ArtifactError, match=re.escape(str(run / "summary.json"))):
        read_record(run)
