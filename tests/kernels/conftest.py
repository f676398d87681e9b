"""Triton's interpreter, mended where it computes with bfloat16 otherwise than a GPU."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.kernels.oracle import ON_GPU


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a GPU these are its tests, as nothing is interpreted there."""
    for item in items:
        if ON_GPU and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.gpu)
            # of a thread that computes gradients for the first time
            item.add_marker(pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"))


@pytest.fixture(autouse=True, scope="session")
def bfloat16_of_a_gpu() -> Iterator[None]:
    """Triton 3.7 cuts a number off where a GPU rounds it to the nearest, and multiplies matrices as
    if their bits were integers."""
    if find_spec("triton") is None:
        yield
        return
    from triton import language
    from triton.runtime import interpreter

    convert, dot = interpreter._convert_float, interpreter.InterpreterBuilder.create_dot
    narrow, wide = language.bfloat16, language.float32

    def rounded(x: np.ndarray, source: Any, target: Any, mode: Any) -> np.ndarray:
        if (source, target) != (wide, narrow):
            return convert(x, source, target, mode)
        nearest = torch.from_numpy(np.ascontiguousarray(x)).bfloat16()
        return nearest.view(torch.uint16).numpy()

    def widened(x: Any) -> Any:
        if x.dtype.scalar != narrow:
            return x
        numbers = convert(x.data, narrow, wide, None).view(np.float32)
        return interpreter.TensorHandle(numbers, wide)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "_convert_float", rounded)
        patch.setattr(
            interpreter.InterpreterBuilder,
            "create_dot",
            lambda self, a, b, *rest: dot(self, widened(a), widened(b), *rest),
        )
        yield
