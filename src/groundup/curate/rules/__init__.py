"""Rules of quality: numbers that a text has, and how little and how much of them is well."""

from groundup.curate.rules.basic import Basic
from groundup.curate.rules.c4 import C4
from groundup.curate.rules.code import Code
from groundup.curate.rules.fineweb import FineWeb
from groundup.curate.rules.gopher import Gopher, GopherRepetition
from groundup.curate.rules.rule import Limits
from groundup.curate.rules.rule_file import RuleFile

__all__ = ["C4", "Basic", "Code", "FineWeb", "Gopher", "GopherRepetition", "Limits", "RuleFile"]
