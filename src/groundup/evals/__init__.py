"""Evaluation: how well text is predicted, and how often a verifier is satisfied."""

from groundup.evals.compression import gzip_bits_per_byte, xz_bits_per_byte
from groundup.evals.measure import Request, documents_within, measure_answers, measure_text
from groundup.evals.verified import VerifiedShare, answer, verified_share

__all__ = [
    "Request",
    "VerifiedShare",
    "answer",
    "documents_within",
    "gzip_bits_per_byte",
    "measure_answers",
    "measure_text",
    "verified_share",
    "xz_bits_per_byte",
]
