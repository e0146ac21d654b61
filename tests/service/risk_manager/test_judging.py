from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import OrderApproved, OrderRefused, SignalGenerated
from libs.common.contracts.vocabulary import OrderStatus, Role, Side
from libs.common.control.halts import HaltRecord
from libs.common.errors import InvalidMessageError
from libs.trading.market import Quote
from services.risk_manager.domain.claims import Phase
from services.risk_manager.domain.trading_state import ReducingCause
from services.risk_manager.service.exposure import ExposureKeeper
from services.risk_manager.service.judging import SignalJudge
from services.risk_manager.service.ports import Reservation, ReservationOutcome
from tests.service.risk_manager.builders import (
    NOW,
    FakeBook,
    FakeInstruments,
    FakeMarket,
    FakeRecords,
    a_clock,
    a_configuration,
    a_mark,
    a_position,
    a_signal,
    an_active_account,
    an_exit,
    an_update,
    enveloped,
)


class Desk:
    """A judge and an exposure keeper over one set of fakes."""

    def __init__(self, *, accounts: tuple[str, ...] = ("main",), **sections: Any) -> None:
        self.records, self.book, self.market, self.clock = FakeRecords(), FakeBook(), FakeMarket(), a_clock()
        for account in accounts:
            an_active_account(self.records, account=account)
        self.judge = SignalJudge(
            configuration=a_configuration(exchange={"accounts": accounts}, **sections),
            epoch=lambda: 7,
            book=self.book,
            market=self.market,
            instruments=FakeInstruments(),
            clock=self.clock,
        )
        self.keeper = ExposureKeeper(book=self.book)

    async def marked(self) -> "Desk":
        for account in self.records.states:
            await self.records.save_mark(a_mark(account=account))
        return self

    async def judged(self, signal: SignalGenerated) -> list[Event]:
        return await self.records.transact(self.judge.on_signal(enveloped(signal), self.records))

    async def approved(self, signal: SignalGenerated) -> OrderApproved:
        (answer,) = await self.judged(signal)
        assert isinstance(answer, OrderApproved), answer
        return answer

    async def refused(self, signal: SignalGenerated) -> OrderRefused:
        (answer,) = await self.judged(signal)
        assert isinstance(answer, OrderRefused), answer
        return answer

    async def updated(self, approved: OrderApproved, **changes: Any) -> None:
        update = enveloped(an_update(approved, **changes))
        await self.records.transact(self.keeper.on_order_updated(update, self.records))

    async def held(self, quantity: str = "0.004", **changes: Any) -> None:
        position = enveloped(a_position(quantity, **changes))
        await self.records.transact(self.keeper.on_position_changed(position, self.records))


async def test_an_entry_is_approved_with_everything_the_executor_needs() -> None:
    desk = await Desk().marked()

    answer = await desk.approved(a_signal())

    assert answer.quantity == Decimal("0.00399")  # 10 000 USDT x 2 % / 50 050 USDT per BTC, floored to 0.00001
    assert answer.limit_price == Decimal("50050.00")  # the mid of 50 000 and the collar of 0.1 %
    assert answer.expires_at == NOW + timedelta(seconds=2)
    assert (answer.stop_loss, answer.take_profit) == (Decimal(49_500), Decimal(51_000))
    assert answer.risk_epoch == 7


@pytest.mark.parametrize(
    ("sizing", "quantity", "told"),
    [
        ({}, "0.00399", "2 % of the equity"),
        # 2 USDT / (50 050 - 49 500 + 2 x 0.1 % of 50 050)
        ({"method": "risk_per_trade"}, "0.00307", "0.02 % of the equity at risk, at most 2 % of the equity"),
        # 5 USDT / (0.0005 x sqrt(1 440)) = 263.5 USDT would be more than 2 %
        (
            {"method": "volatility_target"},
            "0.00399",
            "0.05 % of the equity as a day's volatility, at most 2 % of the equity",
        ),
        # 2.5 USDT / (0.0005 x sqrt(1 440)) = 131.76 USDT
        (
            {"method": "volatility_target", "volatility_pct": "0.025"},
            "0.00263",
            "0.025 % of the equity as a day's volatility, at most 2 % of the equity",
        ),
    ],
)
async def test_an_entry_is_sized_as_configured_and_the_decision_tells_how(
    sizing: dict[str, str], quantity: str, told: str
) -> None:
    desk = await Desk(strategy={"sizing": sizing}).marked()
    desk.market.now = replace(desk.market.now, volatility_rate=Decimal("0.0005"))

    answer = await desk.approved(a_signal())

    assert answer.quantity == Decimal(quantity)
    _, facts = desk.records.decisions["main", answer.signal_id]
    assert facts.inputs["sizing"] == told


async def test_an_approval_expires_on_the_exchanges_time() -> None:
    desk = await Desk().marked()
    desk.market.now = replace(desk.market.now, clock_skew_ms=-300)

    answer = await desk.approved(a_signal())

    assert answer.expires_at == NOW + timedelta(milliseconds=1_700)  # 2 s less 300 ms


