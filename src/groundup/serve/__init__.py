"""Serving: models behind OpenAI's API, and pages to look at them."""

from groundup.loading import Served, load_served
from groundup.serve.app import create_app
from groundup.serve.house import Limits, Offer

__all__ = ["Limits", "Offer", "Served", "create_app", "load_served"]
