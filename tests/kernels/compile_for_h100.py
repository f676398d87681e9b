"""Compiles every kernel for an H100, as a call of its function would, on a machine without a GPU.

A program of its own, since Triton either compiles or interprets. Writes a line for each kernel: its
name, the bytes of shared memory of a program, and how many products go to matrix units.
"""

from typing import Any

import torch
from torch import Tensor
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from groundup.kernels.attention import attention
from groundup.kernels.grouped import grouped_linear
from groundup.kernels.linear_cross_entropy import linear_cross_entropy
from groundup.kernels.matvec import matvec
from groundup.kernels.paged_attention import PagedAttention
from groundup.kernels.rms_norm import add_rms_norm
from groundup.kernels.rotary import rotate
from groundup.kernels.swiglu import silu_gate
from groundup.kernels.take_in import Kept, Places, TokenHeads


class H100:
    """What the compiler asks of a GPU's driver."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _: int) -> int:
        return 0


def compile_only() -> None:
    """Launches compile, and do not run; tensors on a CPU may be given to them."""
    run = JITFunction.run

    def compiled(kernel: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> None:  # noqa: ARG001
        binary: Any = run(kernel, *arguments, grid=grid, warmup=True, **options)
        name = f"{kernel.fn.__module__.removeprefix('groundup.kernels.')}.{kernel.fn.__name__}"
        print(name, binary.metadata.shared, binary.asm["ptx"].count("wgmma.mma_async"))

    JITFunction.run = compiled  # pyright: ignore[reportAttributeAccessIssue]
    driver.set_active(H100())  # pyright: ignore[reportArgumentType]
    knobs.runtime.interpret = True  # so far as `check_device` is concerned


def leaf(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.bfloat16, requires_grad=True)


def main() -> None:
    compile_only()
    angle = torch.zeros(64, 32)
    targets = torch.zeros(64, dtype=torch.int64)
    q, k, v = (leaf(1, 64, heads, 128).transpose(1, 2) for heads in (4, 2, 2))
    documents = torch.zeros(1, 64, dtype=torch.int32)
    results = [
        *add_rms_norm(leaf(64, 1024), leaf(64, 1024), leaf(1024), impl="triton"),
        silu_gate(leaf(64, 1024), leaf(64, 1024), impl="triton"),
        rotate(leaf(2, 64, 4, 128), angle, angle, interleaved=True, impl="triton"),
        rotate(leaf(2, 64, 4, 128), angle, angle, interleaved=False, impl="triton"),
        linear_cross_entropy(leaf(64, 64), leaf(1000, 64), targets, softcap=30.0, impl="triton"),
        grouped_linear(leaf(64, 64), leaf(4, 128, 64), torch.tensor([16] * 4), impl="triton"),
        attention(q, k, v, scale=0.1, window=32, documents=documents, impl="triton"),
    ]
    tables, ends = torch.zeros(8, 4, dtype=torch.int32), torch.ones(8, dtype=torch.int64)
    pool = leaf(64, 2, 128).detach()
    PagedAttention(tables, ends * 0, ends, impl="triton")(
        leaf(8, 4, 128).detach(), pool, pool, scale=0.1
    )
    for shape in ((64, 1, 576), (64, 2, 256)):  # latent attention's one head, and a wide one
        wide = leaf(*shape).detach()
        values = wide[..., :512] if shape[1] == 1 else wide
        PagedAttention(tables, ends * 0, ends, impl="triton")(
            leaf(8, 4, shape[2]).detach(), wide, values, scale=0.1
        )
    matvec(leaf(1, 2048).detach(), leaf(64, 2048).detach(), impl="triton")
    numbers, slots = torch.zeros(128), torch.zeros(8, dtype=torch.int64)
    heads = TokenHeads(
        4, 2, 128, weights=(numbers, numbers), eps=1e-6, shares=(numbers[:2], numbers[:2])
    )
    places, newest = Places(slots, (angle[:8], angle[:8]), slots), leaf(4, 4, 128).detach()
    heads.take_in(leaf(8, 8 * 128).detach(), places, Kept(pool, pool, newest))
    torch.stack([y.float().sum() for y in results]).sum().backward()


if __name__ == "__main__":
    main()
