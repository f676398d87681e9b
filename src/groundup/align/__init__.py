"""From a base model to one that does what it is asked: examples, then a verifier's reward."""
