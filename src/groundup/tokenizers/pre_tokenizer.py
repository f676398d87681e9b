"""How a `tokenizer.json` cuts text, as a pattern of ours, and back."""

from typing import Any

from groundup.core.errors import ArtifactError
from groundup.tokenizers.patterns import PATTERNS
from groundup.tokenizers.split import Pattern

_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def pattern_of(pre_tokenizer: dict[str, Any] | None) -> Pattern:
    """The pattern: a name in `PATTERNS` where the file has just that one, else its expressions.

    Raises `ArtifactError` for steps that do more than cut.
    """
    if pre_tokenizer is None:
        raise ArtifactError("it has no pre_tokenizer: only byte-level BPE is supported.")
    steps = [pre_tokenizer]
    if pre_tokenizer["type"] == "Sequence":
        steps = pre_tokenizer["pretokenizers"]
    expressions = tuple(expression for step in steps for expression in _expressions(step))
    if steps[-1]["type"] != "ByteLevel":
        raise ArtifactError("its pre_tokenizer does not end in bytes: it is not supported.")
    for name, known in PATTERNS.items():
        if expressions == (known,):
            return name
    return expressions


def pre_tokenizer_of(pattern: Pattern) -> dict[str, Any]:
    """The steps that cut as `pattern` does, then bytes."""
    if pattern == "gpt2":  # which the format knows by itself, and other readers only so
        return {**_BYTES, "use_regex": True}
    expressions = (PATTERNS.get(pattern, pattern),) if isinstance(pattern, str) else pattern
    splits = [
        {
            "type": "Split",
            "pattern": {"Regex": expression},
            "behavior": "Isolated",
            "invert": False,
        }
        for expression in expressions
    ]
    return {"type": "Sequence", "pretokenizers": [*splits, _BYTES]} if splits else _BYTES


def _expressions(step: dict[str, Any]) -> list[str]:
    kind = step["type"]
    if kind == "ByteLevel" and not step.get("add_prefix_space"):
        return [PATTERNS["gpt2"]] if step.get("use_regex", True) else []
    if kind == "Digits":
        return [r"\p{N}" if step["individual_digits"] else r"\p{N}+"]
    if kind == "Split" and "Regex" in step["pattern"]:
        expression = step["pattern"]["Regex"]
        cuts = (step["behavior"], step["invert"])
        # to remove all but the matches of a pattern that covers any text is to keep them
        if cuts == ("Isolated", False) or (
            cuts == ("Removed", True) and expression in PATTERNS.values()
        ):
            return [expression]
    raise ArtifactError(f"its pre_tokenizer has a step {step} that is not supported.")
