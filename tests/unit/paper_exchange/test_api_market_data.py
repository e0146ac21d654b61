"""Windows, trading days and time zones of the public endpoints, on a clock that only the test moves."""

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.clock import epoch_ms
from services.paper_exchange.api.gate import Call
from services.paper_exchange.api.market_data import MarketData
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.api.tickers import Tickers, window_ms
from services.paper_exchange.venue.errors import ApiError
from tests.unit.paper_exchange.paper_exchange_builders import BEGIN, PRICE, VenueBench, a_recording

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
BTC = {"symbol": "BTCUSDT"}
BOTH = {"symbols": '["BTCUSDT"]'}


class Api:
    """The public endpoints by path."""

    def __init__(self, bench: VenueBench) -> None:
        self.venue = bench.venue
        public = (
            MarketData(venue=bench.venue, update_id=lambda _: 1).endpoints() + Tickers(venue=bench.venue).endpoints()
        )
        self.endpoints = {endpoint.path.removeprefix("/api/v3/"): endpoint for endpoint in public}

    def ask(self, path: str, parameters: dict[str, str]) -> Any:
        return self.endpoints[path].handler(Call(Parameters(parameters), None, self.venue.now_ms))

    def weight(self, path: str, parameters: dict[str, str]) -> int:
        weight = self.endpoints[path].weight
        return weight if isinstance(weight, int) else weight(Parameters(parameters))

    def refusal(self, path: str, parameters: dict[str, str]) -> int:
        with pytest.raises(ApiError) as refused:
            self.ask(path, parameters)
        return refused.value.code


@pytest.fixture
def api(tmp_path):
    trades = [(1_000, PRICE, 10), (61_000, PRICE + 100, 30), (90_500, PRICE + 50, 20)]
    bench = VenueBench(tmp_path, a_recording(trades=trades, length_ms=100_000))
    bench.wait(95_000)
    return Api(bench)


@pytest.mark.parametrize(
    ("name", "length_ms"), [("1m", MINUTE_MS), ("59m", 59 * MINUTE_MS), ("23h", 23 * HOUR_MS), ("7d", 7 * DAY_MS)]
)
def test_windows_are_minutes_hours_or_days(name, length_ms):
    assert window_ms(name) == length_ms


@pytest.mark.parametrize("name", ["0m", "60m", "24h", "8d", "1w", "1d2h", "m", ""])
def test_there_are_no_other_windows(name):
    with pytest.raises(ApiError) as refused:
        window_ms(name)

    assert refused.value.code == -1130


def test_a_window_begins_at_a_full_minute_and_ends_now(api):
    ticker = api.ask("ticker", BTC | {"windowSize": "1m"})

    # At 1 min 35 s a window of one minute goes back to the full minute before 35 s: to the very beginning.
    assert (ticker["openTime"], ticker["closeTime"]) == (epoch_ms(BEGIN), epoch_ms(BEGIN) + 95_000)
    assert ticker["count"] == 3
    assert (ticker["openPrice"], ticker["lastPrice"]) == ("50000.00000000", "50000.50000000")
    assert ticker["priceChange"] == "0.50000000"
    assert ticker["priceChangePercent"] == "0.001"
    # (10 * 50000 + 30 * 50001 + 20 * 50000.5) / 60 lots
    assert ticker["weightedAvgPrice"] == "50000.66666666"


def test_a_trading_day_is_that_of_its_zone(api):
    begins = [
        api.ask("ticker/tradingDay", BTC | zone)["openTime"] for zone in ({}, {"timeZone": "8"}, {"timeZone": "-1:30"})
    ]
    day = api.ask("ticker/tradingDay", BTC)

    # It is shortly after midnight UTC: 8 o'clock in one zone, half past ten of the day before in the other.
    midnight = epoch_ms(datetime(2026, 1, 1, tzinfo=UTC))
    assert begins == [midnight, midnight - 8 * HOUR_MS, midnight - 22 * HOUR_MS - 30 * MINUTE_MS]
    assert day["closeTime"] == midnight + DAY_MS - 1


@pytest.mark.parametrize("zone", ["-12:01", "14:01", "15", "8:60", "UTC", "+08:00:00", "--1"])
def test_a_zone_that_does_not_exist_is_refused(api, zone):
    assert api.refusal("ticker/tradingDay", BTC | {"timeZone": zone}) == -1130
    assert api.refusal("klines", BTC | {"interval": "1d", "timeZone": zone}) == -1130