async def test_a_signal_that_comes_again_gets_no_second_answer() -> None:
    desk = await Desk().marked()
    await desk.approved(a_signal())

    assert await desk.judged(a_signal()) == []
    assert len(desk.records.claims) == 1


async def test_every_account_that_subscribes_gets_exactly_one_answer() -> None:
    desk = await Desk(accounts=("main", "second")).marked()

    answers = await desk.judged(a_signal())

    assert [getattr(answer, "account", None) for answer in answers] == ["main", "second"]
    assert len({getattr(answer, "intent_id", None) for answer in answers}) == 2


async def test_a_signal_for_one_account_is_answered_for_it_alone() -> None:
    desk = await Desk(accounts=("main", "second")).marked()

    answers = await desk.judged(a_signal(account="second"))

    assert [getattr(answer, "account", None) for answer in answers] == ["second"]


async def test_a_signal_for_an_unknown_account_is_poison() -> None:
    with pytest.raises(InvalidMessageError, match="unknown account"):
        await Desk().judged(a_signal(account="nobody"))


async def test_without_a_mark_of_the_equity_entries_are_refused() -> None:
    assert (await Desk().refused(a_signal())).reason == "EQUITY_IS_STALE"


async def test_without_the_exchanges_rules_entries_are_refused() -> None:
    desk = await Desk().marked()

    assert (await desk.refused(a_signal(symbol="SOL/USDT"))).reason == "INSTRUMENT_IS_UNKNOWN"


@pytest.mark.parametrize("role", [Role.LIQUIDATION, Role.PROTECTION])
async def test_a_signal_cannot_ask_for_what_needs_an_order_from_above(role: Role) -> None:
    desk = await Desk().marked()
    await desk.held()

    assert (await desk.refused(an_exit(role=role))).reason == "ROLE_NEEDS_AN_ORDER_FROM_ABOVE"


async def test_the_newest_quote_counts_not_the_signals() -> None:
    desk = await Desk().marked()
    moved = Decimal(52_000)
    desk.market.newest = Quote("BTC/USDT", moved, moved + 1, Decimal(1), Decimal(1), at_ms=2**62)

    assert (await desk.refused(a_signal())).reason == "PRICE_IS_OUTSIDE_COLLAR"


async def test_an_order_under_way_keeps_its_symbol_until_its_position_is_known() -> None:
    desk = await Desk(safety={"duplicate_window_s": 1}).marked()
    approved = await desk.approved(a_signal("first"))
    desk.clock.advance(2)
    later = {"occurred_at": desk.clock.now()}

    assert (await desk.refused(a_signal("second", **later))).reason == "POSITION_IS_OPEN"
    await desk.updated(
        approved,
        revision=2,
        status=OrderStatus.FILLED,
        final=True,
        filled_quantity=Decimal("0.00399"),
        filled_amount=Decimal("199.5"),
    )
    assert (await desk.refused(a_signal("third", **later))).reason == "POSITION_IS_OPEN"
    await desk.held("0.00398601")  # 0.00399 less the fee of 0.1 %
    (claim,) = desk.records.claims.values()
    assert claim.phase is Phase.RELEASED
    await desk.held("0", revision=2, round_trips=1)

    await desk.approved(a_signal("fourth", **later))


async def test_an_order_that_bought_nothing_releases_its_reservation() -> None:
    desk = await Desk().marked()
    approved = await desk.approved(a_signal("first"))
    await desk.updated(approved, status=OrderStatus.EXPIRED, final=True)
    desk.clock.advance(2)

    await desk.approved(a_signal("second", occurred_at=desk.clock.now()))

    assert desk.book.claims[approved.intent_id].notional == 0


async def test_an_order_of_unknown_outcome_keeps_its_whole_claim() -> None:
    desk = await Desk().marked()
    approved = await desk.approved(a_signal("first"))

    await desk.updated(approved, status=OrderStatus.UNKNOWN)

    claim = desk.records.claims[approved.intent_id]
    assert claim.phase is Phase.UNKNOWN
    assert claim.notional == Decimal("199.69950000")  # 0.00399 BTC x 50 050


async def test_a_position_reported_before_the_orders_last_update_settles_it() -> None:
    desk = await Desk().marked()
    approved = await desk.approved(a_signal())
    await desk.held("0.00398601")

    filled = {"filled_quantity": Decimal("0.00399"), "filled_amount": Decimal("199.5")}
    await desk.updated(approved, revision=2, status=OrderStatus.FILLED, final=True, **filled)

    assert desk.records.claims[approved.intent_id].phase is Phase.RELEASED


async def test_an_old_update_changes_nothing() -> None:
    desk = await Desk().marked()
    approved = await desk.approved(a_signal())
    await desk.updated(approved, revision=3, status=OrderStatus.UNKNOWN)

    await desk.updated(approved, revision=2, status=OrderStatus.ACCEPTED)

    assert desk.records.claims[approved.intent_id].phase is Phase.UNKNOWN


