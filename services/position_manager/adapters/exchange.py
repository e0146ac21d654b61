"""Read-only questions to Binance over REST: balances, filters and closing prices.

Asked a few times in the life of a process, with a key that can only read; ccxt would cost 75 MB for them.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.common.clock import epoch_ms, from_epoch_ms
from libs.common.errors import ConfigurationError, RetryableError
from libs.common.messaging.deadlines import deadline
from libs.exchange.instruments import exchange_symbol, parse_listings
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.replies import Reply
from libs.trading.instruments import Instrument
from services.position_manager.service import AccountBalances

CALL_DEADLINE_S: Final = 5.0
RECV_WINDOW_MS: Final = 5_000
WEIGHTS: Final = {"/api/v3/time": 1, "/api/v3/account": 20, "/api/v3/exchangeInfo": 20, "/api/v3/klines": 2}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of one account: HMAC, or Ed25519 where the secret is a PEM."""

    api_key: str
    api_secret: str = field(repr=False)

    def signed(self, query: str) -> str:
        """Return `query` with its signature."""
        if not self.api_secret.startswith("-----BEGIN"):
            signature = hmac.new(self.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
            return f"{query}&signature={signature}"
        private_key = load_pem_private_key(self.api_secret.encode(), password=None)
        if not isinstance(private_key, Ed25519PrivateKey):
            raise ConfigurationError(
                where="the exchange key's secret",
                expected="an HMAC secret or an Ed25519 PEM",
                found="another kind of key",
            )
        signature = base64.b64encode(private_key.sign(query.encode())).decode()
        return f"{query}&{urlencode({'signature': signature})}"


class BinanceReader:
    """Answers the `Exchange` port from Binance's REST API."""

    def __init__(
        self, session: aiohttp.ClientSession, *, rest_url: str, keys: Mapping[str, ApiKey], budget: AddressBudget
    ) -> None:
        self._session = session
        self._budget = budget
        self._rest_url = rest_url.rstrip("/")
        self._keys = keys

    async def balances(self, account: str) -> AccountBalances:
        """Return the account's balances.

        Raises:
            ConfigurationError: There is no key for the account.
            RetryableError: The exchange did not answer as expected.
        """
        answer = await self._account(account)
        with _expecting("/api/v3/account"):
            quantities = {
                entry["asset"]: Decimal(entry["free"]) + Decimal(entry["locked"]) for entry in answer["balances"]
            }
            return AccountBalances(quantities=quantities, updated_at=from_epoch_ms(int(answer["updateTime"])))

    async def identity(self, account: str) -> str | None:
        """Return the exchange's own id of an account; None where it tells none.

        Raises:
            ConfigurationError: There is no key for the account.
            RetryableError: The exchange did not answer as expected.
        """
        answer = await self._account(account)
        with _expecting("/api/v3/account"):
            return str(answer["uid"]) if "uid" in answer else None

    async def _account(self, account: str) -> Any:
        key = self._keys.get(account)
        if key is None:
            raise ConfigurationError(
                where="TRADER_EXCHANGE_KEYS_FILE",
                expected=f"a key that may read the account {account!r}",
                found=", ".join(self._keys) or "no keys",
            )
        moment = await self._get("/api/v3/time")
        with _expecting("/api/v3/time"):
            query = urlencode({"recvWindow": RECV_WINDOW_MS, "timestamp": int(moment["serverTime"])})
        return await self._get(f"/api/v3/account?{key.signed(query)}", api_key=key.api_key)

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """Return the symbols' filters.

        Raises:
            RetryableError: The exchange did not answer as expected, or does not know a symbol.
        """
        names = json.dumps([exchange_symbol(symbol) for symbol in symbols], separators=(",", ":"))
        answer = await self._get(f"/api/v3/exchangeInfo?{urlencode({'symbols': names})}")
        return {symbol: listing.instrument for symbol, listing in parse_listings(answer, symbols).items()}

    async def closing_price(self, symbol: str, moment: datetime) -> Decimal:
        """Return the close of the last one-minute candle that ended at or before `moment`.

        Raises:
            RetryableError: The exchange did not answer as expected.
        """
        query = urlencode(
            {"symbol": exchange_symbol(symbol), "interval": "1m", "endTime": epoch_ms(moment) - 1, "limit": 1}
        )
        answer = await self._get(f"/api/v3/klines?{query}")
        with _expecting("/api/v3/klines"):
            return Decimal(answer[-1][4])

    async def _get(self, path: str, *, api_key: str | None = None) -> Any:
        headers = {"X-MBX-APIKEY": api_key} if api_key else {}
        return await deadline(self._ask(path, headers), CALL_DEADLINE_S, f"exchange GET {path.partition('?')[0]}")

    async def _ask(self, path: str, headers: Mapping[str, str]) -> Any:
        name = path.partition("?")[0]
        try:
            with self._budget.spending(Purpose.RECONCILIATION, weight=WEIGHTS[name]):
                async with self._session.get(f"{self._rest_url}{path}", headers=headers) as response:
                    text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RetryableError(f"exchange GET {name}: expected an answer, found {error!r}") from error
        refusal = text if response.status >= 400 else ""  # noqa: PLR2004 - HTTP's own number
        self._budget.observe(Reply.of(status=response.status, headers=response.headers, text=refusal))
        if response.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise RetryableError(f"exchange GET {name}: expected 200, found {response.status}: {text[:200]}")
        with _expecting(name):
            return json.loads(text, parse_float=Decimal)


@contextmanager
def _expecting(name: str) -> Iterator[None]:
    """Turn what a malformed answer raises into the one error that callers know."""
    try:
        yield
    except (LookupError, TypeError, ValueError, InvalidOperation) as error:
        raise RetryableError(f"exchange GET {name}: expected its documented answer, found {error!r}") from error


def read_keys(path: Path | None) -> dict[str, ApiKey]:
    """Return the keys by account.

    Raises:
        ConfigurationError: The file is missing or not of the documented form.
    """
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {account: ApiKey(str(key["api_key"]), str(key["api_secret"])) for account, key in content.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ConfigurationError(
            where=str(path),
            expected='{account: {"api_key": ..., "api_secret": ...}}',
            found=type(error).__name__,  # never the content: it holds secrets
        ) from error
