"""The steps that a recipe may have."""

from groundup.curate.duplicates.steps import ExactDuplicates, NearDuplicates
from groundup.curate.normalize import Normalize
from groundup.curate.rules import C4, Basic, Code, FineWeb, Gopher, GopherRepetition, RuleFile

StreamStep = (
    Normalize | Basic | C4 | Code | FineWeb | Gopher | GopherRepetition | RuleFile | ExactDuplicates
)
"""Those that documents can pass in one stream."""

AnyStep = StreamStep | NearDuplicates