async def test_updates_of_orders_that_are_no_approval_of_ours_claim_nothing() -> None:
    desk, other = await Desk().marked(), await Desk().marked()
    protection = await other.approved(a_signal())

    await desk.updated(protection, status=OrderStatus.ACCEPTED)

    assert desk.records.claims == {}


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (ReservationOutcome.UNAVAILABLE, "RISK_STATE_IS_UNAVAILABLE"),
        (ReservationOutcome.EXPOSURE_IS_ABOVE_LIMIT, "EXPOSURE_IS_ABOVE_LIMIT"),
        (ReservationOutcome.POSITION_LIMIT_IS_REACHED, "POSITION_LIMIT_IS_REACHED"),
    ],
)
async def test_what_cannot_be_reserved_is_refused(outcome: ReservationOutcome, reason: str) -> None:
    desk = await Desk().marked()
    desk.book.answer = Reservation(outcome, "seen")

    assert (await desk.refused(a_signal())).reason == reason
    assert desk.records.claims == {}


async def test_a_refused_entry_reserves_nothing() -> None:
    desk = await Desk().marked()

    await desk.refused(a_signal(quality_score=1))

    assert desk.book.reserved == []


async def test_an_exit_sells_the_whole_position_at_market_without_a_reservation() -> None:
    desk = await Desk().marked()
    await desk.held("0.003986015")

    answer = await desk.approved(an_exit())

    assert (answer.side, answer.quantity, answer.limit_price) == (Side.SELL, Decimal("0.00398"), None)
    assert desk.book.reserved == []


async def test_an_exit_bypasses_the_limits_of_entries() -> None:
    desk = Desk()  # no mark of the equity
    desk.market.now = replace(desk.market.now, calm=False, data_age_ms=60_000)
    await desk.held()

    await desk.approved(an_exit())


async def test_an_exit_without_a_position_is_refused() -> None:
    assert (await (await Desk().marked()).refused(an_exit())).reason == "NO_POSITION_IS_OPEN"


async def test_one_exit_of_a_symbol_at_a_time() -> None:
    desk = await Desk().marked()
    await desk.held()
    first = await desk.approved(an_exit("exit-1"))

    assert (await desk.refused(an_exit("exit-2"))).reason == "EXIT_IS_UNDER_WAY"
    await desk.updated(first, status=OrderStatus.REJECTED, final=True)

    await desk.approved(an_exit("exit-3"))


@pytest.mark.parametrize(
    ("changes", "entry", "leave"),
    [
        ({}, True, True),
        ({"wants_active": False}, False, True),
        ({"causes": frozenset({ReducingCause.EQUITY_IS_STALE})}, False, True),
        ({"halts": (HaltRecord(halt_id="h", account="main", halted_at=NOW),)}, False, False),
        ({"halts": (HaltRecord(halt_id="h", account="main", scope_symbol="BTC/USDT", halted_at=NOW),)}, False, False),
        ({"halts": (HaltRecord(halt_id="h", account="main", scope_symbol="ETH/USDT", halted_at=NOW),)}, True, True),
        ({"halts": (HaltRecord(halt_id="h", account="main", scope_strategy="other", halted_at=NOW),)}, True, True),
    ],
)
async def test_the_state_decides_what_may_be_sent(changes: dict[str, Any], *, entry: bool, leave: bool) -> None:
    desk = await Desk().marked()
    an_active_account(desk.records, **changes)

    (entered,) = await desk.judged(a_signal())
    assert isinstance(entered, OrderApproved) is entry

    desk.records.claims.clear()
    await desk.held()
    (left,) = await desk.judged(an_exit())
    assert isinstance(left, OrderApproved) is leave


async def test_a_liquidation_sells_every_position_of_the_scope_in_any_state() -> None:
    desk = await Desk().marked()
    await desk.held()
    await desk.held("0.1", symbol="ETH/USDT", cost=Decimal(400))
    halt = HaltRecord(halt_id="halt-1", account="main", halted_at=NOW, liquidate=True)
    state = an_active_account(desk.records, halts=(halt,), halt_epoch=4)

    orders = await desk.judge.liquidate(halt, state, desk.records)
    again = await desk.judge.liquidate(halt, state, desk.records)

    approvals = [order for order in orders if isinstance(order, OrderApproved)]
    assert {order.symbol for order in approvals} == {"BTC/USDT", "ETH/USDT"}
    assert {(order.role, order.halt_epoch) for order in approvals} == {(Role.LIQUIDATION, 4)}
    assert again == []


async def test_a_liquidation_of_a_symbol_leaves_the_others() -> None:
    desk = await Desk().marked()
    await desk.held()
    await desk.held("0.1", symbol="ETH/USDT")
    halt = HaltRecord(halt_id="h", account="main", scope_symbol="ETH/USDT", halted_at=NOW, liquidate=True)

    (order,) = await desk.judge.liquidate(halt, an_active_account(desk.records, halts=(halt,)), desk.records)

    assert isinstance(order, OrderApproved)
    assert order.symbol == "ETH/USDT"


async def test_a_stop_that_trails_by_less_than_the_symbols_tick_is_refused():
    desk = await Desk().marked()

    refused = await desk.refused(a_signal(trailing_distance=Decimal("0.009")))

    assert (refused.reason, refused.observed) == ("PROTECTION_IS_IMPOSSIBLE", "0.009")
