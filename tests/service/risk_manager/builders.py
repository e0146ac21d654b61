# ruff: noqa: ARG002 - fakes have the signatures of what they stand for
"""Builders of what the risk manager hears, and fakes of what it needs, shared by its tests."""

import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from libs.common.configuration import LiveConfiguration, SourcedConfiguration, TradingConfiguration
from libs.common.configuration.keys import flat
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import (
    ControlCommanded,
    EquityMarked,
    MarketStatusChanged,
    OperatorKeyChanged,
    OrderApproved,
    OrderRefused,
    OrderUpdated,
    PositionChanged,
    SignalGenerated,
)
from libs.common.contracts.vocabulary import OrderStatus, Role, Side, StopTrigger
from libs.common.control.commands import CommandHistory, issue_command
from libs.common.control.operators import OperatorKey, Operators
from libs.common.errors import RetryableError
from libs.trading.instruments import Instrument
from libs.trading.market import Quote
from libs.trading.money import exact
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.domain.configuration import ConfigurationVersion
from services.risk_manager.domain.figures import AccountSnapshot, MarketFacts, RecentOrders, StoredMark
from services.risk_manager.domain.resuming import OpenDifference
from services.risk_manager.domain.trading_state import AccountState
from services.risk_manager.domain.trips import CountedSetbacks, Trips
from services.risk_manager.service.configuring import ConfigurationKeeper
from services.risk_manager.service.ports import DecisionFacts, Reservation, ReservationOutcome, RiskRecords
from tests.support.clock import FakeClock

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
ALICE = OperatorKey.generate()
OPERATORS = Operators({}).with_key(ALICE, issuer="alice")

BTC = Instrument(
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    price_tick=Decimal("0.01"),
    price_min=Decimal("0.01"),
    price_max=Decimal(1_000_000),
    quantity_step=Decimal("0.00001"),
    quantity_min=Decimal("0.00001"),
    quantity_max=Decimal(9_000),
    market_quantity_step=Decimal(0),
    market_quantity_min=Decimal(0),
    market_quantity_max=Decimal(100),
    notional_min=Decimal(5),
)
ETH = replace(BTC, symbol="ETH/USDT", base="ETH")


def enveloped(event: Event, **changes: Any) -> Envelope[Any]:
    return Envelope(**{"event": event, "event_id": uuid.uuid4(), "recorded_at": NOW, **changes})


def a_configuration(**sections: Mapping[str, Any]) -> LiveConfiguration:
    return LiveConfiguration(TradingConfiguration.model_validate(sections))


def a_keeper(live: LiveConfiguration) -> ConfigurationKeeper:
    """Return what changes a configuration that its first start was given as it is."""
    origins = dict.fromkeys(flat(live.current.model_dump()), "default")
    return ConfigurationKeeper(started_with=SourcedConfiguration(live.current, origins), live=live, clock=a_clock())


def a_signal(signal_id: str = "signal-1", **changes: Any) -> SignalGenerated:
    fields: dict[str, Any] = {
        "occurred_at": NOW,
        "signal_id": signal_id,
        "strategy": "ema_cross",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "role": Role.ENTRY,
        "reference_price": Decimal(50_000),
        "stop_loss": Decimal(49_500),
        "take_profit": Decimal(51_000),
        "quality_score": 80,
        "bid": Decimal("49999.99"),
        "ask": Decimal("50000.01"),
    }
    return SignalGenerated(**{**fields, **changes})


def an_exit(signal_id: str = "exit-1", **changes: Any) -> SignalGenerated:
    exit_fields = {"side": Side.SELL, "role": Role.EXIT, "stop_loss": None, "take_profit": None}
    return a_signal(signal_id, **{**exit_fields, **changes})


def a_mark(equity: str = "10000", **changes: Any) -> EquityMarked:
    fields: dict[str, Any] = {
        "occurred_at": NOW,
        "account": "main",
        "equity": Decimal(equity),
        "confirmed": True,
        "day": date(2026, 1, 5),
        "day_start_equity": Decimal(10_000),
        "peak_24h": Decimal(10_000),
        "pnl_today": Decimal(0),
        "realised_pnl": Decimal(0),
        "unrealised_pnl": Decimal(0),
        "quote_free": Decimal(10_000),
        "positions_open": 0,
    }
    return EquityMarked(**{**fields, **changes})


def a_position(quantity: str = "0.004", **changes: Any) -> PositionChanged:
    held = Decimal(quantity)
    fields: dict[str, Any] = {
        "occurred_at": NOW,
        "account": "main",
        "symbol": "BTC/USDT",
        "revision": 1,
        "strategy": "ema_cross",
        "quantity": held,
        "cost": held * 50_000,
        "entry_price": Decimal(50_000) if held else None,
        "realised_pnl": Decimal(0),
        "fees": Decimal(0),
    }
    return PositionChanged(**{**fields, **changes})


