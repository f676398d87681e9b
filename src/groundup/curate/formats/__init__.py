"""Kinds of files, one each: how documents are read from them."""
