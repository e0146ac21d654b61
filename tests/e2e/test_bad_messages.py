"""Messages that nobody can use, written to a trading stack: kept with the reason, and nothing waits behind them.

On market data trading goes on; on what concerns money or control it halts.
"""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.contracts.codec import WireRecord
from libs.common.contracts.topics import TopicName
from libs.common.messaging.kafka import Kafka
from tests.support import wire
from tests.support.stack import StackUnderTest, until

SYMBOL = "BTC/USDT"


def headers(event_type: str, *, version: str = "1") -> tuple[tuple[str, bytes], ...]:
    fields = {"event_id": str(uuid.uuid4()), "event_type": event_type, "schema_version": version}
    return tuple((name, text.encode()) for name, text in fields.items())


def a_candle(**changed: Any) -> bytes:
    open_at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    candle = {
        "occurred_at": (open_at + timedelta(seconds=1)).isoformat(),
        "symbol": SYMBOL,
        "interval_s": 1,
        "open_at": open_at.isoformat(),
        "close_at": (open_at + timedelta(seconds=1)).isoformat(),
        **dict.fromkeys(("open", "high", "low", "close"), "1"),
        "volume": "1",
        "trades": 1,
    }
    return json.dumps(candle | changed).encode()


def a_record(topic: TopicName, value: bytes, event_type: str, *, key: str = SYMBOL, version: str = "1") -> WireRecord:
    return WireRecord(topic, key, value, headers(event_type, version=version))


UNUSABLE_CANDLES = {
    "malformed": a_record(TopicName.MARKET_CANDLES, b"{", "CandleClosed"),
    "wrongly typed": a_record(TopicName.MARKET_CANDLES, a_candle(trades="many"), "CandleClosed"),
    "NaN": a_record(TopicName.MARKET_CANDLES, a_candle(close="NaN"), "CandleClosed"),
    "of an unknown version": a_record(TopicName.MARKET_CANDLES, a_candle(), "CandleClosed", version="99"),
    "of a foreign type": a_record(TopicName.MARKET_CANDLES, a_candle(), "OrderFilled"),
    "without headers": WireRecord(TopicName.MARKET_CANDLES, SYMBOL, a_candle(), ()),
}


def write(stack: StackUnderTest, *records: WireRecord) -> None:
    asyncio.run(wire.write_records(Kafka(stack.endpoints()["kafka"], client_id="test"), records))


def dead_letters(stack: StackUnderTest, topic: TopicName) -> list[dict[str, Any]]:
    rows = stack.query("SELECT payload FROM audit WHERE topic = 'dead-letters' AND kind = 'EVENT' ORDER BY offset_last")
    return [letter for row in rows if (letter := json.loads(row["payload"]))["topic"] == topic.value]


def offsets_of(stack: StackUnderTest) -> set[int]:
    """Return where the candles stand that somebody could not use; several readers may say so of one."""
    return {letter["offset"] for letter in dead_letters(stack, TopicName.MARKET_CANDLES)}


def fills(stack: StackUnderTest) -> int:
    return len(stack.ask("fills", "--limit", "0")["fills"])


def test_bad_market_data_stops_nothing_and_bad_money_halts(stack: StackUnderTest):
    stack.start()
    until(lambda: fills(stack) > 0, seconds=90, what="a fill")

    write(stack, *UNUSABLE_CANDLES.values(), a_record(TopicName.MARKET_CANDLES, a_candle(), "CandleClosed"))

    until(lambda: len(offsets_of(stack)) >= len(UNUSABLE_CANDLES), seconds=30, what="a dead letter for each")
    before = fills(stack)
    until(lambda: fills(stack) > before, seconds=120, what="trading to go on")
    assert len(offsets_of(stack)) == len(UNUSABLE_CANDLES), "the candle of the past is no poison: it is passed over"
    status = stack.ask("status")
    assert status["trading_state"] == "ACTIVE"
    assert status["lag"]["market.candles"] < 100
    assert all(row["restarts"] == 0 for row in stack.processes().values())

    write(stack, a_record(TopicName.FILLS, b'{"price": "NaN"}', "OrderFilled", key="main"))

    until(lambda: stack.ask("status")["trading_state"] == "HALTED", seconds=20, what="HALTED after an unusable fill")
    assert "fills" in stack.ask("status")["reason"]
    assert dead_letters(stack, TopicName.FILLS)
    alerts = until(
        lambda: [row for row in stack.ask("alerts", "--limit", "0")["alerts"] if row["alert_type"] == "EMERGENCY_STOP"],
        seconds=10,
        what="an alert",
    )
    assert "fills" in json.dumps(alerts)
    assert all(row["restarts"] == 0 for row in stack.processes().values())
    assert stack.ask("audit", "verify")["verified"]
