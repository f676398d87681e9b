"""Texts of a given form: regular expressions, JSON, JSON Schema, as masks over tokens."""

from groundup.infer.grammar.known import Grammars
from groundup.infer.grammar.tokens import TokenBytes, TokenGrammar

__all__ = ["Grammars", "TokenBytes", "TokenGrammar"]
