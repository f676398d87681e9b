"""Generation: a paged cache, a sampler, a scheduler, and the engine that everything else sees."""

from groundup.infer.engine import Engine, Likelihood
from groundup.infer.load import load_run
from groundup.infer.sampling import Sampling
from groundup.infer.sequence import Completion

__all__ = ["Completion", "Engine", "Likelihood", "Sampling", "load_run"]