def an_update(approved: OrderApproved, **changes: Any) -> OrderUpdated:
    fields: dict[str, Any] = {
        "occurred_at": NOW,
        "intent_id": approved.intent_id,
        "revision": 1,
        "account": approved.account,
        "symbol": approved.symbol,
        "side": approved.side,
        "role": approved.role,
        "client_order_id": "ctE-aaaaaa-x",
        "order_type": "LIMIT",
        "status": OrderStatus.ACCEPTED,
        "quantity": approved.quantity,
        "filled_quantity": Decimal(0),
        "filled_amount": Decimal(0),
    }
    return OrderUpdated(**{**fields, **changes})


def a_status(**changes: Any) -> MarketStatusChanged:
    fields: dict[str, Any] = {
        "occurred_at": NOW,
        "symbol": "BTC/USDT",
        "reachable": True,
        "calm": True,
        "trading": True,
        "data_age_ms": 100,
        "volatility_rate": Decimal("0.001"),
    }
    return MarketStatusChanged(**{**fields, **changes})


def a_command(command: str = "HALT", *, now: datetime = NOW, **changes: Any) -> ControlCommanded:
    fields: dict[str, Any] = {
        "command": command,
        "account": "main",
        "reason": "drill",
        "issuer": "alice",
        "key": ALICE,
        "command_id": uuid.uuid4(),
        "now": now,
    }
    return issue_command(**{**fields, **changes})


class FakeRecords(RiskRecords):
    """The stored risk state in memory; `transact` runs work and then what it left for after the commit."""

    def __init__(self) -> None:
        self.decisions: dict[tuple[str, str], tuple[OrderApproved | OrderRefused, DecisionFacts]] = {}
        self.claims: dict[uuid.UUID, Claim] = {}
        self.held: dict[tuple[str, str], HeldPosition] = {}
        self.marks: dict[str, StoredMark] = {}
        self.versions: list[ConfigurationVersion] = []
        self.counted: dict[str, CountedSetbacks] = {}
        self.tripped: dict[tuple[str, str], Trips] = {}
        self.warned: set[tuple[str, date]] = set()
        self.states: dict[str, AccountState] = {}
        self.settled: set[tuple[str, str]] = set()
        self.commands: dict[uuid.UUID, tuple[ControlCommanded, str | None, str]] = {}
        self.keys: dict[str, OperatorKeyChanged] = {}
        self._effects: list[Callable[[], None]] = []

    async def transact(self, work: Coroutine[Any, Any, Sequence[Event]]) -> list[Event]:
        events = await work
        effects, self._effects = self._effects, []
        for effect in effects:
            effect()
        return list(events)

    async def transact_unanswered(self, work: Coroutine[Any, Any, Sequence[Event]]) -> None:
        """Run work whose commit takes effect, and then lose the connection."""
        await work
        self._effects.clear()
        raise RetryableError("the connection was lost")

    def after_commit(self, effect: Callable[[], None]) -> None:
        self._effects.append(effect)

    async def snapshot(self, account: str, signal_id: str, *, now: datetime) -> AccountSnapshot:
        if account not in self.states:
            raise LookupError(account)
        claims = [claim for claim in self.claims.values() if claim.account == account]
        return AccountSnapshot(
            decided=(account, signal_id) in self.decisions,
            state=self.states[account],
            mark=self.marks.get(account),
            positions=await self.positions(account),
            claims=await self.open_claims(account),
            recent=RecentOrders(
                orders_last_minute=sum(claim.approved_at > now - timedelta(minutes=1) for claim in claims),
                last_entries={claim.symbol: claim.approved_at for claim in claims if claim.role is Role.ENTRY},
            ),
        )

    async def save_refusal(self, answer: OrderRefused, facts: DecisionFacts) -> None:
        assert (answer.account, answer.signal_id) not in self.decisions
        self.decisions[answer.account, answer.signal_id] = (answer, facts)

    async def save_approval(self, answer: OrderApproved, facts: DecisionFacts, claim: Claim) -> None:
        assert (answer.account, answer.signal_id) not in self.decisions
        self.decisions[answer.account, answer.signal_id] = (answer, facts)
        self.claims[claim.intent_id] = claim

    async def claim(self, intent_id: uuid.UUID) -> Claim | None:
        return self.claims.get(intent_id)

    async def open_claims(self, account: str) -> Sequence[Claim]:
        return [
            claim for claim in self.claims.values() if claim.account == account and claim.phase is not Phase.RELEASED
        ]

    async def save_claim(self, claim: Claim) -> None:
        self.claims[claim.intent_id] = claim

    async def bought_by_released(self, account: str, symbol: str, *, since: Decimal) -> Decimal:
        released = (
            claim
            for claim in self.claims.values()
            if (claim.account, claim.symbol, claim.role, claim.phase) == (account, symbol, Role.ENTRY, Phase.RELEASED)
        )
        with exact():
            return sum(
                (
                    claim.filled_quantity
                    for claim in released
                    if claim.bought_before is not None and claim.bought_before >= since
                ),
                Decimal(0),
            )

    async def positions(self, account: str) -> Sequence[HeldPosition]:
        return [position for (owner, _), position in self.held.items() if owner == account]

    async def save_position(self, position: HeldPosition, *, at: datetime) -> bool:
        before = self.held.get((position.account, position.symbol))
        if before is not None and before.revision >= position.revision:
            return False
        self.held[position.account, position.symbol] = position
        return True

    async def mark(self, account: str) -> StoredMark | None:
        return self.marks.get(account)

    async def save_mark(self, mark: EquityMarked) -> bool:
        before = self.marks.get(mark.account)
        if before is not None and before.marked_at >= mark.occurred_at:
            return False
        self.marks[mark.account] = StoredMark(
            account=mark.account,
            equity=mark.equity,
            confirmed=mark.confirmed,
            marked_at=mark.occurred_at,
            day=mark.day,
            day_start_equity=mark.day_start_equity,
            peak_24h=mark.peak_24h,
            quote_free=mark.quote_free,
            bids=mark.marks,
        )
        return True

    async def warn_once(self, account: str, day: date) -> bool:
        if (account, day) in self.warned:
            return False
        self.warned.add((account, day))
        return True

    async def setbacks(self, account: str) -> CountedSetbacks:
        return self.counted.get(account, CountedSetbacks(account=account))

    async def save_setbacks(self, counted: CountedSetbacks) -> None:
        self.counted[counted.account] = counted

    async def trips(self, account: str, symbol: str) -> Trips | None:
        return self.tripped.get((account, symbol))

    async def save_trips(self, trips: Trips) -> None:
        self.tripped[trips.account, trips.symbol] = trips

    async def find_state(self, account: str) -> AccountState | None:
        return self.states.get(account)

    async def state(self, account: str) -> AccountState:
        return self.states[account]

    async def save_state(self, state: AccountState) -> None:
        before = self.states.get(state.account)
        latched = {halt.halt_id for halt in state.halts}
        if before is not None:
            self.settled |= {(state.account, halt.halt_id) for halt in before.halts if halt.halt_id not in latched}
        self.states[state.account] = state

    async def is_settled(self, account: str, halt_id: str) -> bool:
        return (account, halt_id) in self.settled

    async def configuration(self) -> ConfigurationVersion | None:
        return self.versions[-1] if self.versions else None

    async def save_configuration(self, version: ConfigurationVersion) -> None:
        self.versions.append(version)

    async def command_history(self, command: ControlCommanded) -> CommandHistory:
        sequences = [
            known.sequence
            for known, refusal, _ in self.commands.values()
            if known.key_id == command.key_id and refusal is None and known.command != "HALT"
        ]
        return CommandHistory(seen=command.command_id in self.commands, sequence_last=max(sequences, default=-1))

    async def operator_keys(self) -> Mapping[str, OperatorKeyChanged]:
        return dict(self.keys)

    async def save_operator_key(self, change: OperatorKeyChanged) -> None:
        self.keys[change.key_id] = change

    async def save_command(self, command: ControlCommanded, *, refusal: str | None, path: str, at: datetime) -> None:
        self.commands.setdefault(command.command_id, (command, refusal, path))


