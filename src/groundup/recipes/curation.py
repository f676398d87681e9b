"""Recipes of curation: which steps make a corpus of which kind of source."""

from groundup.curate.curation import Curation
from groundup.curate.duplicates.steps import ExactDuplicates, NearDuplicates
from groundup.curate.normalize import Normalize


def basic() -> Curation:
    """For any source: one spelling, and one of each document."""
    return Curation(steps=(Normalize(), ExactDuplicates(), NearDuplicates()))


def curations() -> dict[str, Curation]:
    """What `groundup curate run` knows by name."""
    return {"basic": basic()}
