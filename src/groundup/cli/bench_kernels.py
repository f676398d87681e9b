"""`groundup bench kernels`."""

from pathlib import Path

import click

from groundup.cli.tell import tell


@click.command(
    epilog="""\b
Examples:
  groundup bench kernels --quick
  groundup bench kernels --device cpu --plot kernels.svg
  groundup bench kernels --device cuda --json > kernels.json
  groundup bench kernels --device cuda --only RMSNorm --only attention"""
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="cpu: those of the compiled core. cuda: those in Triton. auto: a GPU where there is one.",
)
@click.option("--quick", is_flag=True, help="Less, without the compiler: some seconds on a CPU.")
@click.option(
    "--only",
    metavar="WORD",
    multiple=True,
    help="On a GPU, operations with this in their names; repeatable.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw rates over sizes: an SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    device: str, quick: bool, only: tuple[str, ...], plot: Path | None, as_json: bool
) -> None:
    """Fused operations beside PyTorch's, its compiler's, and what the machine allows.

    On a GPU also beside Liger-Kernel's, where it is installed, with the memory that each takes.
    """
    from groundup.bench.kernels import bench_kernels
    from groundup.core.device import select_device

    chosen = select_device(device)
    if chosen.device.type == "cuda":
        from groundup.bench.gpu_case import FULL, QUICK
        from groundup.bench.gpu_kernels import bench_gpu_kernels

        result = bench_gpu_kernels(chosen, QUICK if quick else FULL, only)
    else:
        result = bench_kernels(quick=quick)
    if plot is not None:
        from groundup.bench.curves import plot_curves

        plot_curves(result, plot)
    tell(result, as_json)
