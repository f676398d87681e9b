"""The budget dial: from FLOPs or minutes to a model, its data and its training."""

from groundup.scaling.budget import Budget, parse_budget
from groundup.scaling.plan import PretrainPlan, Reason, plan_pretraining

__all__ = ["Budget", "PretrainPlan", "Reason", "parse_budget", "plan_pretraining"]
