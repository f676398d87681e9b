"""Generation: a key-value cache, a sampler, and the engine that everything else sees."""

from groundup.infer.engine import Completion, Engine
from groundup.infer.load import load_run
from groundup.infer.sampling import Sampling

__all__ = ["Completion", "Engine", "Sampling", "load_run"]
