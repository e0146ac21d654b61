"""The exchange's journal is read by its documented format, on from where the last reading ended."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.common.errors import InvalidMessageError
from libs.invariants import JournalReader
from libs.invariants.records import TruthBalance

ORDER = {
    "type": "order",
    "order_id": 7,
    "account": "main",
    "symbol": "BTCUSDT",
    "client_order_id": "ctE-abc123-a",
    "side": "BUY",
    "quantity": "0.10000000",
    "executed_quantity": "0.00000000",
    "status": "NEW",
    "locked": "5000.00000000",
    "order_list_id": -1,
    "created_at_ms": 1_000,
}
FILL = {
    "type": "fill",
    "trade_id": 3,
    "order_id": 7,
    "account": "main",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "price": "50000.00",
    "quantity": "0.10000000",
    "commission": "0.00010000",
    "commission_asset": "BTC",
}
BALANCE = {"type": "balance", "account": "main", "asset": "USDT", "free": "1.50000000", "locked": "2.25000000"}


def a_line(sequence: int, *changes: Any, **more: Any) -> str:
    return (
        json.dumps({"sequence": sequence, "at_ms": 500, "place_ms": 0, "counters": {}, "changes": changes, **more})
        + "\n"
    )


def write(directory: Path, number: int, *lines: str) -> Path:
    path = directory / f"journal-{number:012d}.jsonl"
    with path.open("a") as file:
        file.writelines(lines)
    return path


def test_the_last_state_of_each_thing_stands(tmp_path):
    filled = ORDER | {"status": "FILLED", "executed_quantity": "0.1", "locked": "0"}
    write(
        tmp_path,
        1,
        a_line(1, BALANCE, {"type": "market", "identity": "x"}, snapshot=True),
        a_line(2, ORDER),
        a_line(3, filled, FILL),
    )

    truth = JournalReader(tmp_path).read()

    assert (truth.sequence, truth.history_from_ms) == (3, 0)
    assert (truth.orders[7].status, truth.orders[7].accepted_at_ms) == ("FILLED", 1_000)
    assert truth.fills["main", "BTCUSDT", 3, "7"].commission == Decimal("0.0001")
    assert truth.balances["main", "USDT"] == TruthBalance(Decimal("1.5"), Decimal("2.25"))
    assert truth.balances["main", "USDT"].total == Decimal("3.75")


def test_reading_goes_on_where_it_ended_over_files_and_leaves_earlier_states_alone(tmp_path):
    write(tmp_path, 1, a_line(1, BALANCE))
    reader = JournalReader(tmp_path)
    before = reader.read()
    write(tmp_path, 1, a_line(2, ORDER))
    write(tmp_path, 3, a_line(3, ORDER, snapshot=True), a_line(4, FILL))

    after = reader.read()

    assert (before.orders, before.sequence) == ({}, 1)
    assert (list(after.orders), list(after.fills), after.sequence) == ([7], [("main", "BTCUSDT", 3, "7")], 4)


def test_a_line_without_its_end_does_not_count(tmp_path):
    path = write(tmp_path, 1, a_line(1, BALANCE), a_line(2, ORDER)[:-1])
    reader = JournalReader(tmp_path)
    cut = reader.read()
    with path.open("a") as file:
        file.write("\n")

    assert cut.orders == {}
    assert list(reader.read().orders) == [7]


def test_a_journal_whose_beginning_was_dropped_says_since_when_it_is_whole(tmp_path):
    write(tmp_path, 40, a_line(40, BALANCE, snapshot=True))

    assert JournalReader(tmp_path).read().history_from_ms == 500


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([a_line(1), a_line(3)], "gap"),
        (["{]\n"], "damaged"),
        ([a_line(1, {"type": "order"})], "damaged"),
        ([a_line(1, BALANCE | {"free": "much"})], "damaged"),
    ],
)
def test_a_damaged_journal_is_an_error(tmp_path, lines, reason):
    write(tmp_path, 1, *lines)

    with pytest.raises(InvalidMessageError, match=reason):
        JournalReader(tmp_path).read()


def test_no_journal_is_an_error(tmp_path):
    with pytest.raises(InvalidMessageError, match="no journal"):
        JournalReader(tmp_path).read()


def test_a_file_that_was_dropped_while_it_was_read_is_an_error(tmp_path):
    path = write(tmp_path, 1, a_line(1))
    reader = JournalReader(tmp_path)
    reader.read()
    path.unlink()
    write(tmp_path, 5, a_line(5))

    with pytest.raises(InvalidMessageError, match="gap"):
        reader.read()
