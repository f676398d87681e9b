"""Curation on a Ray cluster of several nodes, which are processes of this machine."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from groundup.curate.curation import Curation, run_curation
from groundup.curate.duplicates.steps import ExactDuplicates, NearDuplicates
from groundup.curate.engines.local import Local
from groundup.curate.engines.ray import Ray
from groundup.curate.normalize import Normalize
from groundup.curate.sources import open_source
from groundup.curate.step import Task

pytest.importorskip("ray", reason="the extra ray is not installed")

QUIET = Console(quiet=True)
RECIPE = Curation(steps=(Normalize(), ExactDuplicates(), NearDuplicates()), shard_bytes=2 << 20)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from ray.cluster_utils import Cluster

    handler = signal.getsignal(signal.SIGTERM)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    signal.signal(signal.SIGTERM, handler)  # a node has its own
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()
    signal.signal(signal.SIGTERM, handler)


def write_node(folder: Path, number: int) -> None:
    import ray

    (folder / str(number)).write_text(ray.get_runtime_context().get_node_id())


def skip_notes(amount: float = 1, note: str = "") -> None:
    """No progress is looked at."""


def test_the_same_bytes_as_in_one_process(tmp_path, address):
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    handler = signal.getsignal(signal.SIGTERM)
    with Ray(address) as engine:
        run_curation(RECIPE, open_source("stdlib"), "stdlib", tmp_path / "ray", engine, QUIET)
        engine.run([Task(write_node, (nodes, n)) for n in range(30)], skip_notes)
    assert signal.getsignal(signal.SIGTERM) is handler
    assert len({path.read_text() for path in nodes.iterdir()}) == 2
    run_curation(RECIPE, open_source("stdlib"), "stdlib", tmp_path / "one", Local(1), QUIET)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*")]
    assert len(files) > 40
    for file in files:
        if (tmp_path / "one" / file).is_file() and file.name != ".lock":
            assert (tmp_path / "ray" / file).read_bytes() == (tmp_path / "one" / file).read_bytes()
