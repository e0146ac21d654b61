"""Candles are read from CSV and Parquet, and what is wrong with them is named by row and column."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from libs.backtest.candles import CandlesError, Gap, read_candles
from libs.backtest.candles.shipped import SHIPPED, dump_candles, load_candles, shipped_candles
from tests.support.shipped import the_shipped_candles

HEADER = "open_at,open,high,low,close,volume"
BEGIN_2020_MS = 1_583_020_800_000
BEGIN_MS = 1_700_000_040_000  # 2023-11-14T22:14:00Z


def a_line(minute: int, *, text: str = "100,102,99,101,5") -> str:
    return f"{BEGIN_MS + minute * 60_000},{text}"


def a_file(directory: Path, *lines: str, header: str = HEADER) -> Path:
    path = directory / "candles.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(CandlesError) as caught:
        read_candles(path, "BTC/USDT")
    return str(caught.value).removeprefix(f"{path}: ")


def test_a_csv_file_with_a_header_is_read_in_any_order_of_columns(tmp_path: Path):
    header = "Close, Volume ,Timestamp,extra,Low,High,Open"
    path = a_file(tmp_path, f"101,5,{BEGIN_MS},x,99,102,100", f"103,6,{BEGIN_MS + 60_000},y,100,104,101", header=header)

    candles = read_candles(path, "BTC/USDT")

    assert (candles.symbol, candles.interval_s, len(candles)) == ("BTC/USDT", 60, 2)
    assert list(candles.open) == [100.0, 101.0]
    assert list(candles.high) == [102.0, 104.0]
    assert list(candles.low) == [99.0, 100.0]
    assert list(candles.close) == [101.0, 103.0]
    assert list(candles.volume) == [5.0, 6.0]


@pytest.mark.parametrize(
    "times",
    [
        ("1700000040", "1700000100"),
        ("1700000040000", "1700000100000"),
        ("1700000040000000", "1700000100000000"),
        ("2023-11-14T22:14:00Z", "2023-11-14T22:15:00+00:00"),
        ("2023-11-14 22:14:00", "2023-11-14 22:15:00"),
        ("2023-11-14T23:14:00+01:00", "2023-11-14T23:15:00+01:00"),
    ],
    ids=["seconds", "milliseconds", "microseconds", "ISO", "without a zone", "another zone"],
)
def test_times_are_understood_in_every_form_that_files_use(times: tuple[str, str], tmp_path: Path):
    path = a_file(tmp_path, *(f"{at},100,102,99,101,5" for at in times))

    candles = read_candles(path, "BTC/USDT")

    assert list(candles.open_at_ms) == [BEGIN_MS, BEGIN_MS + 60_000]


def test_binances_archive_is_read_without_a_header(tmp_path: Path):
    path = tmp_path / "BTCUSDT-1m-2023-11.csv"
    rest = "1700000099999,505.0,12,2.5,252.5,0"
    path.write_text(f"{a_line(0)},{rest}\n{a_line(1)},{rest}\n", encoding="utf-8")

    candles = read_candles(path, "BTC/USDT")

    assert list(candles.open_at_ms) == [BEGIN_MS, BEGIN_MS + 60_000]
    assert list(candles.volume) == [5.0, 5.0]


def test_missing_candles_are_told_and_not_invented(tmp_path: Path):
    path = a_file(tmp_path, *(a_line(minute) for minute in (0, 1, 2, 5, 6)))

    candles = read_candles(path, "BTC/USDT")

    assert len(candles) == 5
    assert candles.gaps() == [Gap(BEGIN_MS + 180_000, BEGIN_MS + 300_000, 2)]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([a_line(0), a_line(1, text="100,nan,99,101,5")], "row 3, column high: expected a number, found nan"),
        ([a_line(0), a_line(1, text="100,inf,99,101,5")], "row 3, column high: expected a number, found inf"),
        (
            [a_line(0), a_line(1, text="100,102,99,101,1e15")],
            "row 3, column volume: expected less than 1e+15",
        ),
        ([a_line(0), a_line(1, text="100,x,99,101,5")], "row 3, column high: expected a number, found 'x'"),
        ([a_line(0), a_line(1, text="100,,99,101,5")], "row 3, column high: expected a number, found ''"),
        ([a_line(0), a_line(1, text="100,102,0,101,5")], "row 3, column low: expected a price above 0, found 0.0"),
        ([a_line(0), a_line(1, text="100,102,99,101,-1")], "row 3, column volume: expected 0 or more, found -1.0"),
        ([a_line(0), a_line(1, text="98,102,99,101,5")], "row 3, column open: expected at least the low, 99.0"),
        ([a_line(0), a_line(1, text="103,102,99,101,5")], "row 3, column open: expected at most the high, 102.0"),
        ([a_line(0), a_line(1, text="100,102,99,103,5")], "row 3, column close: expected at most the high, 102.0"),
        ([a_line(0), a_line(1, text="100,102,99,98,5")], "row 3, column close: expected at least the low, 99.0"),
        ([a_line(0), a_line(1, text="100,98,99,98,5")], "row 3, column low: expected at most the high, 98.0"),
        ([a_line(0), a_line(1), a_line(1)], "row 4, column open_at: expected a time after 2023-11-14T22:15:00+00:00"),
        ([a_line(1), a_line(2), a_line(0)], "row 4, column open_at: expected a time after 2023-11-14T22:16:00+00:00"),
        ([a_line(0), a_line(1), "1700000101000,100,102,99,101,5", a_line(3), a_line(4)], "row 4, column open_at"),
        ([a_line(0), "tomorrow,100,102,99,101,5"], "row 3, column open_at: expected a number since 1970"),
        ([a_line(0), a_line(1) + ",7"], "row 3: expected 6 values, found 7"),
        ([a_line(0), "", a_line(1)], "row 3: expected 6 values, found an empty line"),
        ([a_line(0)], "expected two candles or more, found 1"),
        ([], "expected two candles or more, found 0"),
        (["-5,100,102,99,101,5", "0,100,102,99,101,5"], "row 2, column open_at: expected seconds, milliseconds"),
        (["1700000040000001,100,102,99,101,5", "1700000100000001,100,102,99,101,5"], "row 2, column open_at: expected"),
        ([a_line(0), f"{BEGIN_MS + 500},100,102,99,101,5"], "column open_at: expected candles of whole seconds"),
    ],
)
def test_a_row_that_cannot_be_believed_is_named(lines: list[str], complaint: str, tmp_path: Path):
    assert refused(a_file(tmp_path, *lines)).startswith(complaint)


def test_a_duplicate_and_a_step_back_are_told_apart(tmp_path: Path):
    assert refused(a_file(tmp_path, a_line(0), a_line(1), a_line(1))).endswith("22:15:00+00:00 twice")
    assert refused(a_file(tmp_path, a_line(1), a_line(2), a_line(0))).endswith("which is earlier")


def test_rows_are_counted_beyond_the_first_chunk(tmp_path: Path):
    lines = [a_line(minute) for minute in range(10_005)]
    lines[10_003] = a_line(10_003, text="100,102,99,nan,5")

    assert refused(a_file(tmp_path, *lines)).startswith("row 10005, column close")  # the header is row 1


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("open_at,open,high,low,close", "columns: expected one volume, found none among open_at, open"),
        ("day,open,high,low,close,volume", "columns: expected one of open_at, open_time, ts"),
        ("open_at,open,high,low,close,volume,close", "columns: expected one close, found close, close"),
        ("ts,open,high,low,close,volume,time", "columns: expected one of open_at"),
    ],
)
def test_a_header_must_name_each_column_once(header: str, complaint: str, tmp_path: Path):
    assert refused(a_file(tmp_path, header=header)).startswith(complaint)


def test_other_files_are_refused(tmp_path: Path):
    binary = tmp_path / "candles.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    wrong = tmp_path / "candles.parquet"
    wrong.write_text(HEADER, encoding="utf-8")
    (tmp_path / "candles.xlsx").touch()

    assert "expected comma-separated text in UTF-8" in refused(binary)
    assert "expected a Parquet file" in refused(wrong)
    assert "expected a file named .csv, .parquet, .pq, found .xlsx" in refused(tmp_path / "candles.xlsx")
    assert "expected a readable file, found No such file" in refused(tmp_path / "nothing.csv")
    assert "found No such file" in refused(tmp_path / "nothing.parquet")


def a_table(directory: Path, **columns: Any) -> Path:
    values: dict[str, Any] = {
        "ts": pa.array([BEGIN_MS, BEGIN_MS + 60_000], pa.int64()),
        "open": [100.0, 101.0],
        "high": [102.0, 103.0],
        "low": [99.0, 100.0],
        "close": [101.0, 102.0],
        "volume": [5.0, 6.0],
    }
    path = directory / "candles.parquet"
    parquet.write_table(pa.table(values | columns), path)
    return path


@pytest.mark.parametrize(
    "times",
    [
        pa.array([BEGIN_MS // 1000, BEGIN_MS // 1000 + 60], pa.int64()),
        pa.array([BEGIN_MS * 1000, BEGIN_MS * 1000 + 60_000_000], pa.timestamp("us", "UTC")),
        pa.array([BEGIN_MS * 1_000_000, BEGIN_MS * 1_000_000 + 60 * 10**9], pa.timestamp("ns")),
        pa.array(["2023-11-14T22:14:00Z", "2023-11-14T22:15:00Z"]),
    ],
    ids=["seconds", "timestamp with a zone", "timestamp without", "text"],
)
def test_parquet_times_are_understood_in_every_form_that_files_use(times: Any, tmp_path: Path):
    candles = read_candles(a_table(tmp_path, ts=times), "BTC/USDT")

    assert list(candles.open_at_ms) == [BEGIN_MS, BEGIN_MS + 60_000]


@pytest.mark.parametrize("kind", [pa.decimal128(18, 2), pa.decimal128(38, 20), pa.decimal256(60, 2)], ids=str)
def test_parquet_decimals_become_the_nearest_floats(kind: Any, tmp_path: Path):
    closes = [Decimal("7195.24"), Decimal("7182.43")]
    bounds = {name: pa.array([Decimal(value)] * 2, kind) for name, value in (("high", "8000"), ("low", "7000"))}
    opens = pa.array([Decimal(7_500)] * 2, kind)

    candles = read_candles(a_table(tmp_path, open=opens, close=pa.array(closes, kind), **bounds), "BTC/USDT")

    assert list(candles.close) == [7195.24, 7182.43]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"close": pa.array([101.0, None])}, "row 2, column close: expected a value, found none"),
        ({"ts": pa.array([BEGIN_MS, None], pa.int64())}, "row 2, column open_at: expected a value, found none"),
        ({"close": pa.array([101.0, float("nan")])}, "row 2, column close: expected a number, found nan"),
        ({"close": pa.array(["101", "102"])}, "column close: expected numbers, found string"),
        ({"ts": pa.array([True, False])}, "column open_at: expected times, found bool"),
        ({"ts": pa.array(["now", "then"])}, "row 1, column open_at: expected times since 1970 or in ISO 8601"),
    ],
)
def test_a_parquet_row_that_cannot_be_believed_is_named(columns: dict[str, Any], complaint: str, tmp_path: Path):
    assert refused(a_table(tmp_path, **columns)).startswith(complaint)


def test_without_the_library_for_parquet_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = a_table(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)

    assert "expected pyarrow to read Parquet" in refused(path)


def test_the_shipped_candles_are_three_months_of_minutes_in_less_than_3_mb():
    candles = shipped_candles()

    assert datetime.fromtimestamp(candles.begin_at_ms / 1000, UTC) == datetime(2020, 3, 1, tzinfo=UTC)
    assert datetime.fromtimestamp(candles.end_at_ms / 1000, UTC) == datetime(2020, 6, 1, tzinfo=UTC)
    assert (candles.symbol, candles.interval_s) == ("BTC/USDT", 60)
    assert [gap.missing for gap in candles.gaps()] == [128, 150]  # Binance was down on 4 March and 25 April
    assert len(candles) + 128 + 150 == 92 * 24 * 60
    assert SHIPPED.stat().st_size < 3_000_000


@pytest.mark.sweep
def test_shipped_candles_are_written_and_read_without_a_change():
    content = SHIPPED.read_bytes()

    candles = load_candles(content, where="test")
    again = dump_candles(candles, price_digits=2, volume_digits=6, source="test")

    assert load_candles(again, where="test") == candles


def test_candles_that_do_not_fit_the_form_are_refused_when_written():
    with pytest.raises(ValueError, match="numbers of 0 digits"):
        dump_candles(CANDLES, price_digits=0, volume_digits=6, source="test")


@pytest.mark.parametrize(
    "damage",
    [(b"{", b""), (b"\n", b""), (b'"count": 1', b'"count": 2'), (b'"symbol"', b'"name"')],
    ids=["no header", "no body", "another count", "no symbol"],
)
def test_a_damaged_file_is_refused(damage: tuple[bytes, bytes]):
    with pytest.raises(CandlesError, match="expected"):
        load_candles(SHIPPED.read_bytes().replace(*damage, 1), where="test")


def test_longer_candles_are_made_of_whole_groups_only():
    begin_ms = 1_583_313_600_000  # 2020-03-04T09:20:00Z
    minutes = the_shipped_candles().between(begin_ms, begin_ms + 4 * 3_600_000)

    fives = minutes.over(300)

    assert fives.interval_s == 300
    assert minutes.gaps()[0].missing == 128  # 09:22 to 11:30: the candle of 09:20 is incomplete
    assert list(fives.open_at_ms) == list(range(begin_ms + 130 * 60_000, begin_ms + 240 * 60_000, 300_000))
    first = list(minutes.open_at_ms).index(fives.open_at_ms[0])
    assert fives.open[0] == minutes.open[first]
    assert fives.close[0] == minutes.close[first + 4]
    assert fives.high[0] == max(minutes.high[first : first + 5])
    assert fives.low[0] == min(minutes.low[first : first + 5])
    assert fives.volume[0] == sum(minutes.volume[first : first + 5])


@pytest.mark.parametrize("interval_s", [30, 90, 0, 25 * 3_600, 420])
def test_an_interval_that_the_candles_cannot_make_is_refused(interval_s: int):
    with pytest.raises(ValueError, match=f"found {interval_s} s"):
        CANDLES.over(interval_s)


@given(st.integers(0, 1_000), st.integers(0, 1_000))
def test_a_stretch_of_time_holds_exactly_the_candles_that_open_within_it(first: int, last: int):
    candles = CANDLES
    times = [*candles.open_at_ms, candles.end_at_ms]

    stretch = candles.between(times[first], times[last])

    assert list(stretch.open_at_ms) == list(candles.open_at_ms[first:last])
    assert list(stretch.close) == list(candles.close[first:last])


CANDLES = the_shipped_candles().between(None, BEGIN_2020_MS + 1_000 * 60_000)
