"""For how long a position was bare, as the exchange's journal has it."""

import json
from pathlib import Path
from typing import Any

from benchmarks.protection.spells import JournalReader, Spell, Spells


def order(name: str, *, status: str = "NEW", executed: str = "0.0", symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {
        "type": "order",
        "client_order_id": name,
        "symbol": symbol,
        "status": status,
        "executed_quantity": executed,
    }


def line(at_ms: int, *changes: dict[str, Any], snapshot: bool = False) -> dict[str, Any]:
    return {"at_ms": at_ms, "changes": [*changes], "snapshot": snapshot}


FILLED = order("ctE-1", status="FILLED", executed="0.1")


def test_a_position_is_bare_from_its_first_fill_to_the_acceptance_of_its_protection():
    spells = Spells()

    spells.take(line(1_000, order("ctE-1", status="PARTIALLY_FILLED", executed="0.05")))
    spells.take(line(1_100, FILLED))
    spells.take(line(1_250, order("ctP-1"), order("ctP-2")))

    assert spells.ended == [Spell("BTCUSDT", 1_000, 1_250)]
    assert spells.ended[0].length_ms == 250
    assert not spells.bare


def test_what_a_list_places_with_the_fill_leaves_nothing_bare():
    spells = Spells()

    spells.take(line(900, order("ctE-1"), order("ctP-1", status="PENDING_NEW")))
    spells.take(line(1_000, order("ctP-1"), FILLED))

    assert [spell.length_ms for spell in spells.ended] == [0]


def test_a_pending_order_and_one_of_another_symbol_protect_nothing():
    spells = Spells()

    spells.take(line(1_000, FILLED))
    spells.take(line(1_100, order("ctP-1", status="PENDING_NEW"), order("ctP-2", symbol="ETHUSDT")))

    assert spells.bare == {"BTCUSDT": 1_000}
    assert not spells.ended


def test_a_sold_position_needs_no_protection():
    spells = Spells()

    spells.take(line(1_000, FILLED))
    spells.take(line(1_200, order("ctX-1", status="FILLED", executed="0.1")))

    assert not spells.bare
    assert not spells.ended


def test_a_snapshot_tells_nothing_again():
    spells = Spells()

    spells.take(line(1_000, FILLED, snapshot=True))

    assert not spells.bare


def test_the_journal_is_read_on_line_by_line_and_file_by_file(tmp_path: Path):
    reader = JournalReader(tmp_path)
    first, second = tmp_path / "journal-000001.jsonl", tmp_path / "journal-000002.jsonl"
    whole = json.dumps(line(1, FILLED))
    first.write_text(f"{whole}\n{whole[:20]}")

    assert [each["at_ms"] for each in reader.lines()] == [1]

    first.write_text(f"{whole}\n{json.dumps(line(2))}\n")
    second.write_text(f"{json.dumps(line(3))}\n")

    assert [each["at_ms"] for each in reader.lines()] == [2, 3]
    assert not list(reader.lines())
