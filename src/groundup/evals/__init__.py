"""Evaluation: how well text is predicted, and how often a verifier is satisfied."""

from groundup.evals.compression import gzip_bits_per_byte, xz_bits_per_byte
from groundup.evals.verified import VerifiedShare, answer, verified_share

__all__ = ["VerifiedShare", "answer", "gzip_bits_per_byte", "verified_share", "xz_bits_per_byte"]
