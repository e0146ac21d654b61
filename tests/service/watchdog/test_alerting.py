"""The watchdog's direct channel and its outside heartbeat, posted to real HTTP servers."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from libs.common.contracts.event import Event
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.errors import ConfigurationError, RetryableError
from libs.common.observability import metrics
from services.watchdog.alerting import (
    TOLD,
    WEBHOOK_ATTEMPTS_MAX,
    Alarm,
    DirectChannel,
    NotifierConfirmation,
    load_urls,
)
from services.watchdog.heartbeat import OutsideHeartbeat
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.raw_records import AT

NOBODY = "http://127.0.0.1:9"


class Receiver:
    """What people or the notifier have at the other end."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.failures = 0
        self.metrics = ""

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/hook", self._hook)
        application.router.add_get("/metrics", self._metrics)
        return application

    async def _hook(self, request: web.Request) -> web.Response:
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        self.received.append(await request.json())
        return web.Response()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=self.metrics)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def address(receiver: Receiver) -> AsyncIterator[str]:
    async with TestServer(receiver.application()) as server:
        yield str(server.make_url("/")).rstrip("/")


def an_alert() -> AlertRaised:
    return AlertRaised(
        occurred_at=AT,
        alert_type=AlertType.EMERGENCY_STOP,
        severity=Severity.CRITICAL,
        component="watchdog",
        subject="trade_executor dead",
        message="Trading is halted",
    )


def an_alarm(
    session: aiohttp.ClientSession,
    *urls: str,
    notifier: str | None = None,
    publish: Callable[[Event], None] = lambda _: None,
    confirmed_s_max: float = 0.2,
) -> Alarm:
    return Alarm(
        publish=publish,
        direct=DirectChannel(session, urls, pause_s=0),
        confirmation=NotifierConfirmation(session, f"{notifier}/metrics") if notifier is not None else None,
        confirmed_s_max=confirmed_s_max,
    )


async def test_an_alert_that_the_notifier_does_not_confirm_is_posted(
    session: aiohttp.ClientSession, receiver: Receiver, address: str
) -> None:
    published: list[Event] = []
    receiver.metrics = f"# HELP x y\n{TOLD} {AT.timestamp() - 1}\nother 7\n"
    alarm = an_alarm(session, f"{address}/hook", notifier=address, publish=published.append)

    alarm.tell(an_alert())
    await alarm.drain()

    assert published == [an_alert()]
    (content,) = receiver.received
    assert content["message"] == "Trading is halted"
    assert content["text"] == content["content"] == "CRITICAL: Trading is halted"


async def test_an_alert_that_the_notifier_confirms_is_not_told_twice(
    session: aiohttp.ClientSession, receiver: Receiver, address: str
) -> None:
    receiver.metrics = f"{TOLD} {AT.timestamp()!r}\n"
    alarm = an_alarm(session, f"{address}/hook", notifier=address, confirmed_s_max=30)

    alarm.tell(an_alert())
    await alarm.drain()

    assert receiver.received == []


async def test_the_notifiers_metric_is_what_is_read(
    session: aiohttp.ClientSession, receiver: Receiver, address: str
) -> None:
    from prometheus_client import generate_latest  # noqa: PLC0415 - only here

    metrics.WATCHDOG_ALERT_TOLD.set(AT.timestamp())
    receiver.metrics = generate_latest(metrics.REGISTRY).decode()

    assert await NotifierConfirmation(session, f"{address}/metrics").told_at() == AT.timestamp()


@pytest.mark.parametrize("content", ["", "nothing here 7\n", f"{TOLD} soon\n"])
async def test_metrics_that_say_nothing_confirm_nothing(
    session: aiohttp.ClientSession, receiver: Receiver, address: str, content: str
) -> None:
    receiver.metrics = content

    assert await NotifierConfirmation(session, f"{address}/metrics").told_at() == 0


@pytest.mark.parametrize("notifier", [None, NOBODY])
async def test_without_a_notifier_alerts_are_posted_directly(
    session: aiohttp.ClientSession, receiver: Receiver, address: str, notifier: str | None
) -> None:
    alarm = an_alarm(session, f"{address}/hook", notifier=notifier)

    alarm.tell(an_alert())
    await alarm.drain()

    assert len(receiver.received) == 1


async def test_an_alert_that_does_not_even_leave_for_kafka_is_posted_without_waiting(
    session: aiohttp.ClientSession, receiver: Receiver, address: str
) -> None:
    def refuse(_: Event) -> None:
        raise RetryableError("the buffer is full")

    receiver.metrics = f"{TOLD} {AT.timestamp() + 1}\n"
    alarm = an_alarm(session, f"{address}/hook", notifier=address, publish=refuse)

    alarm.tell(an_alert())
    await alarm.drain()

    assert len(receiver.received) == 1


async def test_a_webhook_that_fails_is_tried_again_and_keeps_no_other_waiting(
    session: aiohttp.ClientSession, receiver: Receiver, address: str
) -> None:
    receiver.failures = WEBHOOK_ATTEMPTS_MAX - 1
    alarm = an_alarm(session, f"{NOBODY}/hook", f"{address}/hook")

    alarm.tell(an_alert())
    await alarm.drain()

    assert len(receiver.received) == 1


async def test_dead_webhooks_hold_up_nothing(session: aiohttp.ClientSession) -> None:
    alarm = an_alarm(session, f"{NOBODY}/hook", notifier=NOBODY)

    for _ in range(100):
        alarm.tell(an_alert())

    async def done() -> bool:
        await alarm.drain()
        return True

    assert await eventually(done, seconds=20)


async def test_the_outside_heartbeat_says_what_is_thought_of_everybody(
    session: aiohttp.ClientSession, receiver: Receiver, address: str
) -> None:
    async def polls() -> bool:
        return True

    heartbeat = OutsideHeartbeat(
        session,
        f"{address}/hook",
        is_polling=polls,
        describe=lambda: {"trade_executor": "HEALTHY"},
        clock=FakeClock(AT),
    )

    await heartbeat.beat()
    receiver.failures = 1
    await heartbeat.beat()
    await heartbeat.beat()

    assert (
        receiver.received
        == [{"component": "watchdog", "at": AT.isoformat(), "targets": {"trade_executor": "HEALTHY"}}] * 2
    )


async def test_a_watchdog_that_does_not_poll_lets_its_outside_heartbeat_stop(
    session: aiohttp.ClientSession, receiver: Receiver, address: str
) -> None:
    async def stuck() -> bool:
        return False

    heartbeat = OutsideHeartbeat(session, f"{address}/hook", is_polling=stuck, describe=dict, clock=FakeClock())

    await heartbeat.beat()

    assert receiver.received == []


def test_addresses_come_from_a_file_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "webhooks"
    path.write_text("# people\nhttps://hooks.slack.com/services/T/B/x\n\n  http://10.0.0.1:8080/hook  \n")

    assert load_urls(path) == ("https://hooks.slack.com/services/T/B/x", "http://10.0.0.1:8080/hook")


def test_a_bad_line_is_named_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "webhooks"
    path.write_text("http://10.0.0.1/\nsecret-token\n")

    with pytest.raises(ConfigurationError, match=r"webhooks:2") as refused:
        load_urls(path)

    assert "secret-token" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="missing"):
        load_urls(tmp_path / "missing")