class FakeBook:
    """A shared risk state that answers as told and remembers what was brought to it."""

    def __init__(self) -> None:
        self.answer = Reservation(ReservationOutcome.RESERVED)
        self.reserved: list[Claim] = []
        self.claims: dict[uuid.UUID, Claim] = {}
        self.held: dict[str, HeldPosition] = {}

    async def reserve(self, claim: Claim, *, positions_max: int, exposure_max: Decimal) -> Reservation:
        self.reserved.append(claim)
        return self.answer

    def claim_changed(self, claim: Claim) -> None:
        self.claims[claim.intent_id] = claim

    def position_changed(self, position: HeldPosition) -> None:
        self.held[position.symbol] = position


class FakeMarket:
    """A calm market, unless told otherwise."""

    def __init__(self) -> None:
        self.now = MarketFacts(
            reachable=True, calm=True, trading=True, data_age_ms=100, volatility_rate=Decimal("0.001"), clock_skew_ms=0
        )
        self.newest: Quote | None = None

    def facts(self, symbol: str) -> MarketFacts:
        return self.now

    async def quote(self, symbol: str) -> Quote | None:
        return self.newest


class FakeInstruments:
    """The rules of BTC/USDT and ETH/USDT."""

    def __init__(self, *instruments: Instrument) -> None:
        self._instruments = {each.symbol: each for each in instruments or (BTC, ETH)}

    def get(self, symbol: str) -> Instrument | None:
        return self._instruments.get(symbol)


class FakeConditions:
    """The emergencies that persist, as told."""

    def __init__(self) -> None:
        self.found: dict[StopTrigger, str] = {}
        self.differing: list[OpenDifference] = []

    async def persisting(self, account: str, records: RiskRecords) -> Mapping[StopTrigger, str]:
        return self.found

    async def differences(self, account: str) -> Sequence[OpenDifference]:
        return self.differing


def an_active_account(records: FakeRecords, **changes: Any) -> AccountState:
    state = AccountState(**{"account": "main", "since": NOW, "wants_active": True, **changes})
    records.states[state.account] = state
    return state


def a_clock() -> FakeClock:
    return FakeClock(NOW)
