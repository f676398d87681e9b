"""What `/metrics` tells, in the format of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from groundup.infer import Engine

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Of one server, each with the name of a model."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()

        def count(name: str, what: str) -> Counter:
            return Counter(f"groundup_{name}", what, ["model"], registry=registry)

        def gauge(name: str, what: str) -> Gauge:
            return Gauge(f"groundup_{name}", what, ["model"], registry=registry)

        def seconds(name: str, what: str) -> Histogram:
            return Histogram(
                f"groundup_{name}_seconds", what, ["model"], buckets=_SECONDS, registry=registry
            )

        self.requests = count("requests", "Requests begun.")
        self.prompt_tokens = count("prompt_tokens", "Tokens of prompts.")
        self.drawn = count("generated_tokens", "Tokens drawn.")
        self.first_token = seconds("time_to_first_token", "From a request to its first token.")
        self.whole = seconds("request", "From a request to its last token.")
        self.running = gauge("running_sequences", "Texts that are computed.")
        self.waiting = gauge("waiting_sequences", "Texts that wait for a place.")
        self.cache = gauge("cache_used_ratio", "Share of the cache's pages in use.")
        self.preempted = gauge("preempted", "How often a text gave back its place.")

    def of(self, model: str) -> "ModelMetrics":
        """Those of one model."""
        return ModelMetrics(self, model)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)


class ModelMetrics:
    """Of one model."""

    def __init__(self, of: Metrics, model: str):
        self.requests = of.requests.labels(model)
        self.prompt_tokens = of.prompt_tokens.labels(model)
        self.drawn = of.drawn.labels(model)
        self.first_token = of.first_token.labels(model)
        self.whole = of.whole.labels(model)
        self._running = of.running.labels(model)
        self._waiting = of.waiting.labels(model)
        self._cache = of.cache.labels(model)
        self._preempted = of.preempted.labels(model)

    def stepped(self, engine: Engine, drawn: int) -> None:
        """The engine has made a step, in which so many tokens were drawn."""
        self.drawn.inc(drawn)
        self._running.set(engine.running)
        self._waiting.set(engine.waiting)
        self._cache.set(engine.cache.used)
        self._preempted.set(engine.preempted)
