"""The crash points of the order protocol on the real services, each at the named step, over many seeds.

CP1 to CP24 of the reliability rules. What each must end as is what the invariants say after rest: one order an intent,
every fill once, balances equal to the digit, approvals answered, and trading goes on.
"""

import os
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.simulation.machine import Trap
from tests.simulation.plan import CALM, Plan
from tests.simulation.weather import Fault, Weather
from tests.simulation.world import simulate

SEEDS = int(os.environ.get("CRASH_POINT_SEEDS", "0"))
"""How many stories of every plan; 0: one of each point's first plan."""

EXECUTOR = "trade_executor"

pytestmark = pytest.mark.sweep

STORY = replace(CALM, seconds=25)
UNSEEN = Weather(lag_s=3.0, stream_losses=1.0)
LOST_ANSWERS = ([Fault.RESET], [Fault.LOST], [Fault.NONE, Fault.LOST])


def killed(step: str, *, nth: int = 2, service: str = EXECUTOR) -> Plan:
    return replace(STORY, traps=[Trap(service, step, nth)])


def met(*faults: Fault, weather: Weather | None = None) -> Plan:
    return replace(STORY, faults=faults, weather=weather or Weather())


def without(store: str) -> Plan:
    return replace(STORY, stores=(store,), store_every_s=5.0, seconds=30)


def frozen(step: str) -> Plan:
    return replace(STORY, traps=[Trap(EXECUTOR, step, 2, frozen_s=12.0)], seconds=30)


CRASH_POINTS: dict[str, Sequence[Plan]] = {
    "CP1 before the intent commits": [killed("before commit", nth=nth) for nth in (3, 6)],
    "CP2 after the commit, before the request": [killed("sending POST order", nth=nth) for nth in (1, 2)],
    "CP3 the connection is cut while the request is written": [
        met(Fault.CUT_BEFORE),
        met(Fault.NONE, Fault.CUT_BEFORE),
    ],
    "CP4 accepted, the answer is lost": [
        met(Fault.RESET),
        met(Fault.LOST),
        met(Fault.NONE, Fault.LOST, weather=UNSEEN),
    ],
    "CP5 accepted, the process is killed": [killed("sent POST order", nth=1), killed("sent POST oco", nth=1)],
    "CP6 filled before the answer, the process is killed": [
        replace(killed("answered POST order", nth=1), weather=Weather(stream_losses=1.0))
    ],
    "CP7 answered, killed before the result commits": [killed("answered POST order"), killed("answered POST oco")],
    "CP8 the result commits, killed before it is published": [killed("publishing orders"), killed("publishing fills")],
    "CP9 published, killed before it is marked": [killed("published orders"), killed("published fills")],
    "CP10 killed between two fills of one order": [killed("committed", nth=nth) for nth in (8, 9)],
    "CP11 killed in a cancel": [killed(f"{step} DELETE", nth=1) for step in ("sending", "sent", "answered")],
    "CP12 killed while it reconciles": [
        killed(f"answered GET {what}", nth=nth) for what in ("openOrders", "myTrades", "account") for nth in (1, 2)
    ],
    "CP13 frozen, and thawed beside its successor": [
        frozen(step) for step in ("sending POST", "sent POST", "answered POST", "committed", "before commit")
    ],
    "CP14, CP15 Postgres is down": [without("postgres")],
    "CP16 Redis is down or flushed": [without("redis"), without("flush")],
    "CP17 Kafka is down": [without("kafka")],
    "CP18 the user stream has a gap": [replace(STORY, weather=Weather(stream_losses=0.5))],
    "CP19 reports come twice and overtake each other": [
        replace(STORY, weather=Weather(stream_doubles=1.0, delay_s_max=0.5))
    ],
    "CP20 an answer that cannot be read": [met(Fault.PAGE, Fault.CUT), met(Fault.SERVER_PAGE, Fault.SERVER_CODE)],
    "CP22 the clock is set": [replace(STORY, clock_every_s=6.0, seconds=30)],
    "CP23 told to wait with an order unknown": [met(Fault.RESET, Fault.TOO_MANY, Fault.TOO_MANY, weather=UNSEEN)],
    "CP24 nothing can be written": [without("full")],
}
"""CP21, a market order that ends part-filled, is the venue's to play; tests/service has it on the fake exchange."""


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_point_ends_as_it_must(point: str):
    plans = CRASH_POINTS[point] if SEEDS else CRASH_POINTS[point][:1]
    for plan in plans:
        for seed in range(1, max(SEEDS, 1) + 1):
            outcome = simulate(seed, plan)

            assert not outcome.findings, outcome.told
            assert SEEDS or not outcome.unsprung, f"the story did not reach its step: {outcome.told}"
