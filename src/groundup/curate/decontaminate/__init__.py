"""Examples of evaluations, out of a corpus: read them, find them in documents, leave these out."""
