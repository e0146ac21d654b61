"""Health over HTTP: /healthz (the loop turns and progresses), /readyz (it can do its work now), /metrics.

A check that was not answered lately counts as failed: silence is not health.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from libs.common.clock import Clock
from libs.common.observability import metrics

CHECK_INTERVAL_S: Final = 0.5
"""Between two rounds while a check fails: whoever waits for readiness shall not wait for us."""
CHECK_INTERVAL_READY_S: Final = 1.5
"""Between two rounds while none fails: after it a check may still take its whole deadline and be in time."""
CHECK_DEADLINE_S: Final = 2.0
CHECK_AGE_S_MAX: Final = 4.0
LOOP_LAG_S_MAX: Final = 1.0
LOOP_STEP_S: Final = 0.25
"""A stop of the loop shows shorter than it was by this much at the most: one of 1.25 s is always noticed."""

Check = Callable[[], Awaitable[bool]]
Door = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(slots=True)
class Progress:
    """A duty that must show progress at least every `age_s_max` seconds for the process to count as alive."""

    name: str
    age_s_max: float
    clock: Clock
    made_at_s: float

    def made(self) -> None:
        """Say that the duty has just progressed."""
        self.made_at_s = self.clock.monotonic_s()

    @property
    def age_s(self) -> float:
        """Seconds since the last progress."""
        return self.clock.monotonic_s() - self.made_at_s

    async def is_made(self) -> bool:
        """Return whether it progressed in time: a readiness check for duties that are the whole service."""
        return self.age_s <= self.age_s_max


class Health:
    """Collects checks and progress of one process and serves them."""

    def __init__(self, *, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._checks: dict[str, Check] = {}
        self._passed_at_s: dict[str, float] = {}
        self._progress: dict[str, Progress] = {}
        self._doors: dict[str, Door] = {}
        self._loop_lag_s = 0.0

    def check(self, name: str, check: Check) -> None:
        """Add a condition of readiness, asked again and again; it must answer within its deadline."""
        self._checks[name] = check

    def progress(self, name: str, age_s_max: float) -> Progress:
        """Add a duty whose silence of more than `age_s_max` seconds means that the process is stuck."""
        progress = Progress(name, age_s_max, self._clock, self._clock.monotonic_s())
        self._progress[name] = progress
        return progress

    def door(self, path: str, handle: Door) -> None:
        """Take POST requests on a path from now on; a service opens it when it can do what is asked."""
        self._doors[path] = handle

    @property
    def loop_lag_s(self) -> float:
        """How late the event loop turned in the last second, at worst."""
        return self._loop_lag_s

    def failing(self) -> list[str]:
        """Return the names of the readiness checks that did not pass lately."""
        now_s = self._clock.monotonic_s()
        return [
            name for name in self._checks if now_s - self._passed_at_s.get(name, -CHECK_AGE_S_MAX) >= CHECK_AGE_S_MAX
        ]

    def stuck(self) -> list[str]:
        """Return the duties that did not progress in time, and the loop itself."""
        names = [progress.name for progress in self._progress.values() if progress.age_s > progress.age_s_max]
        return [*names, "event loop"] if self._loop_lag_s > LOOP_LAG_S_MAX else names

    @property
    def ready(self) -> bool:
        """Whether every readiness check passed lately; before the service has added one, it is not wired yet."""
        return bool(self._checks) and not self.failing()

    async def run_checks(self) -> None:
        """Ask every check again and again, for ever; a late or failing one is simply not passed."""
        while True:
            all_passed = all(await asyncio.gather(*(self._ask(name, check) for name, check in self._checks.items())))
            metrics.READY.set(1 if self.ready else 0)
            await asyncio.sleep(CHECK_INTERVAL_READY_S if all_passed and self._checks else CHECK_INTERVAL_S)

    async def watch_loop(self) -> None:
        """Measure how late the event loop turns, for ever."""
        worst_s = 0.0
        window_ends_s = self._clock.monotonic_s() + 1
        while True:
            before_s = self._clock.monotonic_s()
            await asyncio.sleep(LOOP_STEP_S)
            now_s = self._clock.monotonic_s()
            worst_s = max(worst_s, now_s - before_s - LOOP_STEP_S)
            if now_s >= window_ends_s:
                self._loop_lag_s = worst_s
                metrics.LOOP_LAG_SECONDS.set(worst_s)
                worst_s = 0.0
                window_ends_s = now_s + 1

    async def _ask(self, name: str, check: Check) -> bool:
        task = asyncio.ensure_future(check())
        done, _ = await asyncio.wait({task}, timeout=CHECK_DEADLINE_S)
        if not done:
            task.cancel()
            return False
        passed = not task.cancelled() and task.exception() is None and task.result()
        if passed:
            self._passed_at_s[name] = self._clock.monotonic_s()
        return passed

    def application(self) -> web.Application:
        """Return the HTTP application with the three endpoints, and the doors that are opened later."""
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_post("/{path:.*}", self._at_a_door)
        return application

    async def _at_a_door(self, request: web.Request) -> web.Response:
        handle = self._doors.get(request.path)
        return await handle(request) if handle is not None else web.Response(status=404)

    async def _healthz(self, _: web.Request) -> web.Response:
        stuck = self.stuck()
        content = {"service": self._name, "alive": not stuck, "stuck": stuck, "loop_lag_s": self._loop_lag_s}
        return web.json_response(content, status=503 if stuck else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        content = {"service": self._name, "ready": self.ready, "failing": self.failing()}
        return web.json_response(content, status=200 if self.ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def serve(application: web.Application, *, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Start serving and return the runner, to be cleaned up by the caller, and the port.

    Raises:
        OSError: The port is taken.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    addresses = runner.addresses
    return runner, int(addresses[0][1])
