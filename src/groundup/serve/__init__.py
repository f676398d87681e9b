"""Serving: a model behind OpenAI's API."""

from groundup.loading import Served, load_served
from groundup.serve.app import Limits, create_app

__all__ = ["Limits", "Served", "create_app", "load_served"]
