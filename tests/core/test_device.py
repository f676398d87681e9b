"""Devices and formats are chosen once, as asked."""

import os

import pytest
import torch

from groundup.core.device import select_device, tune_cpu
from groundup.core.errors import InputError


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_asked_for_is_what_matrix_products_use(dtype: str) -> None:
    device = select_device("cpu", dtype)
    with device.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert str(product.dtype) == f"torch.{dtype}"


def test_auto_is_bfloat16_only_where_the_processor_multiplies_it() -> None:
    device = select_device("cpu")
    units = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    assert device.compute_dtype == (torch.bfloat16 if units else torch.float32)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_where_there_is_none_is_refused_in_one_sentence() -> None:
    with pytest.raises(InputError, match="cuda needs a GPU that CUDA knows, and there is none"):
        select_device("cuda")


def test_threads_follow_the_processors_that_the_process_may_use() -> None:
    before = torch.get_num_threads()
    try:
        tune_cpu()
        if hasattr(os, "sched_getaffinity"):
            assert torch.get_num_threads() == len(os.sched_getaffinity(0))
        tune_cpu(threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