def test_candles_begin_with_the_days_of_their_zone(api):
    def start(**more: str) -> int:
        return int(api.ask("klines", BTC | {"interval": "1d", "limit": "2"} | more)[-1][0])

    assert start(timeZone="8") == start() - 8 * HOUR_MS
    assert start(timeZone="-0:30") == start() - DAY_MS + 30 * MINUTE_MS


def test_a_start_that_lies_ahead_has_no_candles(api):
    assert api.ask("klines", BTC | {"interval": "1M", "startTime": str(2**63 - 1)}) == []


def test_short_tickers_lack_the_changes(api):
    for path in ("ticker", "ticker/tradingDay", "ticker/24hr"):
        short, full = api.ask(path, BTC | {"type": "MINI"}), api.ask(path, BTC | {"type": "FULL"})
        assert short.items() <= full.items()
        assert full.keys() - short.keys() >= {"priceChange", "priceChangePercent", "weightedAvgPrice"}
        assert api.refusal(path, BTC | {"type": "HUGE"}) == -1139


def test_several_symbols_make_a_list(api):
    assert [each["symbol"] for each in api.ask("ticker", BOTH)] == ["BTCUSDT"]
    assert api.refusal("ticker", {}) == -1102
    assert api.refusal("ticker", BTC | BOTH) == -1128
    assert api.refusal("ticker", {"symbols": '["BTCUSDT","BTCUSDT"]'}) == -1151


def test_a_status_that_the_symbol_has_not_hides_it(api):
    assert api.refusal("depth", BTC | {"symbolStatus": "HALT"}) == -1220
    assert api.refusal("ticker/price", BTC | {"symbolStatus": "BREAK"}) == -1220
    assert api.refusal("ticker/price", {"symbolStatus": "OPEN"}) == -1130
    assert api.ask("ticker/price", {"symbolStatus": "HALT"}) == []
    assert len(api.ask("ticker/price", {"symbolStatus": "TRADING"})) == 1


def test_exchange_info_shows_the_symbols_asked_for(api):
    def symbols(**parameters: str) -> list[str]:
        return [each["symbol"] for each in api.ask("exchangeInfo", parameters)["symbols"]]

    assert symbols() == symbols(permissions="SPOT") == symbols(permissions='["MARGIN","SPOT"]') == ["BTCUSDT"]
    assert symbols(permissions="MARGIN") == symbols(symbolStatus="BREAK") == []
    assert api.ask("exchangeInfo", {"showPermissionSets": "false"})["symbols"][0]["permissionSets"] == []
    assert api.refusal("exchangeInfo", BTC | {"permissions": "SPOT"}) == -1128
    assert api.refusal("exchangeInfo", BTC | {"symbolStatus": "TRADING"}) == -1128
    assert api.refusal("exchangeInfo", {"permissions": "spot"}) == -1100
    assert api.refusal("exchangeInfo", {"showPermissionSets": "maybe"}) == -1130


@pytest.mark.parametrize(
    ("path", "parameters", "weight"),
    [
        ("ping", {}, 1),
        ("time", {}, 1),
        ("exchangeInfo", {}, 20),
        *(("depth", BTC | {"limit": limit}, weight) for limit, weight in (("100", 5), ("101", 25), ("500", 25))),
        *(("depth", BTC | {"limit": limit}, weight) for limit, weight in (("501", 50), ("1001", 250), ("9999", 250))),
        ("depth", BTC, 5),
        ("trades", BTC, 25),
        ("historicalTrades", BTC, 25),
        ("aggTrades", BTC, 4),
        ("klines", BTC, 2),
        ("uiKlines", BTC, 2),
        ("avgPrice", BTC, 2),
        ("ticker", BTC, 4),
        ("ticker/tradingDay", BOTH, 4),
        ("ticker/24hr", BTC, 2),
        ("ticker/24hr", BOTH, 2),
        ("ticker/24hr", {}, 80),
        ("ticker/price", BTC, 2),
        ("ticker/price", {}, 4),
        ("ticker/bookTicker", BTC, 2),
        ("ticker/bookTicker", BOTH, 4),
    ],
)
def test_public_requests_weigh_what_the_documents_say(api, path, parameters, weight):
    assert api.weight(path, parameters) == weight
