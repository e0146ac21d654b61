"""Processes that are another program, or have another configuration, keep everybody from entering."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import AlertRaised, HeartbeatSent
from libs.common.contracts.vocabulary import AlertType, Severity
from services.risk_manager.domain.peers import Peers
from services.risk_manager.service.peer_watch import PeerWatch
from services.risk_manager.service.ports import RiskRecords
from tests.service.risk_manager.builders import NOW, FakeRecords, a_clock, a_configuration, enveloped
from tests.support.shown import shown

OURS = {"build": "1.0", "configuration_hash": "ours"}


def a_beat(component: str = "trade_executor", **changes: Any) -> HeartbeatSent:
    fields: dict[str, Any] = {
        "occurred_at": NOW,
        "component": component,
        "instance": "host:1",
        "sequence": 1,
        "ready": True,
        "handled": 0,
        "loop_lag_ms": 0,
        "started_at": NOW,
        **OURS,
    }
    return HeartbeatSent(**{**fields, **changes})


def differing(beats: dict[int, HeartbeatSent], *, at_s: int) -> tuple[str, ...]:
    """Return who differs after these beats, looked at every second."""
    peers, found = Peers(), tuple[str, ...]()
    for second in range(at_s + 1):
        if second in beats:
            beat = beats[second]
        peers.hear(beat, now_s=second)
        found = peers.differing(**OURS, now_s=second)
    return found


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"build": "0.9"}, "build 0.9 where 1.0 is expected"),
        ({"build": ""}, "build none where 1.0 is expected"),
        ({"configuration_hash": "theirs"}, "configuration theirs where ours is expected"),
        (
            {"build": "0.9", "configuration_hash": "theirs"},
            "build 0.9 where 1.0 is expected, configuration theirs where ours is expected",
        ),
    ],
)
def test_a_difference_is_named_when_it_lasts_longer_than_the_grace(changes: dict[str, str], what: str) -> None:
    beats = {0: a_beat(**changes)}

    assert differing(beats, at_s=10) == ()
    assert differing(beats, at_s=11) == (f"trade_executor host:1: {what}",)


def test_a_configuration_on_its_way_is_no_difference_and_one_that_returns_counts_anew() -> None:
    theirs = a_beat(configuration_hash="theirs")
    beats = {0: theirs, 9: a_beat(), 10: theirs}

    assert differing(beats, at_s=20) == ()
    assert differing(beats, at_s=21) != ()


def test_processes_that_are_gone_and_those_that_trade_nothing_do_not_count() -> None:
    peers = Peers()
    peers.hear(a_beat("watchdog", build="0.9"), now_s=0)
    peers.hear(a_beat(build="0.9"), now_s=0)
    assert peers.differing(**OURS, now_s=0) == ()

    assert peers.differing(**OURS, now_s=5.1) == ()
    peers.hear(a_beat(build="0.9"), now_s=20)
    assert peers.differing(**OURS, now_s=20) == ()


def test_a_standby_of_whoever_keeps_the_versions_may_have_an_earlier_one_but_no_other_build() -> None:
    assert differing({0: a_beat("risk_manager", configuration_hash="theirs")}, at_s=20) == ()
    assert differing({0: a_beat("risk_manager", build="0.9")}, at_s=20) != ()


def test_processes_without_end_are_bounded() -> None:
    peers = Peers()
    for number in range(300):
        peers.hear(a_beat(instance=f"host:{number}", started_at=NOW + timedelta(seconds=number)), now_s=0)
    peers.differing(**OURS, now_s=0)

    assert peers.differing(build="2.0", configuration_hash="ours", now_s=4) == ()  # seen now for the first time
    assert len(peers.differing(build="2.0", configuration_hash="ours", now_s=5)) <= 200


async def test_who_differs_is_told_once_and_so_is_the_end_of_it() -> None:
    configuration, clock, told = a_configuration(), a_clock(), list[Event]()

    async def apply(work: Callable[[RiskRecords], Awaitable[Sequence[Event]]]) -> None:
        told.extend(await work(FakeRecords()))

    watch = PeerWatch(configuration=configuration, build="1.0", apply=apply, clock=clock)
    most = 0.0
    for build in ["0.9"] * 13 + ["1.0"] * 3:
        await watch.on_heartbeat(enveloped(a_beat(build=build, configuration_hash=configuration.hash)))
        await watch.look()
        most = max(most, shown("trader_processes_differing") or 0.0)
        clock.advance(1)

    assert (most, shown("trader_processes_differing")) == (1, 0)
    alerts = [event for event in told if isinstance(event, AlertRaised)]
    assert [(alert.alert_type, alert.severity) for alert in alerts] == [
        (AlertType.SYSTEM_ERROR, Severity.CRITICAL),
        (AlertType.SYSTEM_ERROR, Severity.INFO),
    ]
    assert "trade_executor host:1: build 0.9 where 1.0 is expected" in alerts[0].message
    assert watch.differing() == ()
