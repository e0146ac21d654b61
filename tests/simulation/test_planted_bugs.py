"""The simulation can fail: each safeguard of the money path, broken on purpose, is reported within a few seeds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from libs.common.messaging import owner, sealing
from libs.common.messaging.outbox import OutboxRelay
from libs.common.messaging.positions import Position
from libs.trading.orders import OrderStatus
from services.position_manager.service import PositionKeeper
from services.risk_manager.domain import decision
from services.trade_executor.domain.chains import Chain
from services.trade_executor.service import last_hop
from services.trade_executor.service.last_hop import LastHop
from services.trade_executor.service.resolving import Resolver
from tests.simulation.machine import Trap
from tests.simulation.plan import CALM, Plan
from tests.simulation.weather import Fault, Weather
from tests.simulation.world import simulate

pytestmark = pytest.mark.sweep

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Bug:
    """A safeguard that is gone, a story in which it is needed, and what must be found."""

    plant: Plant
    plan: Plan
    found: str
    seeds: int = 12


def the_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that is not found is given up at once."""
    monkeypatch.setattr(Resolver, "_fence_has_passed", lambda *_: True)


def the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction proves the epoch that the database has, not the one that the process took."""
    real = sealing.seal

    async def seal(transaction: Any, **facts: Any) -> Any:
        return await real(transaction, **{**facts, "epoch": transaction._schema.epoch})

    monkeypatch.setattr("libs.common.messaging.owner.seal", seal)


def the_inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill that was booked before is booked again."""
    real = PositionKeeper.on_fill

    async def on_fill(keeper: PositionKeeper, envelope: Any, ledger: Any) -> Any:
        async def never(*_: Any) -> bool:
            return False

        ledger.has_fill = never
        return await real(keeper, envelope, ledger)

    monkeypatch.setattr(PositionKeeper, "on_fill", on_fill)


def the_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading continues one record too far, which only a restart shows."""
    real = owner._after

    def after(record: Any, event_id: str) -> Any:
        return {
            place: Position(position.next_offset + 1, position.last_event_id)
            for place, position in real(record, event_id).items()
        }

    monkeypatch.setattr(owner, "_after", after)


def the_reservation(monkeypatch: pytest.MonkeyPatch) -> None:
    """An approval claims nothing of the limits."""
    real = decision.claim_of

    def claim_of(*facts: Any) -> Any:
        return replace(real(*facts), notional=Decimal(0))

    monkeypatch.setattr("services.risk_manager.service.judging.claim_of", claim_of)


def the_permit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries leave without looking for a permit."""

    async def granted(*_: Any) -> None:
        return None

    monkeypatch.setattr(LastHop, "_without_permit", granted)


def the_outbox_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read from the outbox is published backwards."""
    real = OutboxRelay._stored

    async def stored(relay: OutboxRelay) -> Any:
        return list(reversed(await real(relay)))

    monkeypatch.setattr(OutboxRelay, "_stored", stored)


def the_exit_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sale of unknown outcome does not keep the next one waiting, and nobody counts them before one is sent."""

    def has_unsent_sells(chain: Chain) -> bool:
        return any(order.is_unresolved and order.status is not OrderStatus.UNKNOWN for order in chain.sells)

    monkeypatch.setattr(Chain, "has_unresolved_sells", property(has_unsent_sells))
    monkeypatch.setattr(last_hop, "sale_is_within_holding", lambda *_: None)


UNSEEN = Weather(lag_s=3.0, stream_losses=1.0)
"""Neither queries nor the stream show at once what was accepted."""

SHORT = replace(CALM, seconds=20, rest_s_max=20, trails=False)
BUGS = {
    "fence": Bug(
        the_fence,
        replace(SHORT, faults=[Fault.RESET] * 3, weather=UNSEEN),
        "what is given up was never accepted",
    ),
    "epoch": Bug(
        the_epoch,
        replace(SHORT, signal_every_s=0.5, locks_every_s=1.5, standbys=["trade_executor"]),
        "only the owner writes",
    ),
    "inbox": Bug(the_inbox, replace(SHORT, doubled_rate=0.3), "balance_equals_exchange"),
    "offset": Bug(
        the_offset,
        replace(SHORT, traps=[Trap("position_manager", "committed", 40)]),
        "fill_is_booked_once",
    ),
    "reservation": Bug(
        the_reservation,
        replace(SHORT, signal_every_s=0.5, faults=[Fault.RESET] * 8, weather=UNSEEN),
        "exposure is within its limit",
    ),
    "permit": Bug(
        the_permit,
        replace(
            SHORT,
            signal_every_s=0.5,
            kafka_delay_s=1.6,
            exchange={"approval_lifetime_s": 10},
            traps=[Trap("risk_manager", "published orders.approved", nth, frozen_s=3.0) for nth in range(1, 9)],
        ),
        "an entry has a permit",
    ),
    "outbox order": Bug(the_outbox_order, replace(SHORT, doubled_rate=0.3), "events are published in account order"),
    "exit sequence": Bug(
        the_exit_sequence,
        replace(
            SHORT,
            seconds=30,
            signal_every_s=0.25,
            faults=[Fault.NONE, Fault.LOST] * 6,
            weather=UNSEEN,
            exchange={"entry_lists": False},  # where the exits are sent by themselves
        ),
        "coins from before are untouched",
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch):
    bug = BUGS[name]
    bug.plant(monkeypatch)

    found: set[str] = set()
    for seed in range(1, bug.seeds + 1):
        found |= {finding.invariant for finding in simulate(seed, bug.plan).findings}
        if bug.found in found:
            return

    pytest.fail(f"expected {bug.found!r} within {bug.seeds} seeds, found {sorted(found)}")
