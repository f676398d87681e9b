import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.report.figures import Plot, alignment_plots, thin, tokenizer_plot, training_plots
from groundup.report.record import read_record


def _captions(plots: list[Plot]) -> dict[str, str]:
    return {plot.name: plot.caption for plot in plots}


def test_pretraining_shows_compression_loss_rate_and_throughput(base_run: Path) -> None:
    captions = _captions(training_plots(read_record(base_run)))
    assert list(captions) == ["compression", "loss", "learning-rate", "throughput"]
    assert "1.412 bits per byte" in captions["compression"]
    assert "gzip -9 1.958" in captions["compression"]
    assert "xz -9 1.664" in captions["compression"]
    assert "From 7.50 to 3.00 nats per token, over 41.0 k tokens" in captions["loss"]
    assert "8.19 k tokens per second" in captions["throughput"]  # 4,096 in each half second


def test_alignment_shows_scores_with_every_seed_and_their_curves(aligned_run: Path) -> None:
    captions = _captions(alignment_plots(read_record(aligned_run)))
    assert list(captions) == ["scores", "sft-loss", "grpo-score", "grpo-kl"]
    assert captions["scores"].startswith(
        "Base: 12 %; Fine-tuned: 50 %; GRPO, seed 0: 75 %; GRPO, seed 1: 75 %."
    )
    assert captions["grpo-kl"] == "At the end 0.050, 0.050, in the order of the seeds."


def test_a_run_without_alignment_has_no_such_figures(base_run: Path) -> None:
    assert alignment_plots(read_record(base_run)) == []


def test_a_run_without_metrics_has_no_curves(base_run: Path) -> None:
    assert training_plots(replace(read_record(base_run), pretrain=[])) == []


def test_values_that_were_not_finite_are_left_out_of_the_curve(base_run: Path) -> None:
    record = read_record(base_run)
    diverged = [{**line, "loss": None} if line["step"] > 8 else line for line in record.pretrain]
    captions = _captions(training_plots(replace(record, pretrain=diverged)))
    assert "From 7.50 to 4.00 nats" in captions["loss"]


def test_token_lengths_are_drawn_where_the_tokenizer_gives_them(
    aligned_run: Path, base_run: Path
) -> None:
    plot = tokenizer_plot(read_record(aligned_run))
    assert plot is not None
    assert plot.caption == "Most tokens have 2 bytes; the longest has 40."
    assert ">16+</text>" in plot.svg
    assert tokenizer_plot(read_record(base_run)) is None


@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.floats(-1e3, 1e3)), max_size=60), st.integers(1, 70)
)
def test_thinning_keeps_few_points_and_stays_within_the_curve(
    points: list[tuple[float, float]], most: int
) -> None:
    thinned = thin(points, most)
    assert len(thinned) <= most
    if len(points) <= most:
        assert thinned == points
    if points and len(points) % len(thinned) == 0:
        mean = statistics.fmean(y for _, y in points)
        assert statistics.fmean(y for _, y in thinned) == pytest.approx(mean, abs=1e-6)
