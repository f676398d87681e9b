"""Named recipes: Python functions that return frozen configs."""

from groundup.recipes.quickstart import Evaluation, Plan, Quickstart, TokenizerTraining, quickstart

__all__ = ["Evaluation", "Plan", "Quickstart", "TokenizerTraining", "quickstart"]
