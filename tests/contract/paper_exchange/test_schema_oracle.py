"""Every body and every event has exactly the fields that Binance's own models of it have."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.contract.paper_exchange.local_exchange import local_exchange
from tests.contract.paper_exchange.oracle_samples import Samples, collect
from tests.contract.paper_exchange.schema_oracle import Difference, check_types, differences

# "Conditional fields in Order Responses": they appear when they apply, in every answer that shows an order, also where
# Binance's model of that answer has the unconditional ones only.
CONDITIONAL = {"expiryReason", "icebergQty", "stopPrice", "strategyId", "strategyType"}
CONDITIONAL |= {"preventedMatchId", "preventedQuantity", "trailingDelta", "trailingTime"}
CONDITIONAL_WHILE_PENDING = {"origQty"}  # of a leg that has no quantity yet, in the documents' samples of OPO lists
CONDITIONAL_IN_EVENTS = {"A", "B", "Cs", "D", "J", "U", "W", "d", "eR", "j", "pL", "pY", "pl", "u", "v"}
TOO_MANY = {
    "e": "tells the models of events apart, so they do not have it themselves",
    "rateLimits": "in every reply unless returnRateLimits is false, as the documents say; some models forget it",
    "preventedMatches": "in the answers of the documents on self-trade prevention, not in the model",
    "takerPreventedQuantity": "the same; it appears unless the maker alone expires",
    "selfTradePreventionMode": "in the documents' sample of a cancelled list's reports, not in their model",
}
MISSING = {
    **dict.fromkeys(
        ("pegOffsetType", "pegOffsetValue", "pegPriceType", "peggedPrice", "gOT", "gOV", "gP", "gp"),
        "pegged orders are not offered (tier C)",
    ),
    **dict.fromkeys(
        ("sors", "usedSor", "workingFloor", "uS", "k", "b", "a"), "smart order routing is not offered (tier C)"
    ),
    **dict.fromkeys(("priceExponent", "qtyExponent", "multiplierExponent"), "of the binary encoding only"),
    "count": "exchangeInfo shows limits, not how much of them is used; the model is shared",
}
# Answers without a field of their own: an empty object, rows without names, or what is no part of the Spot models.
WITHOUT_MODEL = {"GET ping", "GET klines", "GET uiKlines", "order.test"}
# The methods that place and cancel orders are the REST endpoints by another way, which are sampled.
BY_ANOTHER_WAY = {"order.place", "order.cancel", "openOrders.cancelAll", "orderList.cancel"}
BY_ANOTHER_WAY |= {f"orderList.place.{kind}" for kind in ("oco", "oto", "otoco", "opo", "opoco")}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return asyncio.run(collect(tmp_path_factory.mktemp("oracle")))


def found(samples: Samples) -> Iterator[tuple[str, Difference]]:
    for name, model, body, is_short in samples.all:
        for difference in differences(model, body):
            if difference.is_too_many or not is_short:
                yield name, difference


def test_no_body_and_no_event_has_a_field_too_many(samples):
    allowed = TOO_MANY.keys() | CONDITIONAL
    over = {(name, each) for name, each in found(samples) if each.is_too_many}

    assert {(name, each) for name, each in over if each.field not in allowed} == set()
    assert TOO_MANY.keys() - {each.field for _, each in over} == set(), "an exception that nothing needs any more"


def test_no_body_and_no_event_lacks_a_field(samples):
    conditional = CONDITIONAL | CONDITIONAL_IN_EVENTS | CONDITIONAL_WHILE_PENDING
    lacking = {(name, each) for name, each in found(samples) if not each.is_too_many}

    assert {(name, each) for name, each in lacking if each.field not in conditional | MISSING.keys()} == set()


def test_fields_that_appear_when_they_apply_do_appear(samples):
    orders = {field for name, _, body, _ in samples.all if name == "GET order" for field in body}
    reports = {field for name, _, body, _ in samples.all if name == "executionReport" for field in body}

    assert CONDITIONAL - orders == set()
    assert CONDITIONAL_IN_EVENTS - reports == set()
    assert (orders | reports) & MISSING.keys() == set(), "an exception that nothing needs any more"


def test_every_value_has_the_type_that_the_models_ask_for(samples):
    for name, model, body, _ in samples.all:
        if name not in {"klines", "uiKlines"}:  # the models cannot read rows without names
            check_types(model, body)


async def test_every_endpoint_that_is_served_has_been_sampled(samples, tmp_path):
    sampled = {name for name, _, _, _ in samples.all}
    async with local_exchange(tmp_path) as local:
        endpoints = [each for each in local.exchange.endpoints if each.path.startswith("/api/v3/")]

    names = {f"{each.method} {each.path.removeprefix('/api/v3/')}" for each in endpoints}
    methods = {each.ws_method for each in endpoints if each.ws_method}
    assert names - sampled == WITHOUT_MODEL & names
    assert methods - sampled - WITHOUT_MODEL == BY_ANOTHER_WAY & methods
