"""Unmodified ccxt reads the market over REST."""

import pytest


async def test_markets_load_with_default_options_and_keys(exchange):
    client = exchange.client("visitor", only_spot=False)
    try:
        markets = await client.load_markets()
    finally:
        await client.close()

    assert set(markets) == {"BTC/USDT", "ETH/USDT"}
    bitcoin = markets["BTC/USDT"]
    assert bitcoin["active"]
    assert (bitcoin["precision"]["amount"], bitcoin["precision"]["price"]) == (1e-05, 0.01)
    assert bitcoin["limits"]["cost"]["min"] == 5.0


async def test_time_and_status_are_answered(visitor):
    assert abs(await visitor.fetch_time() - visitor.milliseconds()) < 5_000
    assert (await visitor.fetch_status())["status"] == "ok"


async def test_tickers_agree_with_each_other(visitor):
    ticker = await visitor.fetch_ticker("BTC/USDT")
    tickers = await visitor.fetch_tickers(["BTC/USDT", "ETH/USDT"])
    everything = await visitor.fetch_tickers()
    best = await visitor.fetch_bids_asks(["BTC/USDT"])
    last = await visitor.fetch_last_prices()

    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert set(tickers) == set(everything) == {"BTC/USDT", "ETH/USDT"}
    assert best["BTC/USDT"]["bid"] < best["BTC/USDT"]["ask"]
    assert last["BTC/USDT"]["price"] == pytest.approx(ticker["last"], rel=0.01)


@pytest.mark.parametrize("interval", ["1s", "1m", "5m", "1h", "1d", "1w", "1M"])
async def test_candles_of_every_interval_reach_back_before_the_first_start(visitor, interval):
    candles = await visitor.fetch_ohlcv("BTC/USDT", interval, limit=30)

    starts = [candle[0] for candle in candles]
    assert len(candles) == 30
    assert starts == sorted(set(starts))
    assert all(low <= min(open_, close) <= max(open_, close) <= high for _, open_, high, low, close, _ in candles)


async def test_candles_since_a_moment_come_oldest_first_and_in_pages(visitor):
    now_ms = await visitor.fetch_time()
    since_ms = now_ms - 3_000 * 1_000

    page = await visitor.fetch_ohlcv("BTC/USDT", "1s", since=since_ms, limit=1_000)
    again = await visitor.fetch_ohlcv("BTC/USDT", "1s", since=since_ms, limit=1_000)
    bounded = await visitor.fetch_ohlcv("BTC/USDT", "1s", since=since_ms, params={"until": since_ms + 10_000})
    pages = await visitor.fetch_ohlcv("BTC/USDT", "1s", since=since_ms, limit=2_500, params={"paginate": True})

    assert len(page) == 1_000
    assert since_ms <= page[0][0] < since_ms + 1_000
    assert page == again
    assert bounded == page[: len(bounded)]
    assert len(bounded) in (10, 11)
    assert [candle[0] for candle in pages] == [page[0][0] + 1_000 * index for index in range(len(pages))]


async def test_trades_are_numbered_without_gaps_and_stamped_with_the_present(visitor):
    trades = await visitor.fetch_trades("BTC/USDT", limit=200)
    raw = await visitor.fetch_trades("BTC/USDT", limit=50, params={"fetchTradesMethod": "publicGetTrades"})
    since_ms = trades[0]["timestamp"]
    since = await visitor.fetch_trades("BTC/USDT", since=since_ms, limit=10)

    ids = [int(trade["id"]) for trade in trades]
    assert ids == list(range(ids[0], ids[0] + 200))
    assert 0 <= await visitor.fetch_time() - trades[-1]["timestamp"] < 30_000
    assert len(raw) == 50
    assert since[0]["timestamp"] >= since_ms


async def test_trades_from_an_id_begin_with_that_id(visitor):
    trades = await visitor.fetch_trades("BTC/USDT", limit=20)

    found = await visitor.public_get_historicaltrades({"symbol": "BTCUSDT", "fromId": trades[5]["id"], "limit": 3})

    assert [str(trade["id"]) for trade in found] == [trade["id"] for trade in trades[5:8]]


async def test_the_order_book_is_sorted_and_not_crossed(visitor):
    book = await visitor.fetch_order_book("BTC/USDT", limit=50)

    bids, asks = [level[0] for level in book["bids"]], [level[0] for level in book["asks"]]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert len(bids) == len(asks) == 50


async def test_the_average_price_lies_within_the_days_range(visitor):
    average = await visitor.public_get_avgprice({"symbol": "BTCUSDT"})
    ticker = await visitor.fetch_ticker("BTC/USDT")

    assert average["mins"] == 5
    assert ticker["low"] <= float(average["price"]) <= ticker["high"]
