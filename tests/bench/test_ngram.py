"""The benchmark of n-gram models: the same probabilities as kenlm, before anything is timed."""

from pathlib import Path

import pytest

from groundup.bench.ngram import bench_ngram
from groundup.bench.result import OURS
from groundup.core.errors import InputError


def test_ours_and_kenlm_s_text_costs_the_same(source_files: list[str], tmp_path: Path) -> None:
    pytest.importorskip("kenlm")
    text = tmp_path / "text.txt"
    text.write_text("\n".join(source_files * 12), encoding="utf-8")
    rows = bench_ngram(text, quick=True)["rows"]
    nats = {row["subject"]: row["value"] for row in rows if row["metric"] == "nats per token"}
    assert nats.keys() == {OURS, "kenlm"}
    assert nats[OURS] == pytest.approx(nats["kenlm"], rel=1e-5)
    assert all(row["value"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"short", "is too short: 1,066,666 bytes"), (b"\xff" * 1_066_666, "is not UTF-8")],
)
def test_bad_input_is_one_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        bench_ngram(text, quick=True)
