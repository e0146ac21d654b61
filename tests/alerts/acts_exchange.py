"""What goes wrong at the exchange, with the clock, and with orders."""

import asyncio
from typing import Final

from deploy.monitoring import limits
from tests.alerts.provocation import Act, Provocation
from tests.alerts.scene import Scene

_ENTRIES: Final = {"client_id_prefix": "ctE-"}
_LISTS: Final = {"method": "POST", "path": "/api/v3/orderList/oco"}
_SUBSCRIPTIONS: Final = {"method": "WS", "path": "userDataStream.subscribe.signature"}
_SKEW: Final = "trader_exchange_clock_skew_seconds"
_COMPARED_S: Final = 10.0
"""The books are compared with the exchange that often; what may turn out to be none is looked at twice."""
_SENT: Final = "trader_orders_sent_total"


async def _nothing(scene: Scene) -> None:
    await scene.until_told("Watchdog")


async def _small_troubles(scene: Scene) -> None:
    await scene.configure(notifications__channels='["dashboard", "phone", "pager"]')
    try:
        async with asyncio.TaskGroup() as tasks:
            for trouble in (_clock_is_off, _candle_is_poison, _exchange_asks_for_less, _pager_refuses, _switch_refuses):
                tasks.create_task(trouble(scene))
    finally:
        scene.people.switch_is_broken = False
        await scene.configure(notifications__channels='["dashboard", "phone"]')


async def _clock_is_off(scene: Scene) -> None:
    await scene.arm("answer_clock", skew_ms=300, for_s=150)
    await scene.until_metric(
        "market_monitor", _SKEW, lambda skew_s: abs(skew_s) > limits.CLOCK_SKEW_WARNING_S, seconds=120
    )
    scene.begin("ClockSkewed")
    await scene.until_told("ClockSkewed")


async def _candle_is_poison(scene: Scene) -> None:
    await scene.arena.poison("market.candles")
    scene.begin("DeadLetters")
    await scene.until_told("DeadLetters")


async def _exchange_asks_for_less(scene: Scene) -> None:
    await scene.arm("request_throttled", retry_after_s=1, count=1, for_s=120)
    await scene.until_struck("request_throttled")
    scene.begin("ExchangeLimited")
    await scene.until_told("ExchangeLimited")


async def _pager_refuses(scene: Scene) -> None:
    await scene.until_metric(
        *("notifier", "trader_notifications_total", lambda failed: failed > 0),
        seconds=240,
        channel="pager",
        state="FAILED",
    )
    scene.begin("NotificationsFailing")
    await scene.until_told("NotificationsFailing")


async def _switch_refuses(scene: Scene) -> None:
    scene.people.switch_is_broken = True
    async with asyncio.timeout(120):
        await scene.people.refused.wait()
    scene.begin("AlertDeliveryFailing")
    await scene.until_told("AlertDeliveryFailing")


async def _clock_is_wrong_and_the_address_banned(scene: Scene) -> None:
    await scene.arm("answer_clock", skew_ms=900, for_s=90)
    await scene.until_metric("market_monitor", _SKEW, lambda skew_s: abs(skew_s) > limits.CLOCK_SKEW_S, seconds=80)
    scene.begin("ClockWrong")
    await scene.until_told("ClockWrong")
    await scene.arm("request_banned", retry_after_s=3, count=1, for_s=60)
    await scene.until_struck("request_banned")
    scene.begin("ExchangeBanned")
    await scene.until_told("ExchangeBanned")


async def _exchange_freezes(scene: Scene) -> None:
    frozen = scene.arena.freeze("paper_exchange")
    try:
        scene.begin("MarketDataStale", "ReconciliationStale", "ServiceNotReady")
        await scene.until_told("MarketDataStale", "ReconciliationStale", "ServiceNotReady")
    finally:
        scene.arena.thaw(frozen)


async def _user_stream_ends(scene: Scene) -> None:
    await scene.arm("request_failed", on=_SUBSCRIPTIONS, for_s=40)
    await scene.arm("stream_cut", count=1, for_s=40)
    await scene.until_metric("trade_executor", "trader_user_stream_connected", lambda up: up < 1, seconds=40)
    scene.begin("UserStreamDown")
    await scene.until_told("UserStreamDown")


async def _protection_is_late(scene: Scene) -> None:
    async def slow() -> float:
        all_ = await scene.metric("trade_executor", "trader_unprotected_seconds_count")
        return all_ - await scene.metric(
            "trade_executor", "trader_unprotected_seconds_bucket", le=str(limits.UNPROTECTED_S)
        )

    before = await slow()
    await scene.arm("request_failed", on=_LISTS, for_s=9)

    async def is_slower() -> bool:
        return await slow() > before

    await scene.until(is_slower, seconds=90, what="a position that was without protection")
    scene.begin("ProtectionSlow")
    await scene.until_told("ProtectionSlow")


