"""Documents in, documents out: read, normalise, filter, deduplicate, split."""

from groundup.curate.corpus import Curate, curate
from groundup.curate.document import Document, read_corpus
from groundup.curate.sources import NAMED, Source, open_source

__all__ = ["NAMED", "Curate", "Document", "Source", "curate", "open_source", "read_corpus"]
