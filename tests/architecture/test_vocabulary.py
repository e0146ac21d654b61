"""The core and the contracts import nothing of each other and use the same words."""

import re
from enum import Enum

import pytest

from libs.common.contracts import vocabulary
from libs.common.contracts.events import OrderRefused
from libs.trading import market, orders
from libs.trading.matching import types as matching
from libs.trading.risk import reasons, states

UNPUBLISHED = {"CANCEL"}
"""What the core rules on and nobody orders: a cancel of an entry has no role in an event."""

FOLDED = {"NOT_ACCEPTED"}
"""The core tells why an order is dead more finely than others need to know: they are told REJECTED."""


@pytest.mark.parametrize(
    ("ours", "published"),
    [
        (market.Side, vocabulary.Side),
        (matching.Side, vocabulary.Side),
        (states.Role, vocabulary.Role),
        (states.TradingState, vocabulary.TradingState),
    ],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_the_cores_words_are_the_published_ones(ours: type[Enum], published: type[Enum]) -> None:
    words = {(word.name, word.value) for word in ours if word.name not in UNPUBLISHED}

    assert words == {(word.name, word.value) for word in published}


def test_the_cores_order_statuses_are_the_published_ones() -> None:
    assert {status.value for status in orders.OrderStatus} - FOLDED == {
        status.value for status in vocabulary.OrderStatus
    }
    assert {status.value for status in orders.TERMINAL} - FOLDED == {
        status.value for status in vocabulary.TERMINAL_STATUSES
    }


def test_every_refusal_of_the_core_can_be_published() -> None:
    pattern = next(
        constraint.pattern
        for constraint in OrderRefused.model_fields["reason"].metadata
        if hasattr(constraint, "pattern")
    )

    assert [reason for reason in reasons.RefusalReason if not re.fullmatch(pattern, reason.name)] == []
