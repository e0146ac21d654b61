"""The model speaks of the code: the same durations, the same statuses, the same claims."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from libs.common.configuration.sections import ExchangeSection
from libs.common.contracts.vocabulary import Role as ContractRole
from libs.common.contracts.vocabulary import Side as ContractSide
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from services.risk_manager.domain.claims import Claim, Phase
from services.trade_executor.domain.orders import DOUBT, WATCH, Authority, ExecutorOrder
from services.trade_executor.service.events import order_updated
from services.trade_executor.service.last_hop import ENTRY_AGE_MS_MAX, REDUCTION_AGE_MS_MAX
from services.trade_executor.service.resolving import NOT_FOUND_APART_S
from services.trade_executor.settings import Settings
from tests.unit.order_protocol.protocol_policies import PROTOCOL, Timing
from tests.unit.order_protocol.protocol_state import ADOPTED, Row, claims, is_unresolved

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNED_AT_MS = 1_767_225_600_000
NOTIONAL = Decimal(100)

REAL = Timing(recv_window=1_000, engine_delay=10_000, query_lag=3_000, clock_error=1_000, quarantine=60_000)
"""In milliseconds, from Binance's documents: general information (timing security; the API's time-out of 10 s), and the
limit that market status puts on the error of our reckoning. The lag of a query is ours: three times what was seen."""


def an_order(status: OrderStatus = OrderStatus.PREPARED, **changes: object) -> ExecutorOrder:
    intent_id = uuid.UUID(int=1)
    order = ExecutorOrder(
        intent_id=intent_id,
        chain_id=intent_id,
        account="main",
        symbol="BTC/USDT",
        side=Side.BUY,
        role=Role.ENTRY,
        approved=True,
        strategy="ema_cross",
        signal_id="signal",
        client_order_id="ctE-test00-aaaaaaaaaaaaaaaaaaaaaaaa",
        order_type=OrderType.LIMIT,
        quantity=Decimal(1),
        authority=Authority(
            halt_epoch=0, risk_epoch=1, configuration_version=1, configuration_hash="hash", epoch=1, expires_at=None
        ),
        created_at=NOW,
        updated_at=NOW,
        signed_at_ms=SIGNED_AT_MS,
    )
    return order.changed(NOW, status=status, **changes)


def test_the_fence_of_the_code_has_exactly_the_terms_of_the_model():
    assert REAL.fence == DOUBT.fence_ms == Settings.model_fields["fence_ms"].default
    assert an_order().recv_window_ms == ExchangeSection().recv_window_ms == REAL.recv_window
    assert DOUBT.fence_at_ms(an_order()) == SIGNED_AT_MS + REAL.recv_window + REAL.fence
    assert DOUBT.fence_at_ms(an_order()) - SIGNED_AT_MS - REAL.clock_error == REAL.settled


def test_every_duration_of_the_model_is_at_least_a_tick_as_every_one_of_the_code_is_above_zero():
    scaled = PROTOCOL.timing

    for name in ("recv_window", "engine_delay", "query_lag", "clock_error", "quarantine"):
        assert getattr(scaled, name) > 0
        assert getattr(REAL, name) > 0
    assert timedelta(milliseconds=REAL.quarantine) == DOUBT.quarantine
    assert timedelta(hours=24) == WATCH
    assert DOUBT.quarantine < WATCH
    assert PROTOCOL.not_founds == 2
    assert NOT_FOUND_APART_S > 0  # a second question is asked after the first was answered


def test_the_last_hop_lets_nothing_leave_that_the_gateway_would_refuse():
    assert max(ENTRY_AGE_MS_MAX, REDUCTION_AGE_MS_MAX) < REAL.recv_window


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("status", OrderStatus)
def test_the_model_and_the_code_agree_which_orders_are_unresolved(status, released):
    if released and status is not OrderStatus.QUARANTINED:
        return
    released_at = NOW if released else None

    assert is_unresolved(Row(status, 0, released=released)) is an_order(status, released_at=released_at).is_unresolved


@pytest.mark.parametrize("status", [OrderStatus.ABANDONED, OrderStatus.NOT_ACCEPTED])
@pytest.mark.parametrize("known", OrderStatus)
def test_a_finding_of_ours_never_overrides_the_exchanges_word(known, status):
    ended = an_order(known).ended(NOW, status, "")

    assert ended.status is max(known, status, key=lambda each: each.rank)
    assert ADOPTED.rank > OrderStatus.NOT_ACCEPTED.rank > OrderStatus.QUARANTINED.rank


def a_claim() -> Claim:
    return Claim(
        account="main",
        intent_id=uuid.UUID(int=1),
        signal_id="signal",
        strategy="ema_cross",
        symbol="BTC/USDT",
        side=ContractSide.BUY,
        role=ContractRole.ENTRY,
        phase=Phase.RESERVED,
        notional=NOTIONAL,
        quantity=Decimal(1),
        approved_at=NOW,
        updated_at=NOW,
    )


QUARANTINED = {"quarantined_at": NOW}
FILLED = {"filled_quantity": Decimal(1), "filled_amount": Decimal(99), "final": True}
LIFE = (
    # revision, the order, what it claims from then on
    (1, an_order(), NOTIONAL),
    (2, an_order(OrderStatus.UNKNOWN), NOTIONAL),
    (3, an_order(OrderStatus.QUARANTINED, **QUARANTINED), NOTIONAL),
    (4, an_order(OrderStatus.QUARANTINED, **QUARANTINED, released_at=NOW, final=True), Decimal(0)),
    (5, an_order(OrderStatus.FILLED, **QUARANTINED, released_at=NOW, **FILLED), Decimal(99)),
)
"""The order that comes after its release, step by step."""


@pytest.mark.parametrize("order_with_claim", LIFE, ids=lambda each: str(each[0]))
def test_the_model_and_the_code_agree_what_an_order_claims(order_with_claim):
    _, order, notional = order_with_claim
    row = Row(order.status, 0, released=order.released_at is not None)

    assert claims(row) is (a_claim().after(order_updated(order).model_copy(update={"revision": 1})).notional > 0)
    assert claims(row) is (notional > 0)


def test_a_release_and_a_late_fill_count_once_however_their_updates_repeat_and_overtake_each_other():
    updates = {revision: order_updated(order).model_copy(update={"revision": revision}) for revision, order, _ in LIFE}
    expected = {revision: notional for revision, _, notional in LIFE}

    for heard in itertools.product(updates, repeat=len(LIFE)):
        claim = a_claim()
        for revision in heard:
            claim = claim.after(updates[revision])

        assert claim.notional == expected[max(heard)], heard
