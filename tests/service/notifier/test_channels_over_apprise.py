"""Mail, web hooks and everything else over apprise: real servers, dead ones, and addresses that nobody may see."""

import asyncio
import json
import logging
import uuid
from pathlib import Path

import pytest

from libs.common.contracts.vocabulary import Severity
from services.notifier.adapters.outside import ADDRESSES_BYTES_MAX, load_channels, redacted, secrets_of
from services.notifier.service.ports import Notification
from tests.support.eventually import eventually
from tests.support.raw_records import AT
from tests.support.receivers import mail_server, web_server

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise looks whether there is one
CANARY = "canary0123456789secret"


def a_notification(title: str = "긴급 정지: main", body: str = "거래가 중지되었습니다\nid 3f2a9c1d") -> Notification:
    return Notification(
        event_id=uuid.uuid4(),
        channel="email",
        alert_type="EMERGENCY_STOP",
        severity=Severity.CRITICAL,
        component="risk_manager",
        title=title,
        body=body,
        occurred_at=AT,
        recorded_at=AT,
        attempts=1,
    )


def addresses(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "notification-channels"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


async def test_a_mail_arrives_with_its_title_and_its_lines(tmp_path):
    async with mail_server() as server:
        channels, problems = load_channels(addresses(tmp_path, {"email": server.address}))

        delivery = await channels["email"].deliver(a_notification())

    assert (delivery.delivered, problems) == (True, {})
    ((subject, body),) = server.received
    assert subject == "긴급 정지: main"
    assert "id 3f2a9c1d" in body


async def test_one_message_after_the_other_is_sent_without_a_pause_of_the_library(tmp_path, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("apprise.url.time.sleep", slept.append)
    async with mail_server() as server:
        channels, _ = load_channels(addresses(tmp_path, {"email": server.address}))
        for _ in range(3):
            assert (await channels["email"].deliver(a_notification())).delivered

    assert (len(server.received), slept) == (3, [])


async def test_any_name_of_ones_own_is_a_channel(tmp_path):
    async with web_server() as server:
        channels, _ = load_channels(addresses(tmp_path, {"on-call": server.address()}))

        delivery = await channels["on-call"].deliver(a_notification())

    assert delivery.delivered
    assert [(hook["title"], hook["type"]) for hook in server.received] == [("긴급 정지: main", "failure")]


async def test_a_channel_that_does_not_answer_delays_no_other_and_is_tried_again_only_when_it_has(tmp_path):
    async with web_server() as server:
        channels, _ = load_channels(
            addresses(tmp_path, {"dead": f"{server.address('dead')}?rto=60", "alive": server.address()})
        )
        waiting = asyncio.create_task(channels["dead"].deliver(a_notification()))
        delivery = await channels["alive"].deliver(a_notification())
        again = await channels["dead"].deliver(a_notification())

        assert delivery.delivered
        assert not waiting.done()
        assert (again.delivered, again.reason) == (False, "the attempt before still waits for an answer")
        waiting.cancel()

    thread = channels["dead"]._attempt
    assert thread is not None

    async def ended() -> bool:
        return not thread.is_alive()

    await eventually(ended, seconds=60)


async def test_a_refusal_is_told_without_the_address_that_was_refused(tmp_path, caplog):
    async with web_server() as server:
        channels, _ = load_channels(addresses(tmp_path, {"hook": server.address(f"rude/{CANARY}")}))
        with caplog.at_level(logging.DEBUG):
            refused = await channels["hook"].deliver(a_notification())

    assert not refused.delivered
    assert "403" in refused.reason
    assert CANARY not in refused.reason
    assert CANARY not in caplog.text


async def test_a_server_that_is_not_there_is_a_failure_that_shows_no_password(tmp_path, caplog, capfd):
    address = f"mailto://user{CANARY}:{CANARY}@127.0.0.1:1?from=a@example.org&to={CANARY}@example.org&mode=insecure"
    channels, _ = load_channels(addresses(tmp_path, {"email": address}))

    with caplog.at_level(logging.DEBUG):
        refused = await channels["email"].deliver(a_notification())

    told = " ".join((refused.reason, caplog.text, *capfd.readouterr()))
    assert not refused.delivered
    assert refused.reason
    assert CANARY not in told


async def test_a_plugin_that_breaks_is_a_failure_of_one_attempt(tmp_path):
    channels, _ = load_channels(addresses(tmp_path, {"hook": "json://127.0.0.1:1/x"}))

    def broken(**_: object) -> bool:
        message = f"no answer of https://example.org/{CANARY}"
        raise KeyError(message)

    channels["hook"]._service.notify = broken

    assert (await channels["hook"].deliver(a_notification())).reason == "the channel broke: KeyError"


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        ({"email": f"no-such-service://{CANARY}"}, "email", "expected an address that apprise understands"),
        ({"log": "json://127.0.0.1/x"}, "log", "expected a name of another channel"),
        ({"E-Mail": f"mailto://{CANARY}"}, "notification-channels", "expected JSON as"),
        (f"email=mailto://{CANARY}", "notification-channels", "expected JSON as"),
        ({"email": [CANARY]}, "notification-channels", "expected JSON as"),
        ('"' + "x" * ADDRESSES_BYTES_MAX, "notification-channels", "expected at most 65536 bytes"),
    ],
)
def test_what_cannot_be_used_is_told_by_its_name_and_never_shown(tmp_path, content, where, problem):
    channels, problems = load_channels(addresses(tmp_path, content))

    assert channels == {}
    assert problems[where].startswith(problem)
    assert CANARY not in str(problems)


def test_the_three_outside_channels_of_the_specification_have_an_address_form(tmp_path):
    documented = {
        "email": "mailtos://user:password@smtp.example.org?from=trader@example.org&to=me@example.org",
        "discord": "discord://123456789012345678/abcdefghijklmnopqrstuvwxyz",
        "telegram": "tgram://123456789:abcdefghijklmnopqrstuvwxyz012345678/12315544",
    }

    channels, problems = load_channels(addresses(tmp_path, documented))

    assert (set(channels), problems) == (set(documented), {})


def test_no_addresses_are_no_mistake(tmp_path):
    assert load_channels(tmp_path / "notification-channels") == ({}, {})
    assert load_channels(addresses(tmp_path, {})) == ({}, {})


def test_addresses_that_cannot_be_read_stop_nothing(tmp_path):
    (tmp_path / "notification-channels").mkdir()

    assert list(load_channels(tmp_path / "notification-channels")[1]) == ["notification-channels"]


def test_every_part_of_an_address_is_redacted_as_written_and_as_meant():
    secrets = secrets_of("tgram://12345:AbCd%2Bef-gh/-100200?silent=yes")

    told = redacted("POST https://api.example.org/bot12345:abcd+EF-gh/send to -100200\nwas refused", secrets)

    assert told == "POST https://api.example.org/bot[redacted]:[redacted]/send to [redacted] was refused"
