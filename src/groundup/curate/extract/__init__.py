"""The text of a web page: what it says, without what stands round it."""

from groundup.curate.extract.choice import extractor_of
from groundup.curate.extract.decoding import decode_page
from groundup.curate.extract.extractor import Extractor, default_extractor, load_extractor

__all__ = ["Extractor", "decode_page", "default_extractor", "extractor_of", "load_extractor"]
