"""Which language a document is in, and the step that keeps some languages."""

from groundup.curate.language.identifier import Identifier, load_identifier
from groundup.curate.language.step import Language

__all__ = ["Identifier", "Language", "load_identifier"]
