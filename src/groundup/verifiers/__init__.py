"""Verifiers: what decides whether a completion solves its problem, in evaluation and in training.

Import from the modules themselves (`groundup.verifiers.verifier`, `.python_function`, …): the
sandboxed process imports this package too, and its start is most of what a small batch costs.
"""
