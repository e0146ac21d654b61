"""The dashboard Overview finds a given trade: its own query, sent as Grafana sends it, under the reader's role."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from deploy.monitoring.dashboards_overview import OVERVIEW
from tests.support.live_queries import as_sent
from tests.support.stack import StackUnderTest

(TRADES,) = [panel for panel in OVERVIEW.panels if panel.sql]


def test_a_trade_that_the_command_line_lists_stands_in_the_overview(standing: StackUnderTest):
    wanted = standing.ask("fills", "--limit", "3")["fills"][-1]
    now = datetime.now(UTC)

    found = standing.query(as_sent(TRADES.sql, begins_at=now - timedelta(hours=24), ends_at=now, account="main"))

    (row,) = [row for row in found if row["trade_id"] == wanted["trade_id"] and row["symbol"] == wanted["symbol"]]
    assert (row["client_order_id"], row["side"]) == (wanted["client_order_id"], wanted["side"])
    assert (row["quantity"], row["price"]) == (Decimal(wanted["quantity"]), Decimal(wanted["price"]))
    assert row["quote"] == row["quantity"] * row["price"]


def test_nothing_of_another_time_or_account_stands_there(standing: StackUnderTest):
    now = datetime.now(UTC)
    times = {"begins_at": now - timedelta(hours=24), "ends_at": now}

    assert standing.query(as_sent(TRADES.sql, **times, account=".*"))
    assert standing.query(as_sent(TRADES.sql, **times, account="nobody|mai")) == []
    earlier = {name: moment - timedelta(hours=24) for name, moment in times.items()}
    assert standing.query(as_sent(TRADES.sql, **earlier, account="main")) == []
