"""The model card of an exported model: what it was made of, with what, how good it is, and how to
make it again. With the weights alone a model is open-weight; with this it is open-source.
"""

from collections.abc import Mapping
from typing import Any

from groundup.report.templates import load_template

_TASKS = {  # by the names that the Hub knows
    "AutoModelForCausalLM": "text-generation",
    "AutoModelForPreTraining": "fill-mask",
    "AutoModelForSeq2SeqLM": "text2text-generation",
}
_LICENCES = {"PSF-2.0": "psf"}  # by the names that the Hub knows


def model_card(
    name: str,
    facts: Mapping[str, Any],
    config: Mapping[str, Any] | None,
    summary: Mapping[str, Any] | None,
) -> str:
    """Markdown with the Hub's header.

    facts: architecture, auto (the class of `transformers` that loads it), parameters, dtype, stage,
    tokenizer (there is one), imported. config, summary: of the run, or None for a model that was
    imported, of which nothing else is known; the summary is None too where a run is not finished.
    """
    licence = (summary or {}).get("corpus", {}).get("licence")
    return load_template("model_card.md").render(
        name=name,
        facts=facts,
        config=config,
        task=_TASKS[facts["auto"]],
        summary=summary,
        licence=_LICENCES.get(licence, "other") if licence else None,
        flops=sum(stage["flops"] or 0 for stage in summary["stages"].values()) if summary else 0,
    )
