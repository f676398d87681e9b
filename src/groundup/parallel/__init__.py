"""A model on several processes, applied from outside: the model's own code knows nothing of it.

Every kind of parallelism is raw collectives of `core.processes` and works the same among one.
"""
