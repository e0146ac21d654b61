"""Health and metrics of the exchange, on a port of their own.

Invariant: the exchange counts as alive only while its market loop turns.
"""

from http import HTTPStatus

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from libs.common.clock import Clock

SILENCE_S_MAX = 2.0


class Health:
    """What is known about the process, and its answers to whoever asks."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._turned_at_s = clock.monotonic_s()
        self._is_ready = False
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "paper_exchange_requests", "Requests answered, by status.", ["status"], registry=self._registry
        )
        self._place = Gauge(
            "paper_exchange_market_place_seconds", "Place of the market on its tape.", registry=self._registry
        )
        self._frames = Gauge("paper_exchange_frames", "Market frames queued for clients.", registry=self._registry)
        self._listeners = Gauge(
            "paper_exchange_account_listeners", "User data streams that are open.", registry=self._registry
        )

    def turned(self, *, place_ms: int, frames: int, listeners: int) -> None:
        """Note that the market loop has turned."""
        self._turned_at_s = self._clock.monotonic_s()
        self._place.set(place_ms / 1_000)
        self._frames.set(frames)
        self._listeners.set(listeners)

    def ready(self) -> None:
        """Note that clients are served from now on."""
        self._is_ready = True

    def answered(self, status: int) -> None:
        """Count an answer of the public port."""
        self._requests.labels(str(status)).inc()

    def application(self) -> web.Application:
        """Return the web application of the health port."""
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        return application

    def _is_alive(self) -> bool:
        return self._clock.monotonic_s() - self._turned_at_s < SILENCE_S_MAX

    async def _healthz(self, _: web.Request) -> web.Response:
        return _answer(self._is_alive(), "the market loop does not turn")

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._is_ready and self._is_alive(), "not serving yet")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _answer(well: bool, complaint: str) -> web.Response:  # noqa: FBT001 - the question's own answer
    if well:
        return web.Response(text="ok\n")
    return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=f"{complaint}\n")
