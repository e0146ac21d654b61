"""The exchange's side of a halt: when it accepted entries, and how late orders are made to reach it."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from benchmarks.stacks import BenchmarkError
from libs.common.clock import Clock, epoch_ms

ENTRY_PREFIX: Final = "ctE-"
PAGE: Final = 1_000
REQUEST_S_MAX: Final = 10.0


async def delay_orders(exchange_dir: Path, *, delay_ms_max: int) -> None:
    """Let every order reach the exchange up to so much later, each by chance.

    Args:
        exchange_dir: Where the exchange says where its admin API is.
        delay_ms_max: The longest way.

    Raises:
        BenchmarkError: The admin API does not do it.
    """
    admin = json.loads((exchange_dir / "admin.json").read_text(encoding="utf-8"))
    fault = {
        "kind": "request_late",
        "on": {"method": "POST"},  # orders, and lists of them
        "delay_ms_min": 0,
        "delay_ms_max": delay_ms_max,
    }
    async with _session() as session:
        headers = {"Authorization": f"Bearer {admin['key']}"}
        async with session.post(f"{admin['url']}/faults", json=fault, headers=headers) as answer:
            if answer.status != 201:  # noqa: PLR2004 - HTTP
                raise BenchmarkError(f"expected a fault to be armed, found {answer.status} {await answer.text()}")


async def accepted_entries(
    rest: str, key: Mapping[str, str], symbols: Sequence[str], *, clock: Clock
) -> list[datetime]:
    """Return when the exchange accepted each entry of an account, on its own time.

    Raises:
        BenchmarkError: It does not say.
    """
    accepted = []
    async with _session() as session:
        for symbol in symbols:
            page: list[dict[str, Any]] = []
            while True:
                first = page[-1]["orderId"] + 1 if page else 0
                query = urlencode(
                    {
                        "symbol": symbol.replace("/", ""),
                        "orderId": first,
                        "limit": PAGE,
                        "recvWindow": 5_000,
                        "timestamp": epoch_ms(clock.now()),
                    }
                )
                signature = hmac.new(key["api_secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
                headers = {"X-MBX-APIKEY": key["api_key"]}
                url = f"{rest}/api/v3/allOrders?{query}&signature={signature}"
                async with session.get(url, headers=headers) as answer:
                    content = await answer.json()
                if not isinstance(content, list):
                    raise BenchmarkError(f"expected the orders of {symbol}, found {str(content)[:200]}")
                page = content
                accepted += [
                    datetime.fromtimestamp(order["time"] / 1_000, UTC)
                    for order in page
                    if order["clientOrderId"].startswith(ENTRY_PREFIX)
                ]
                if len(page) < PAGE:
                    break
    return sorted(accepted)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_S_MAX))
