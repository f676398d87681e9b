"""Tensors in a file: what was written is what another reader of the format finds."""

import errno
import resource
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from groundup.core.files import write_bytes
from groundup.core.metrics import MetricsWriter
from groundup.core.tensors import write_tensors


def test_a_round_trip(tmp_path: Path) -> None:
    table = torch.arange(12).view(3, 4)
    write_tensors(tmp_path / "a", {"x": table.T, "y": torch.ones(2)}, {"step": "7"})
    with safe_open(tmp_path / "a", "pt") as file:
        assert torch.equal(file.get_tensor("x"), table.T)
        assert torch.equal(file.get_tensor("y"), torch.ones(2))
        assert file.metadata() == {"step": "7"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("kind", ["tensors", "bytes", "metrics"])
def test_a_lack_of_room_names_the_file_and_leaves_it_as_it_was(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"

    def write() -> None:
        if kind == "tensors":
            write_tensors(path, {"x": torch.zeros(10_000)})
        elif kind == "bytes":
            write_bytes(path, bytes(10_000))
        else:
            with MetricsWriter(path) as writer:
                writer.write(text="x" * 10_000)

    path.write_bytes(b"")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as raised:
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.errno == errno.EFBIG
    assert raised.value.filename == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert path.stat().st_size <= 4096
