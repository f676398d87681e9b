"""The steps that a recipe may have."""

from groundup.curate.classify.step import Classify
from groundup.curate.decontaminate.step import Decontaminate
from groundup.curate.duplicates.lines import RepeatedLines
from groundup.curate.duplicates.steps import ExactDuplicates, NearDuplicates
from groundup.curate.functions import Call, Score
from groundup.curate.language.step import Language
from groundup.curate.normalize import Normalize
from groundup.curate.perplexity.step import Perplexity
from groundup.curate.privacy.mask import Mask
from groundup.curate.rules import C4, Basic, Code, FineWeb, Gopher, GopherRepetition, RuleFile

StreamStep = (
    Normalize
    | Language
    | Basic
    | C4
    | Code
    | FineWeb
    | Gopher
    | GopherRepetition
    | RuleFile
    | Classify
    | Perplexity
    | Score
    | Call
    | Mask
    | ExactDuplicates
)
"""Those that documents can pass in one stream."""

AnyStep = StreamStep | NearDuplicates | RepeatedLines | Decontaminate
