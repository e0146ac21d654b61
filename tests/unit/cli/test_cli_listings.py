"""Listings: every filter is a parameter, whatever the view lacks is no condition."""

import pytest

from cli.commands.listings import ALERTS, FILLS, ORDERS, PERFORMANCE, POSITIONS, REFUSALS, SIGNALS, Listing


@pytest.mark.parametrize(
    "listing", [ALERTS, FILLS, ORDERS, PERFORMANCE, POSITIONS, REFUSALS, SIGNALS], ids=lambda listing: listing.name
)
def test_every_query_takes_the_same_five_parameters(listing: Listing):
    query = listing.query()

    assert all(f"${number}" in query for number in range(1, 6))
    assert query.endswith(f"ORDER BY {listing.time} DESC LIMIT $5")


def test_only_open_positions_are_listed():
    assert "WHERE is_open AND" in POSITIONS.query()
