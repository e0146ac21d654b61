"""What market data asks over REST: klines, trades that the stream missed, the clock, which symbols trade.

Invariant: every question has a deadline and takes from the address's budget only up to the share of its purpose.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import ccxt

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import DeadlineExceededError, RetryableError
from libs.common.observability import metrics
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.market_data import frames
from libs.exchange.market_data.intervals import BINANCE_INTERVALS, fold, served_interval_s
from libs.exchange.market_data.port import Kline, PublicTrade, ServerTime
from libs.exchange.market_data.raw_binance import RawBinance

KLINES_MAX: Final = 1_000
TRADES_MAX: Final = 1_000

_KLINES_WEIGHT: Final = 2
_TRADES_WEIGHT: Final = 25
_EXCHANGE_INFO_WEIGHT: Final = 20

AnswerT = TypeVar("AnswerT")


class Questions:
    """Asks the exchange about its market.

    Args:
        exchange: Makes the requests.
        symbols: Ours by Binance's names.
        budget: The address's.
        clock: Ours.
        deadline_s: For each request.
    """

    def __init__(
        self,
        *,
        exchange: RawBinance,
        symbols: Mapping[str, str],
        budget: AddressBudget,
        clock: Clock,
        deadline_s: float,
    ) -> None:
        self._exchange = exchange
        self._symbols = symbols
        self._budget = budget
        self._clock = clock
        self._deadline_s = deadline_s

    async def klines(self, symbol: str, interval_s: int, first_open_at_ms: int, last_open_at_ms: int) -> list[Kline]:
        """Return the periods from the first to the last, oldest first; the exchange may know only some of them.

        Raises:
            RetryableError: No usable answer.
        """
        served_s = served_interval_s(interval_s)
        last_part_at_ms = last_open_at_ms + (interval_s - served_s) * 1000
        parts: list[Kline] = []
        next_at_ms = first_open_at_ms
        while next_at_ms <= last_part_at_ms:
            request = {
                "symbol": frames.market_id(symbol),
                "interval": BINANCE_INTERVALS[served_s],
                "startTime": next_at_ms,
                "endTime": last_part_at_ms,
                "limit": KLINES_MAX,
            }
            page = await self._ask(
                "klines", self._exchange.public_get_klines, request, frames.read_klines, weight=_KLINES_WEIGHT
            )
            parts += page
            if len(page) < KLINES_MAX:
                break
            next_at_ms = page[-1].open_at_ms + served_s * 1000
        return fold(parts, interval_s)

    async def trades_after(self, symbol: str, trade_id: int) -> list[PublicTrade]:
        """Return the trades after `trade_id` among the last `TRADES_MAX`, oldest first.

        Raises:
            RetryableError: No usable answer.
        """
        request = {"symbol": frames.market_id(symbol), "limit": TRADES_MAX}
        read = partial(frames.read_missed_trades, symbol=symbol, after_id=trade_id, received_at=self._clock.now())
        return await self._ask("trades", self._exchange.public_get_trades, request, read, weight=_TRADES_WEIGHT)

    async def server_time(self) -> ServerTime:
        """Read the exchange's clock, which also proves that it answers.

        Raises:
            RetryableError: No usable answer.
        """
        asked_at_ms = epoch_ms(self._clock.now())
        server_ms = await self._ask(
            "time", self._exchange.public_get_time, {}, frames.read_server_time, weight=1, purpose=Purpose.CLOCK
        )
        return ServerTime(server_ms=server_ms, asked_at_ms=asked_at_ms, answered_at_ms=epoch_ms(self._clock.now()))

    async def symbols_trading(self) -> Mapping[str, bool]:
        """Return for every symbol whether the exchange lets it trade now.

        Raises:
            RetryableError: No usable answer.
        """
        request = {"symbols": json.dumps(list(self._symbols), separators=(",", ":"))}
        read = partial(frames.read_symbols_trading, symbols=self._symbols)
        return await self._ask(
            "exchangeInfo", self._exchange.public_get_exchangeinfo, request, read, weight=_EXCHANGE_INFO_WEIGHT
        )

    async def _ask(
        self,
        what: str,
        method: Callable[[Mapping[str, Any]], Awaitable[object]],
        request: Mapping[str, Any],
        read: Callable[[object], AnswerT],
        *,
        weight: int,
        purpose: Purpose = Purpose.MARKET_DATA,
    ) -> AnswerT:
        try:
            with self._budget.spending(purpose, weight=weight):
                async with asyncio.timeout(self._deadline_s):
                    answer = await method(request)
            return read(answer)
        except TimeoutError as error:
            raise DeadlineExceededError(what, deadline_s=self._deadline_s) from error
        except ccxt.BaseError as error:
            raise RetryableError(f"{what}: expected an answer, found {type(error).__name__}: {error}"[:500]) from error
        except frames.InvalidFrameError as error:
            metrics.MARKET_FRAMES_REFUSED.labels(reason=error.reason).inc()
            raise RetryableError(f"{what}: expected Binance's answer, found something else ({error.reason})") from error
