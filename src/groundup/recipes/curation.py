"""Recipes of curation: which steps make a corpus of which kind of source."""

from groundup.curate.curation import Curation
from groundup.curate.duplicates.steps import ExactDuplicates, NearDuplicates
from groundup.curate.language.step import Language
from groundup.curate.normalize import Normalize
from groundup.curate.privacy.mask import Mask
from groundup.curate.rules import C4, Basic, Code, FineWeb, Gopher, GopherRepetition


def basic() -> Curation:
    """For documents of any kind that somebody chose: one spelling, moderate rules, one of each."""
    return Curation(steps=(Normalize(), Basic(), ExactDuplicates(), NearDuplicates()))


def web() -> Curation:
    """For English pages of a crawl, as FineWeb was made (Penedo et al. 2024, section 3): C4's rules
    but for that of punctuation at a line's end, which drops more than it is worth."""
    return Curation(
        steps=(
            Normalize(),
            ExactDuplicates(),  # first: it is cheap, and a quarter of a crawl
            Language(),
            GopherRepetition(),
            Gopher(),
            C4(terminal_punctuation=False),
            FineWeb(),
            NearDuplicates(),
            Mask(),
        )
    )


def code() -> Curation:
    """For source files."""
    return Curation(steps=(Normalize(), Code(), ExactDuplicates(), NearDuplicates()))


def curations() -> dict[str, Curation]:
    """What `groundup curate run` knows by name."""
    return {"basic": basic(), "web": web(), "code": code()}
