"""The bounds of a claim and of an order's view that a changed line would move."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.common.contracts.vocabulary import Role, Side
from libs.trading.orders import OrderView
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


CLAIM = Claim(
    account="main",
    intent_id=uuid.UUID(int=1),
    signal_id="one",
    strategy="ema_cross",
    symbol="BTC/USDT",
    side=Side.BUY,
    role=Role.ENTRY,
    phase=Phase.FILLED,
    notional=Decimal(100),
    quantity=Decimal(1),
    filled_quantity=Decimal(1),
    approved_at=NOW,
    updated_at=NOW,
)


@pytest.mark.parametrize(("quantity", "is_settled"), [("0.99", True), ("0.98999", False)])
def test_an_entry_is_settled_by_a_position_that_lacks_no_more_than_a_hundredth_of_it(quantity, is_settled):
    claim = CLAIM
    position = HeldPosition(
        account="main", symbol="BTC/USDT", revision=1, quantity=Decimal(quantity), cost=Decimal(100), round_trips=0
    )

    assert (claim.filled_amount, claim.round_trips) == (Decimal(0), 0)
    assert claim.settled_by(position) is is_settled


def test_the_first_update_of_an_order_counts():
    assert CLAIM.revision == 0


@pytest.mark.parametrize(
    ("claim", "may_have_bought"),
    [
        (replace(CLAIM, phase=Phase.WORKING, filled_quantity=Decimal("0.4")), "1"),
        (replace(CLAIM, phase=Phase.FILLED, filled_quantity=Decimal("0.4")), "0.4"),
        (replace(CLAIM, phase=Phase.RELEASED, filled_quantity=Decimal(0)), "0"),
        (replace(CLAIM, phase=Phase.WORKING, role=Role.EXIT, side=Side.SELL), "0"),
    ],
)
def test_an_entry_may_have_bought_all_of_itself_while_it_is_open_and_what_filled_afterwards(claim, may_have_bought):
    assert claim.may_have_bought == Decimal(may_have_bought)


def test_an_order_that_nothing_is_known_of_has_filled_nothing():
    view = OrderView(client_order_id="ctE-aaaaaa-x", quantity=Decimal(1))

    assert (view.filled_quantity, view.filled_amount, view.execution_id) == (Decimal(0), Decimal(0), -1)


def test_a_released_claim_claims_nothing():
    assert CLAIM.released(at=NOW).notional == 0
