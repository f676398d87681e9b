"""The encoding rates of `groundup bench tokenizer` as a drawing."""

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from groundup.bench.result import OURS

_OURS, _THEIRS = ("#0b7a70", "#7fc4bd"), ("#59626d", "#b9c0c7")  # warm, cold


def plot_rates(result: dict[str, Any], path: Path) -> None:
    """Bars of each library, first and later calls, a panel a pattern; written as SVG."""
    rates = {
        (row["case"], row["subject"], row["metric"]): row["value"]
        for row in result["rows"]
        if row["unit"] == "MB/s" and "an array, 1 thread" in row["case"]
    }
    cases = list(dict.fromkeys(case for case, _, _ in rates))
    with rc_context({"svg.fonttype": "none", "font.size": 11}):
        figure = Figure(figsize=(8, 3), layout="constrained")
        for place, case in enumerate(cases):
            axes = figure.add_subplot(1, len(cases), place + 1)
            names = list(dict.fromkeys(name for c, name, _ in rates if c == case))[::-1]
            for height, name in enumerate(names):
                warm, cold = _OURS if name == OURS else _THEIRS
                for metric, offset, color in (("warm", 0.2, warm), ("cold", -0.2, cold)):
                    value = rates[case, name, metric]
                    axes.barh(height + offset, value, 0.38, color=color)
                    axes.text(value, height + offset, f" {value:,.0f}", va="center", fontsize=9)
            axes.set_yticks(range(len(names)), names)
            axes.set_title(case.split(",")[0], loc="left", fontweight="bold")
            axes.set_xlabel("MB/s to a NumPy array, one thread")
            axes.margins(x=0.15)
            axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(
            "later calls (dark) and the first call (light)", fontsize=10, x=0.99, ha="right"
        )
        figure.savefig(path, format=path.suffix.lstrip(".") or "svg", facecolor="white")
