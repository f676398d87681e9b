"""Fused operations in Triton, each beside a plain PyTorch reference of the same signature.

Nothing here is imported where Triton is not installed: PyTorch's builds for CUDA bring it along.
"""
