"""Our pre-check and the paper exchange are held to the same tables, which neither wrote."""

import grimp
import pytest

from tests.unit.paper_exchange.filter_checkers import Exchange, PreCheck
from tests.unit.paper_exchange.filter_tables import CROWDED, PAGE, ROWS, CrowdedRow, Row

PRE_CHECK = ("libs.trading.instruments", "libs.trading.risk.order_rules")
VALIDATOR = (
    "services.paper_exchange.api.new_lists",
    "services.paper_exchange.api.new_orders",
    "services.paper_exchange.api.parameters",
    "services.paper_exchange.venue.admission",
    "services.paper_exchange.venue.filters",
    "services.paper_exchange.venue.rules",
)


def test_the_pre_check_and_the_exchanges_validator_share_no_module():
    graph = grimp.build_graph("libs", "services")

    ours, theirs = (
        set(modules).union(*(graph.find_upstream_modules(module) for module in modules))
        for modules in (PRE_CHECK, VALIDATOR)
    )

    assert not ours & theirs


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.source)
def test_both_draw_the_line_where_the_page_does(row: Row, tmp_path):
    exchange = Exchange(tmp_path, row.limits)
    ours, beside = PreCheck(exchange.info()), exchange.beside("main")

    assert exchange.refusal(row.within) is None, PAGE
    assert ours.refused(row.within, beside, exchange.average_price) == set(), PAGE
    assert exchange.refusal(row.beyond) == row.filter, PAGE
    assert row.filter in ours.refused(row.beyond, beside, exchange.average_price), PAGE


@pytest.mark.parametrize("row", CROWDED, ids=lambda row: row.source)
def test_both_count_as_the_page_does(row: CrowdedRow, tmp_path):
    exchange = Exchange(tmp_path, row.limits)
    ours = PreCheck(exchange.info())

    for _ in range(row.count):
        assert ours.refused(row.order, exchange.beside("main"), exchange.average_price) == set()
        assert exchange.refusal(row.order, place=True) is None

    assert exchange.refusal(row.order) == row.filter
    assert ours.refused(row.order, exchange.beside("main"), exchange.average_price) == {row.filter}
