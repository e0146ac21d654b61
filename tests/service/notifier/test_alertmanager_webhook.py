"""Alertmanager's calls: who may make them, what is taken, and that each alert is recorded once."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.errors import RetryableError
from libs.common.observability.health import Health, serve
from services.notifier.adapters import webhook
from services.notifier.adapters.webhook import BYTES_MAX, PATH, AlertmanagerWebhook
from tests.support.clock import FakeClock

TOKEN = "of-a-test"


class Records:
    """Takes alerts as the notifier and the publisher do, unless they are away."""

    def __init__(self) -> None:
        self.recorded: list[Envelope[AlertRaised]] = []
        self.published: list[AlertRaised] = []
        self.away: set[str] = set()

    async def record(self, envelope: Envelope[AlertRaised]) -> Sequence[Event]:
        if "postgres" in self.away:
            raise RetryableError("away")
        self.recorded.append(envelope)
        return ()

    def publish(self, event: AlertRaised) -> None:
        if "buffer" in self.away:
            raise RetryableError("full")
        self.published.append(event)

    async def send(self, event: AlertRaised, *, deadline_s: float) -> None:
        if "kafka" in self.away:
            raise RetryableError(f"away for {deadline_s} s")
        self.publish(event)


@asynccontextmanager
async def a_door(records: Records, *, is_open: bool = True) -> AsyncIterator[str]:
    health = Health(name="notifier", clock=FakeClock())
    door = AlertmanagerWebhook(token=TOKEN, record=records.record, publisher=records, clock=FakeClock())
    runner, port = await serve(health.application(), host="127.0.0.1", port=0)
    if is_open:
        health.door(PATH, door.handle)
    try:
        yield f"http://127.0.0.1:{port}{PATH}"
    finally:
        await runner.cleanup()


async def post(url: str, content: Any, *, token: str = TOKEN) -> tuple[int, str]:
    body = content if isinstance(content, (bytes, str)) else json.dumps(content)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status, await response.text()


def a_message(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "notifier", "alerts": alerts, **changes}


def a_prometheus_alert(**changes: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "KafkaDown", "severity": "page", "instance": "kafka:9404"},
        "annotations": {
            "summary": "No broker answers",
            "description": "The broker was silent for 30 s.",
            "runbook_url": "https://example.org/runbook#kafka-down",
            "halt": "account",
        },
        "startsAt": "2026-01-05T12:00:00.123Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": "c1a2b3d4e5f60718",
        **changes,
    }


async def test_an_alert_becomes_one_of_ours_recorded_and_published():
    records = Records()
    async with a_door(records) as url:
        status, _ = await post(url, a_message(a_prometheus_alert()))

    (envelope,) = records.recorded
    alert = envelope.event
    assert status == 200
    assert records.published == [alert]
    assert (alert.alert_type, alert.severity, alert.component) == (
        AlertType.SYSTEM_ERROR,
        Severity.CRITICAL,
        "alertmanager",
    )
    assert alert.message == "KafkaDown: No broker answers"
    assert sorted(alert.parameters) == ["alertname", "description", "runbook_url", "summary"]  # nothing that halts


async def test_the_same_firing_is_the_same_event_and_its_end_is_another():
    records = Records()
    firing = a_prometheus_alert()
    resolved = a_prometheus_alert(status="resolved", endsAt="2026-01-05T12:09:00Z")
    again = a_prometheus_alert(startsAt="2026-01-05T13:00:00Z")
    async with a_door(records) as url:
        for alert in (firing, firing, resolved, {**resolved, "endsAt": "2026-01-05T12:10:00Z"}, again):
            assert (await post(url, a_message(alert)))[0] == 200

    ids = [envelope.event_id for envelope in records.recorded]
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert len(set(ids)) == 3
    assert [envelope.event.severity for envelope in records.recorded][2] is Severity.INFO


@pytest.mark.parametrize(
    ("severity", "ours"),
    [("page", Severity.CRITICAL), ("ticket", Severity.WARNING), ("gossip", Severity.WARNING)],
)
async def test_a_page_is_critical_and_everything_else_a_warning(severity, ours):
    records = Records()
    async with a_door(records) as url:
        await post(url, a_message(a_prometheus_alert(labels={"alertname": "A", "severity": severity}, annotations={})))

    assert records.recorded[0].event.severity is ours


@pytest.mark.parametrize(
    ("content", "token", "status"),
    [
        (a_message(a_prometheus_alert()), "another", 401),
        (a_message(a_prometheus_alert()), "", 401),
        (b"\xff", TOKEN, 400),
        ("[]", TOKEN, 400),
        (a_message(a_prometheus_alert(), version="3"), TOKEN, 400),
        (a_message(a_prometheus_alert(startsAt="soon")), TOKEN, 400),
        (a_message(a_prometheus_alert(status="pending")), TOKEN, 400),
        (b" " * (BYTES_MAX + 1), TOKEN, 413),
    ],
)
async def test_a_call_that_cannot_be_taken_is_refused_with_the_reason(content, token, status):
    records = Records()
    async with a_door(records) as url:
        answered, text = await post(url, content, token=token)

    assert (answered, records.recorded) == (status, [])
    assert "expected" in text
    assert TOKEN not in text


async def test_more_alerts_than_a_message_may_have_are_refused():
    records = Records()
    small = {"status": "firing", "labels": {}, "startsAt": "2026-01-05T12:00:00Z", "fingerprint": "f"}
    async with a_door(records) as url:
        assert (await post(url, a_message(*[small] * 500)))[0] == 200
        assert (await post(url, a_message(*[small] * 501)))[0] == 400


@pytest.mark.parametrize(
    ("away", "status", "kept"),
    [
        ({"kafka"}, 200, (1, 1)),  # published as soon as Kafka is back
        ({"kafka", "buffer"}, 200, (1, 0)),
        ({"postgres"}, 200, (0, 1)),
        ({"kafka", "postgres"}, 503, (0, 0)),  # what would only be buffered is not kept
    ],
)
async def test_an_alert_about_a_store_does_not_wait_for_it(away, status, kept):
    records = Records()
    records.away = away
    async with a_door(records) as url:
        assert (await post(url, a_message(a_prometheus_alert(), a_prometheus_alert(fingerprint="2"))))[0] == status

    assert (len(records.recorded), len(records.published)) == (2 * kept[0], 2 * kept[1])


async def test_a_call_whose_body_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhook, "READ_S_MAX", 0.05)
    async with a_door(Records()) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 10\r\n\r\n"
        writer.write(head.encode())
        status = await reader.readline()
        writer.close()
        await writer.wait_closed()

    assert b" 408 " in status


async def test_without_its_secret_there_is_no_such_door():
    async with a_door(Records(), is_open=False) as url:
        assert (await post(url, a_message()))[0] == 404
