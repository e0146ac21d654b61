"""What the exchange does wrong while processes die, drawn from its own menu of faults.

Invariant: each fault ends by itself.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

ARMED_S: Final = 15
"""So long a fault may strike: over the kill and what comes after it."""

_ORDERS: Final = {"method": "POST", "path": "/api/v3/order"}
_ENTRIES: Final = {"client_id_prefix": "ctE-"}
MENU: Final[tuple[Mapping[str, Any], ...]] = (
    {"kind": "request_late", "on": _ORDERS, "delay_ms_max": 1_500, "count": 3},
    {"kind": "request_lost", "on": _ORDERS, "count": 2},
    {"kind": "request_failed", "on": _ORDERS, "count": 2},
    {"kind": "request_failed", "on": {"method": "DELETE"}, "count": 2},
    {"kind": "request_throttled", "retry_after_s": 2, "count": 1},
    {"kind": "orders_throttled", "on": _ORDERS, "retry_after_s": 2, "count": 1},
    {"kind": "reply_cut", "on": _ORDERS, "count": 2},
    {"kind": "reply_cut", "on": {"method": "DELETE"}, "count": 2},
    {"kind": "reply_truncated", "on": _ORDERS, "count": 2},
    {"kind": "reply_html", "on": _ORDERS, "count": 2},
    {"kind": "reply_empty", "on": _ORDERS, "count": 2},
    {"kind": "reply_failed", "on": _ORDERS, "count": 2},
    {"kind": "reply_slow", "on": _ORDERS, "delay_ms_max": 3_000, "count": 3},
    {"kind": "answer_not_found", "lag_ms": 1_000},
    {"kind": "answer_clock", "skew_ms": 2_000, "count": 2},
    {"kind": "order_part_filled", "on": _ENTRIES, "count": 3},
    {"kind": "event_dropped", "probability": 0.5},
    {"kind": "event_doubled", "probability": 0.5},
    {"kind": "event_swapped", "probability": 0.5},
    {"kind": "event_late", "probability": 0.5},
    {"kind": "stream_terminated", "count": 1},
    {"kind": "stream_shut_down", "count": 1},
    {"kind": "stream_closed", "count": 1},
    {"kind": "stream_cut", "count": 1},
    {"kind": "stream_silent", "silent_s": 8, "count": 1},
    {"kind": "market_dropped", "probability": 0.3},
    {"kind": "market_broken", "probability": 0.1},
    {"kind": "market_silent", "for_s": 4},
)
_ANSWER_S_MAX: Final = 5.0


async def strikes(exchange_dir: Path) -> int:
    """Return how often a fault has struck lately.

    Raises:
        ClientError, OSError, TimeoutError: The exchange is not there to be asked.
    """
    async with _admin(exchange_dir) as (session, url), session.get(f"{url}/strikes") as response:
        return len((await response.json())["strikes"])


async def arm(exchange_dir: Path, fault: Mapping[str, Any]) -> None:
    """Arm a fault at the exchange whose admin API is told in its directory.

    Raises:
        ClientError, OSError, TimeoutError: It is not there to be asked.
        ValueError: It does not know the fault.
    """
    async with (
        _admin(exchange_dir) as (session, url),
        session.post(f"{url}/faults", json={"for_s": ARMED_S, **fault}) as response,
    ):
        if not response.ok:
            raise ValueError(f"{fault}: expected a fault of the exchange's menu, found {await response.text()}")


@asynccontextmanager
async def _admin(exchange_dir: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    admin = json.loads((exchange_dir / "admin.json").read_text(encoding="utf-8"))
    headers = {"Authorization": f"Bearer {admin['key']}"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=_ANSWER_S_MAX)) as session:
        yield session, admin["url"]