async def _orders_are_refused(scene: Scene) -> None:
    async def sent(**labels: str) -> float:
        return await scene.metric("trade_executor", _SENT, **labels)

    refused = await sent(verdict="NOT_ACCEPTED")
    expression = f"sum(increase({_SENT}[5m]))"
    lately = float((await scene.ask(expression) or ["0"])[0])
    await scene.arm("request_failed", on=_ENTRIES, status=400, code=-2010, message="No funds.", for_s=200)

    async def is_share() -> bool:
        now_refused = await sent(verdict="NOT_ACCEPTED") - refused
        return now_refused >= limits.REJECTED_ORDERS_MIN and now_refused > limits.REJECTED_RATIO * (
            lately + now_refused
        )

    await scene.until(is_share, seconds=190, what="one order in five refused")
    scene.begin("OrdersRejected")
    await scene.until_told("OrdersRejected")
    await scene.ask_exchange("DELETE", "/faults")


async def _order_is_unknown(scene: Scene) -> None:
    await scene.arm("request_failed", on={"method": "GET"}, for_s=55)
    await scene.arm("reply_cut", on=_ENTRIES, count=1, for_s=30)
    await scene.until_struck("reply_cut")
    scene.begin("OrderUnknown")
    await scene.until_told("OrderUnknown")


async def _differences(scene: Scene) -> None:
    await scene.arm("answer_not_found", lag_ms=40_000, for_s=90)
    await scene.arm("event_dropped", on={"event": "executionReport"}, for_s=40)
    await scene.arm("reply_cut", on=_ENTRIES, count=1, for_s=30)
    await scene.until_metric(
        *("trade_executor", "trader_differences", lambda number: number > 0), seconds=120, kind="LATE_FILL"
    )
    scene.begin("LateFill")
    await scene.until_told("LateFill")
    foreign = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    foreign |= {"price": "10000", "newClientOrderId": f"ctE-zzzzzz-{'a' * 24}"}
    await scene.ask_exchange("POST", "/orders", {"account": "main", "order": foreign})
    scene.begin("ForeignOrder")
    await scene.ask_exchange("POST", "/transfers", {"account": "main", "asset": "USDT", "amount": "-500"})
    scene.begin("BooksDiffer")
    await scene.arena.poison("fills")
    scene.begin("MoneyDeadLetters")
    await scene.until_told("ForeignOrder", "BooksDiffer", "MoneyDeadLetters")


BEGINNING: Final = Act(
    "beginning",
    {"Watchdog": Provocation("none: it fires always, and is repeated each minute", reached_s=60, channel="switch")},
    _nothing,
)
TROUBLES: Final = Act(
    "troubles",
    {
        "ClockSkewed": Provocation("the exchange's clock stands 0.3 s ahead"),
        "DeadLetters": Provocation("a candle that nobody can read"),
        "ExchangeLimited": Provocation("the exchange answers 429"),
        "NotificationsFailing": Provocation("a channel has refused a message eight times"),
        "AlertDeliveryFailing": Provocation("the switch outside refuses"),
    },
    _small_troubles,
)
CLOCK: Final = Act(
    "clock",
    {
        "ClockWrong": Provocation("the exchange's clock stands 0.9 s ahead"),
        "ExchangeBanned": Provocation("the exchange answers 418"),
    },
    _clock_is_wrong_and_the_address_banned,
)
FROZEN: Final = Act(
    "exchange",
    {
        "MarketDataStale": Provocation("the exchange is frozen", reached_s=limits.DATA_AGE_S),
        "ReconciliationStale": Provocation("the exchange is frozen", reached_s=limits.RECONCILIATION_S),
        "ServiceNotReady": Provocation("the exchange is frozen", reached_s=limits.DATA_AGE_S),
    },
    _exchange_freezes,
)
STREAM: Final = Act(
    "stream",
    {"UserStreamDown": Provocation("the user stream ends and is refused again")},
    _user_stream_ends,
    needs_trading=True,
)
PROTECTION: Final = Act(
    "protection",
    {"ProtectionSlow": Provocation("a stop is placed only after five seconds")},
    _protection_is_late,
    needs_trading=True,
)
REFUSALS: Final = Act(
    "refusals",
    {"OrdersRejected": Provocation("the exchange refuses one order in five")},
    _orders_are_refused,
    needs_trading=True,
)
UNKNOWN: Final = Act(
    "unknown",
    {"OrderUnknown": Provocation("an order's answer is lost, nothing can be asked", reached_s=limits.UNKNOWN_S)},
    _order_is_unknown,
    needs_trading=True,
)
DIFFERENCES: Final = Act(
    "differences",
    {
        "LateFill": Provocation("an order that had been given up is found filled"),
        "ForeignOrder": Provocation("another installation places an order", reached_s=_COMPARED_S),
        "BooksDiffer": Provocation("money is taken out by hand", reached_s=2 * _COMPARED_S),
        "MoneyDeadLetters": Provocation("a fill that nobody can read"),
    },
    _differences,
    needs_trading=True,
)
