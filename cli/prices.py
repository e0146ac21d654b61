"""What only Redis knows: the newest prices and the permit."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from libs.common.clock import SystemClock
from libs.common.control.permit import PERMIT_LIFETIME_MS
from libs.common.errors import RetryableError
from libs.common.storage import keys
from libs.common.storage.redis import UNREACHABLE, RedisStore


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[RedisStore]:
    """Lend the stack's Redis."""
    store = RedisStore.connect(url, name="trader")
    try:
        yield store
    finally:
        await store.close()


async def read_prices(store: RedisStore, symbols: Sequence[str]) -> list[dict[str, Any]]:
    """Return the newest bid, ask and trade of each symbol with their age; None where none is known.

    Raises:
        RetryableError: Redis does not answer.
    """
    try:
        texts = await store.client.mget([keys.latest_price(symbol) for symbol in symbols])
    except UNREACHABLE as error:
        raise RetryableError(f"Redis: expected the latest prices, found {error!r}") from error
    now = SystemClock().now()
    return [_price(symbol, text, now) for symbol, text in zip(symbols, texts, strict=True)]


async def permit_age_ms(store: RedisStore, account: str) -> int | None:
    """Return how long ago the permit was renewed, or None where there is none.

    Raises:
        RetryableError: Redis does not answer.
    """
    try:
        left_ms = await store.client.pttl(keys.permit(account))
    except UNREACHABLE as error:
        raise RetryableError(f"Redis: expected the permit, found {error!r}") from error
    return PERMIT_LIFETIME_MS - left_ms if left_ms > 0 else None


def _price(symbol: str, text: bytes | str | None, now: datetime) -> dict[str, Any]:
    if text is None:
        return {"symbol": symbol, "bid": None, "ask": None, "last": None, "at": None, "age_ms": None}
    fields = json.loads(text)
    at = datetime.fromisoformat(fields["at"])
    return {
        "symbol": symbol,
        **{name: Decimal(fields[name]) if fields[name] else None for name in ("bid", "ask", "last")},
        "at": at,
        "age_ms": max(0, int((now - at).total_seconds() * 1_000)),
    }
