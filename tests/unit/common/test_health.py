"""Health is what was answered lately: silence, lateness and errors are not health."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from libs.common.clock import SystemClock
from libs.common.observability import health
from libs.common.observability.health import Health, serve
from tests.support.clock import FakeClock
from tests.support.eventually import eventually


class Service:
    """A process's health behind its port."""

    def __init__(self, watched: Health, clock: FakeClock, port: int, session: aiohttp.ClientSession) -> None:
        self.health = watched
        self.clock = clock
        self._url = f"http://127.0.0.1:{port}"
        self._session = session

    async def get(self, path: str) -> tuple[int, str]:
        async with self._session.get(self._url + path) as response:
            return response.status, await response.text()

    async def status(self, path: str) -> int:
        return (await self.get(path))[0]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    clock = FakeClock()
    watched = Health(name="risk_manager", clock=clock)
    runner, port = await serve(watched.application(), host="127.0.0.1", port=0)
    async with aiohttp.ClientSession() as session:
        yield Service(watched, clock, port, session)
    await runner.cleanup()


async def test_a_service_without_checks_is_alive_and_not_ready(service: Service) -> None:
    assert await service.status("/healthz") == 200
    assert await service.status("/readyz") == 503


async def test_a_service_is_ready_once_every_check_has_passed(service: Service) -> None:
    service.health.check("postgres", _yes)
    service.health.check("kafka", _no)
    await _one_round(service.health)
    status, text = await service.get("/readyz")
    assert (status, '"failing": ["kafka"]' in text) == (503, True)

    service.health.check("kafka", _yes)
    await _one_round(service.health)

    assert await service.status("/readyz") == 200
    assert service.health.ready


@pytest.mark.parametrize(("age_s", "status"), [(3.9, 200), (4.0, 503)])
async def test_a_check_that_passed_too_long_ago_counts_no_more(service: Service, age_s: float, status: int) -> None:
    service.health.check("postgres", _yes)
    await _one_round(service.health)

    service.clock.advance(age_s)

    assert await service.status("/readyz") == status


async def test_checks_that_hang_raise_or_are_cancelled_do_not_pass_and_hold_up_nobody(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_DEADLINE_S", 0.05)
    service.health.check("hangs", _hang)
    service.health.check("raises", _raise)
    service.health.check("is cancelled", _cancel)
    service.health.check("passes", _yes)

    await _one_round(service.health)

    assert service.health.failing() == ["hangs", "raises", "is cancelled"]


async def test_checks_are_asked_again_and_again() -> None:
    asked = 0

    async def check() -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise asyncio.CancelledError
        return True

    watched = Health(name="x", clock=SystemClock())
    watched.check("x", check)
    asking = asyncio.create_task(watched.run_checks())

    await eventually(lambda: _is(watched.ready))
    asking.cancel()


@pytest.mark.parametrize(("age_s", "status"), [(10.0, 200), (10.1, 503)])
async def test_a_duty_that_makes_no_progress_means_stuck(service: Service, age_s: float, status: int) -> None:
    progress = service.health.progress("owner loop", 10.0)
    service.clock.advance(60)
    progress.made()

    service.clock.advance(age_s)

    found, text = await service.get("/healthz")
    assert found == status
    assert ("owner loop" in text) == (status == 503)
    assert await progress.is_made() == (status == 200)


async def test_an_event_loop_that_stood_still_is_noticed() -> None:
    clock = SystemClock()
    watched = Health(name="x", clock=clock)
    watching = asyncio.create_task(watched.watch_loop())
    await asyncio.sleep(0)

    ends_s = clock.monotonic_s() + health.LOOP_LAG_S_MAX + health.LOOP_STEP_S + 0.05
    while clock.monotonic_s() < ends_s:
        pass  # what a service must never do

    await eventually(lambda: _is(watched.stuck() == ["event loop"]))
    assert watched.loop_lag_s > 1
    await eventually(lambda: _is(watched.stuck() == []), seconds=5)
    watching.cancel()


async def test_metrics_are_served_as_prometheus_reads_them(service: Service) -> None:
    status, text = await service.get("/metrics")

    assert status == 200
    assert "# TYPE trader_ready gauge" in text


async def test_a_taken_port_is_an_error(service: Service) -> None:
    runner, port = await serve(service.health.application(), host="127.0.0.1", port=0)
    try:
        with pytest.raises(OSError, match=str(port)):
            await serve(Health(name="y", clock=service.clock).application(), host="127.0.0.1", port=port)
    finally:
        await runner.cleanup()


async def _one_round(watched: Health) -> None:
    """Ask every check once."""
    asking = asyncio.create_task(watched.run_checks())
    done, _ = await asyncio.wait({asking}, timeout=0.2)
    assert not done
    asking.cancel()


async def _yes() -> bool:
    return True


async def _no() -> bool:
    return False


async def _hang() -> bool:
    await asyncio.Event().wait()
    return True


async def _raise() -> bool:
    raise KeyError("a bug")


async def _cancel() -> bool:
    raise asyncio.CancelledError


async def _is(fact: object) -> bool:
    return bool(fact)
