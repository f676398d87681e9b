"""What `/metrics` tells, in the format of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from groundup.infer import Engine

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Of one server."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter("groundup_requests", "Requests begun.", registry=registry)
        self.prompt_tokens = Counter(
            "groundup_prompt_tokens", "Tokens of prompts.", registry=registry
        )
        self.drawn = Counter("groundup_generated_tokens", "Tokens drawn.", registry=registry)
        self.first_token = Histogram(
            "groundup_time_to_first_token_seconds",
            "From a request to its first token.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.whole = Histogram(
            "groundup_request_seconds",
            "From a request to its last token.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._running = Gauge(
            "groundup_running_sequences", "Texts that are computed.", registry=registry
        )
        self._waiting = Gauge(
            "groundup_waiting_sequences", "Texts that wait for a place.", registry=registry
        )
        self._cache = Gauge(
            "groundup_cache_used_ratio", "Share of the cache's pages in use.", registry=registry
        )
        self._preempted = Gauge(
            "groundup_preempted", "How often a text gave back its place.", registry=registry
        )

    def stepped(self, engine: Engine, drawn: int) -> None:
        """The engine has made a step, in which so many tokens were drawn."""
        self.drawn.inc(drawn)
        self._running.set(engine.running)
        self._waiting.set(engine.waiting)
        self._cache.set(engine.cache.used)
        self._preempted.set(engine.preempted)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
