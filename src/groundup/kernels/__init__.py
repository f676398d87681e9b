"""Fused operations: for a GPU in Triton, each beside a plain PyTorch reference of its signature;
for a CPU in the compiled core (`kernels.cpu`).

Triton is not imported before one of its kernels is: PyTorch's builds for CUDA bring it along.
"""
