"""Masks for personal data: what is found by its form, and replaced."""

from groundup.curate.privacy.detector import Detector
from groundup.curate.privacy.detectors import DETECTORS, KINDS
from groundup.curate.privacy.finder import Finder
from groundup.curate.privacy.mask import Mask

__all__ = ["DETECTORS", "KINDS", "Detector", "Finder", "Mask"]
