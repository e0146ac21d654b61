"""Listings: every filter is a parameter, whatever the view lacks is no condition."""

import pytest

from cli.commands.listings import ALERTS, FILLS, ORDERS, PERFORMANCE, POSITIONS, REFUSALS, SIGNALS, Listing
from cli.errors import CommandError, ExitStatus
from cli.filters import checked_state, states_of
from services.risk_manager.domain.answers import ServiceRefusal
from services.risk_manager.service.ports import ReservationOutcome


@pytest.mark.parametrize(
    "listing", [ALERTS, FILLS, ORDERS, PERFORMANCE, POSITIONS, REFUSALS, SIGNALS], ids=lambda listing: listing.name
)
def test_every_query_takes_the_same_five_parameters(listing: Listing):
    query = listing.query()

    assert all(f"${number}" in query for number in range(1, 6))
    assert query.endswith(f"ORDER BY {listing.time} DESC LIMIT $5")


def test_only_open_positions_are_listed():
    assert "WHERE is_open AND" in POSITIONS.query()


@pytest.mark.parametrize(
    ("listing", "typed", "state"),
    [
        (SIGNALS, "hold", "HOLD"),
        (ORDERS, "FILLED", "FILLED"),
        (ALERTS, "emergency_stop", "EMERGENCY_STOP"),
        (REFUSALS, "quality_is_low", "QUALITY_IS_LOW"),
    ],
)
def test_a_state_is_found_however_it_is_written(listing: Listing, typed: str, state: str):
    assert checked_state(listing.name, typed) == state


def test_a_state_that_cannot_be_is_refused_with_those_that_can():
    with pytest.raises(
        CommandError, match=r"--state: expected a state of signals \(BUY, SELL, HOLD\), found HODL"
    ) as caught:
        checked_state("signals", "hodl")

    assert caught.value.status is ExitStatus.USAGE
    assert caught.value.hint == "did you mean HOLD?"


def test_every_reason_of_a_refusal_can_be_asked_for():
    outcomes = set(ReservationOutcome) - {ReservationOutcome.RESERVED, ReservationOutcome.UNAVAILABLE}

    assert {*ServiceRefusal, *outcomes} <= set(states_of("refusals"))


def test_every_listing_with_a_state_knows_its_states():
    for listing in (ALERTS, FILLS, ORDERS, PERFORMANCE, POSITIONS, REFUSALS, SIGNALS):
        if listing.state is not None:
            assert states_of(listing.name)
