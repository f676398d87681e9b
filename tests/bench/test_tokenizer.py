"""The benchmark of tokenizers measures what it says, and compares ids."""

import json
from pathlib import Path

import pytest

from groundup.bench.plot import plot_rates
from groundup.bench.result import OURS
from groundup.bench.tokenizer import bench_tokenizer
from groundup.core.errors import InputError


@pytest.mark.slow  # a process for each library and task: 20 s
def test_every_library_gives_the_same_ids(source_files: list[str], tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(source_files * 30), encoding="utf-8")
    result = bench_tokenizer(text, quick=True)
    same = [row for row in result["rows"] if row["metric"] == "the same ids"]
    assert {OURS, "tiktoken"} <= {row["subject"] for row in same}
    assert {row["value"] for row in same} == {1.0}
    assert all(row["value"] > 0 for row in result["rows"] if row["unit"] == "MB/s")
    json.dumps(result)
    plot_rates(result, tmp_path / "plot.svg")
    assert "MB/s" in (tmp_path / "plot.svg").read_text()


def test_a_task_alone_is_measured(source_files: list[str], tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(source_files * 30), encoding="utf-8")
    result = bench_tokenizer(text, ["train"], quick=True)
    assert {row["case"].split(" ")[0] for row in result["rows"]} == {"training"}


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("too short")
    with pytest.raises(InputError, match="too short"):
        bench_tokenizer(text, quick=True)
    text.write_bytes(b"\xff" * 100)
    with pytest.raises(InputError, match="not UTF-8"):
        bench_tokenizer(text, quick=True)
