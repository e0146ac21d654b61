"""What a command prints."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest

from cli.output import emit_json, emit_pairs, emit_rows, text_of

AT = datetime(2026, 1, 5, 12, 30, 1, 250_000, tzinfo=UTC)


class Colour(Enum):
    RED = "red"


def test_json_is_one_line_with_decimals_as_strings_and_times_in_iso_8601(capsys: pytest.CaptureFixture[str]):
    emit_json({"price": Decimal("1E+3"), "at": AT, "id": UUID(int=1), "colour": Colour.RED, "name": "한국어"})

    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {
        "price": "1000",
        "at": "2026-01-05T12:30:01.250000+00:00",
        "id": "00000000-0000-0000-0000-000000000001",
        "colour": "red",
        "name": "한국어",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (Decimal("1.500"), "1.5"), (Decimal("1E+3"), "1000"), (Decimal(100), "100"), (True, "True")],
)
def test_values_are_written_as_people_read_them(value: object, text: str):
    assert text_of(value) == text


def test_times_are_shown_to_the_second():
    assert text_of(AT) == "2026-01-05 12:30:01"


def test_rows_in_a_pipe_are_separated_by_tabs_below_a_header(capsys: pytest.CaptureFixture[str]):
    rows = [{"symbol": "BTC/USDT", "price": Decimal("2.50"), "hidden": 1}]

    emit_rows("prices", rows, ("symbol", "price"), as_json=False)

    assert capsys.readouterr().out == "symbol\tprice\nBTC/USDT\t2.5\n"


def test_rows_as_json_have_the_columns_alone(capsys: pytest.CaptureFixture[str]):
    emit_rows("prices", [{"symbol": "BTC/USDT", "hidden": 1}], ("symbol",), as_json=True)

    assert json.loads(capsys.readouterr().out) == {"prices": [{"symbol": "BTC/USDT"}]}


def test_pairs_are_aligned_and_lists_are_json(capsys: pytest.CaptureFixture[str]):
    emit_pairs({"state": "ACTIVE", "feeds_known": [Decimal("1.0")]}, as_json=False)

    assert capsys.readouterr().out == 'state        ACTIVE\nfeeds_known  ["1.0"]\n'
