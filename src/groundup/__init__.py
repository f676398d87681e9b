"""groundup: raw documents in, an aligned and served language model out, every stage readable."""

__version__ = "0.1.0"
