"""Tables in terminals of any width: what identifies a row can be read and copied."""

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from cli.commands.listings import ORDERS
from cli.table import print_table

ORDER_ID = "ctp-abc123-0123456789abcdef01234567"
ORDER: dict[str, Any] = {
    "client_order_id": ORDER_ID,
    "exchange_order_id": "1234567",
    "account": "main",
    "symbol": "BTC/USDT",
    "side": "BUY",
    "type": "LIMIT_MAKER",
    "quantity": Decimal("0.00123"),
    "price": Decimal("64000.12"),
    "status": "FILLED",
    "filled_quantity": Decimal("0.00123"),
    "created_at": datetime(2026, 1, 5, 12, 30, tzinfo=UTC),
    "role": "PROTECTION",
    "reason": "",
}


def printed(width: int, row: dict[str, Any] | None = None, columns: tuple[str, ...] = ORDERS.columns) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_table("orders", [row or ORDER], columns, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_wide_terminal_shows_every_column():
    assert all(column in printed(240) for column in ORDERS.columns)
    assert "left out" not in printed(240)


@pytest.mark.parametrize("width", [240, 160, 120])
def test_identifiers_and_symbols_stand_in_one_piece_where_they_can(width: int):
    table = printed(width)

    assert ORDER_ID in table
    assert "BTC/USDT" in table


def test_the_least_useful_columns_make_room_and_are_named():
    table = printed(120)

    assert "exchange_order_id" not in table.splitlines()[2]
    assert "left out for want of room: reason, exchange_order_id, account" in table


@pytest.mark.parametrize("width", [100, 80, 60, 40])
def test_nothing_that_is_shown_is_cut_however_narrow(width: int):
    table = printed(width)

    assert "…" not in table
    assert max(len(line) for line in table.splitlines()) <= width
    cells = [line.split("│")[1].strip() for line in table.splitlines() if line.startswith("│")]
    assert "".join(cells) == ORDER_ID


def test_a_terminal_of_eighty_columns_keeps_symbols_whole():
    assert "BTC/USDT" in printed(80)


def test_text_is_printed_as_it_is():
    assert "[red]:x:" in printed(80, {"message": "[red]:x:"}, ("message",))
