"""What the live market source makes of a source that fails: a hand-written one that answers what a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from aiohttp import web

from libs.common.clock import SystemClock
from libs.common.errors import RetryableError
from services.paper_exchange.market.binance import PAUSE_S_MAX, PAUSE_S_MIN, Source, live_market, pause_after
from services.paper_exchange.market.live import LiveMarket
from tests.support.eventually import eventually

NEWEST_ID = 500
SILENCE_S_MAX = 1.0
QUOTE = {"u": 1, "s": "BTCUSDT", "b": "100.00", "B": "1", "a": "100.01", "A": "1"}


class FakeBinance:
    """Trades one BTC at 100 with the id of each; what it sends over sockets is put into `sockets`."""

    def __init__(self) -> None:
        self.newest_id = NEWEST_ID
        self.answers: dict[str, Any] = {}
        self.frames: list[list[str]] = []
        self.connections = 0
        self.address = ""

    def rest(self, path: str, now_ms: int) -> Any:
        minute_ms = now_ms // 60_000 * 60_000
        return self.answers.get(path) or {
            "trades": [
                {"id": each, "price": "100.00", "qty": "1", "time": now_ms, "isBuyerMaker": True}
                for each in range(self.newest_id - 9, self.newest_id + 1)
            ],
            "ticker/bookTicker": {"bidPrice": "100.00", "bidQty": "1", "askPrice": "100.01", "askQty": "1"},
            "klines": [
                [start, "100", "100", "100", "100", "20", start + 59_999, "2000", 20, "10", "1000", "0"]
                for start in (minute_ms - 60_000, minute_ms)
            ],
        }.get(path)

    async def _on_rest(self, request: web.Request) -> web.Response:
        answer = self.rest(request.match_info["path"], int(asyncio.get_running_loop().time() * 1_000))
        if isinstance(answer, web.Response):
            return answer
        return web.Response(text=answer if isinstance(answer, str) else json.dumps(answer))

    async def _on_stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        number, self.connections = self.connections, self.connections + 1
        for frame in self.frames[number] if number < len(self.frames) else ():
            await socket.send_str(frame)
        if number < len(self.frames) - 1:
            await asyncio.sleep(SILENCE_S_MAX / 4)
            await socket.close()
        async for _ in socket:
            pass
        return socket

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeBinance"]:
        application = web.Application()
        application.router.add_get("/api/v3/{path:.*}", self._on_rest)
        application.router.add_get("/stream", self._on_stream)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


def a_trade(trade_id: int) -> str:
    event = {"e": "trade", "s": "BTCUSDT", "t": trade_id, "p": "100.00", "q": "0.5", "T": 1, "m": False}
    return json.dumps({"stream": "btcusdt@trade", "data": event})


def a_quote(**changes: Any) -> str:
    return json.dumps({"stream": "btcusdt@bookTicker", "data": QUOTE | changes})


@pytest.fixture
def told() -> list[str]:
    return []


@asynccontextmanager
async def followed(binance: FakeBinance, told: list[str]) -> AsyncIterator[LiveMarket]:
    source = Source(binance.address, binance.address.replace("http", "ws"), SILENCE_S_MAX)
    async with live_market(source, ["BTCUSDT"], clock=SystemClock(), random=Random(1), tell=told.append) as market:
        yield market


def shown_ids(market: LiveMarket) -> Iterator[int]:
    return (event.ordinal for event in market.events(0, 1 << 62) if event.quote is None)


async def until_next_id(market: LiveMarket, trade_id: int) -> None:
    async def is_there() -> bool:
        return market.next_id("BTCUSDT") == trade_id

    await eventually(is_there, what=f"trade {trade_id - 1}")


async def test_a_trade_that_was_asked_for_already_is_not_taken_again(told: list[str]):
    binance = FakeBinance()
    binance.frames = [[a_trade(NEWEST_ID - 1), a_trade(NEWEST_ID), a_trade(NEWEST_ID + 1)]]

    async with binance.serving(), followed(binance, told) as market:
        await until_next_id(market, NEWEST_ID + 2)

        assert list(shown_ids(market)) == [NEWEST_ID + 1]


async def test_a_lost_trade_is_asked_for_and_shown_once(told: list[str]):
    binance = FakeBinance()
    binance.frames = [[a_trade(NEWEST_ID + 1), a_trade(NEWEST_ID + 3)], []]

    async with binance.serving(), followed(binance, told) as market:
        await until_next_id(market, NEWEST_ID + 2)
        binance.newest_id = NEWEST_ID + 3
        await until_next_id(market, NEWEST_ID + 4)

        assert list(shown_ids(market)) == [NEWEST_ID + 1, NEWEST_ID + 2, NEWEST_ID + 3]
    assert "expected trade 502, found 503" in told[0]
    assert told[1] == "sees the market again"


@pytest.mark.parametrize(
    "frame", ["{", "[]", "{}", a_quote(b="x"), a_quote(b="100.02"), a_quote(s="XRPUSDT"), '{"data": {"s": []}}']
)
async def test_a_frame_that_binance_never_sends_ends_the_connection(told: list[str], frame: str):
    binance = FakeBinance()
    binance.frames = [[frame], [a_trade(NEWEST_ID + 1)]]

    async with binance.serving(), followed(binance, told) as market:
        await until_next_id(market, NEWEST_ID + 2)

    assert "expected Binance's streams" in told[0]


async def test_a_silent_stream_is_given_up_and_trading_suspended(told: list[str]):
    binance = FakeBinance()

    async with binance.serving(), followed(binance, told) as market:

        async def is_halted() -> bool:
            return market.is_halted(0)

        assert not await is_halted()
        await eventually(is_halted, what="a halt")
        await eventually(lambda: _said(told, "nothing arrived for 1 s"), what="another attempt")


async def _said(told: list[str], text: str) -> bool:
    return any(text in line for line in told)


@pytest.mark.parametrize(
    ("path", "answer", "complaint"),
    [
        ("trades", "[]", "expected Binance's answers about BTCUSDT"),
        ("trades", "<html>", "expected an answer in JSON"),
        ("klines", "[[1]]", "expected Binance's answers about BTCUSDT"),
        ("ticker/bookTicker", '{"bidPrice": "NaN"}', "expected Binance's answers about BTCUSDT"),
        ("trades", " " * 5_000_000, "expected at most 4194304 bytes"),
    ],
)
async def test_a_start_that_cannot_be_understood_says_so(told: list[str], path: str, answer: str, complaint: str):
    binance = FakeBinance()
    binance.answers[path] = answer

    async with binance.serving():
        with pytest.raises(RetryableError, match=complaint):
            async with followed(binance, told):
                pass


async def test_a_refused_request_is_told_with_its_status(told: list[str]):
    binance = FakeBinance()
    refusal = '{"code": 0, "msg": "restricted location"}'
    binance.answers["trades"] = web.Response(status=451, text=refusal)

    async with binance.serving():
        with pytest.raises(RetryableError, match=r"expected status 200, found 451.*restricted location"):
            async with followed(binance, told):
                pass


def test_pauses_double_up_to_a_bound_and_are_never_in_step():
    random = Random(1)
    pauses = [pause_after(losses, random) for losses in range(1, 40)]

    for losses, pause_s in enumerate(pauses):
        longest_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2**losses)
        assert longest_s / 2 <= pause_s <= longest_s
    assert len(set(pauses)) == len(pauses)
