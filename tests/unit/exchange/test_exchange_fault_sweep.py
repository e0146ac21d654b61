"""Ten thousand faults after acceptance: no outcome is ever said that the exchange's own journal contradicts."""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from libs.exchange import refusals
from libs.exchange.limits import Purpose
from libs.exchange.outcomes import Finding, Verdict
from libs.exchange.refusals import Reason
from libs.trading.market import Side
from tests.support.virtual_time import run_in_virtual_time
from tests.unit.exchange.faulty_network import BID, FaultyNetwork, faulty_network

STRIKES = 1_000
APART_S = 4.0  # below the exchange's limits, and below what it takes for a stall
RESTING = "ctE-test00-resting"
AFTER_ACCEPTANCE: tuple[dict[str, Any], ...] = (
    {"kind": "reply_cut"},
    {"kind": "reply_truncated"},
    {"kind": "reply_html"},
    {"kind": "reply_empty"},
    {"kind": "reply_slow", "delay_ms_max": 8_000},  # the gateway waits for four seconds
    {"kind": "reply_failed", "status": 503, "code": -1007},
    {"kind": "reply_failed", "status": 408, "code": -1007},
    {"kind": "reply_failed", "status": 500, "code": -1006},
    {"kind": "reply_failed", "status": 500, "code": -1000},
    {"kind": "reply_failed", "status": 502, "code": None},
)
BESIDES: tuple[dict[str, Any], ...] = (
    {"kind": "request_late", "delay_ms_max": 2_000, "probability": 0.05},  # the receive window is one second
    {"kind": "request_lost", "probability": 0.03},
    {"kind": "request_failed", "probability": 0.03},
    {"kind": "request_failed", "status": 400, "code": -1021, "message": "Timestamp.", "probability": 0.01},
    {"kind": "request_throttled", "retry_after_s": 1, "probability": 0.01},
    {"kind": "orders_throttled", "probability": 0.002},
)
"""What makes sure that not everything is accepted, and not everything that is refused is refused by the exchange."""


class Said:
    """What the gateway said of everything that was sent."""

    def __init__(self, network: FaultyNetwork, chance: Random) -> None:
        self._network = network
        self._chance = chance
        self._sent = 0
        self.verdicts: dict[str, Verdict] = {}
        self.repeats: list[Verdict] = []

    async def send(self) -> None:
        """Send something: mostly an order that trades, now and then a list, one that cannot trade, or a known name."""
        self._sent += 1
        network, name = self._network, f"ctE-test00-{self._sent}"
        side = self._chance.choice(list(Side))
        match self._chance.random():
            case share if share < 0.02:
                placed = await network.gateway.place(network.an_order(RESTING), purpose=Purpose.REDUCTION)
                self.repeats.append(placed.outcome.verdict)
                return
            case share if share < 0.04:
                placed = await network.gateway.place_oco(network.an_oco(str(self._sent)))
                name = f"ctP-test00-{self._sent}a"
                network.clear_exits()
            case share if share < 0.06:
                bracket = network.a_bracket(str(self._sent), with_target=self._chance.random() < 0.5)
                placed = await network.gateway.place_bracket(bracket)
                network.clear_exits()
            case share if share < 0.1:
                order = network.an_order(name, side=side, quantity=BID / 10_000)  # too much of it, or too precise
                placed = await network.gateway.place(order, purpose=Purpose.REDUCTION)
            case _:
                placed = await network.gateway.place(network.an_order(name, side=side), purpose=Purpose.REDUCTION)
        self.verdicts[name] = placed.outcome.verdict


async def _sweep(directory: Path, fault: dict[str, Any], *, seed: int, strikes: int = STRIKES) -> None:
    async with faulty_network(directory, seed=seed) as network:
        await network.gateway.measure_clock()
        resting = network.an_order(RESTING, price=BID / 2, time_in_force="GTC")
        assert (await network.gateway.place(resting, purpose=Purpose.REDUCTION)).outcome.verdict is Verdict.ACCEPTED
        for each in BESIDES:
            network.arm(**each, on={"method": "POST"})
        network.arm(**fault, on={"method": "POST"}, probability=0.9, count=strikes)
        said = Said(network, Random(seed))
        struck: set[str] = set()
        while len(struck) < strikes:
            await said.send()
            await asyncio.sleep(APART_S)
            struck |= {each["client_id"] for each in network.layer.faults.strikes if each["kind"] == fault["kind"]}
            network.layer.faults.strikes.clear()
        network.layer.faults.disarm()
        await asyncio.sleep(60)  # whatever was late has arrived, and no limit holds anything back
        accepted = Counter(network.accepted())
        struck = {f"ctP-{name.removeprefix('ctO-')}a" if name.startswith("ctO-") else name for name in struck}
        unknown = [name for name, verdict in said.verdicts.items() if verdict is Verdict.UNKNOWN]
        lookups = {name: (await network.gateway.order("BTC/USDT", name)).finding for name in unknown[::20]}

    wrong = {
        name: verdict
        for name, verdict in said.verdicts.items()
        if (verdict is Verdict.NOT_ACCEPTED and accepted[name])
        or (verdict in {Verdict.ACCEPTED, Verdict.EXISTS} and not accepted[name])
    }
    assert wrong == {}, "what was said of these is not what the journal has"
    assert all(accepted[name] == 1 for name in struck), "each of them was accepted, and nothing was sent twice"
    assert max(accepted.values()) == 1
    possible = {Verdict.UNKNOWN, Verdict.ACCEPTED} if fault["kind"] == "reply_slow" else {Verdict.UNKNOWN}
    assert {said.verdicts[name] for name in struck} == possible
    assert Verdict.EXISTS in said.repeats
    assert Verdict.ACCEPTED not in said.repeats
    assert set(said.verdicts.values()) >= {Verdict.ACCEPTED, Verdict.NOT_ACCEPTED}, "something else happened, too"
    assert lookups == {name: Finding.FOUND if accepted[name] else Finding.NOT_FOUND for name in lookups}


@pytest.mark.sweep
@pytest.mark.parametrize("fault", AFTER_ACCEPTANCE, ids=lambda fault: "-".join(map(str, fault.values())))
def test_a_thousand_faults_after_acceptance_make_no_wrong_outcome(tmp_path: Path, fault: dict[str, Any]):
    run_in_virtual_time(_sweep(tmp_path, fault, seed=AFTER_ACCEPTANCE.index(fault)))


@pytest.mark.parametrize(
    "fault",
    [{"kind": "reply_failed", "status": 408, "code": -1007}, {"kind": "reply_failed", "status": 503, "code": -1007}],
    ids=lambda fault: str(fault["status"]),
)
def test_a_planted_refusal_of_what_is_unknown_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
):
    monkeypatch.setitem(refusals.REFUSALS, -1007, Reason.REJECTED)
    monkeypatch.setattr(refusals, "SERVER_ERROR_STATUS", 600)

    with pytest.raises(AssertionError, match="not what the journal has"):
        run_in_virtual_time(_sweep(tmp_path, fault, seed=1, strikes=20))
