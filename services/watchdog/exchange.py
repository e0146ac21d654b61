"""The watchdog's few requests to the exchange, signed here: no library between it and a cancel.

Only what stops trading is possible: reading open orders and cancelling one.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from libs.common.errors import ConfigurationError, RetryableError
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.replies import Reply

REQUEST_S_MAX: Final = 3.0
WEIGHTS: Final = {("GET", "/api/v3/time"): 1, ("GET", "/api/v3/openOrders"): 80, ("DELETE", "/api/v3/order"): 1}
RECV_WINDOW_MS: Final = 5_000
"""Generous: a cancel that arrives late does no harm."""
UNKNOWN_ORDER: Final = -2011
"""The exchange's answer to a cancel of an order that is not open any more."""


class ExchangeKey(BaseModel):
    """One account's key; an Ed25519 secret is the private key in PEM, anything else is an HMAC secret."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_key: str = Field(min_length=1)
    api_secret: SecretStr


_KEYS: Final = TypeAdapter(dict[str, ExchangeKey])


def load_keys(path: Path) -> Mapping[str, ExchangeKey]:
    """Return the keys of a file, by account.

    Raises:
        ConfigurationError: The file cannot be read or understood.
    """
    try:
        return _KEYS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        found = error.strerror if isinstance(error, OSError) else f"{error.error_count()} mistakes"
        raise ConfigurationError(
            where=str(path), expected='JSON {account: {"api_key", "api_secret"}}', found=str(found)
        ) from error


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that waits at the exchange; `symbol` in the exchange's spelling."""

    symbol: str
    order_id: int
    client_order_id: str


class ExchangeAccount:
    """One account at the exchange, with a key that may read and cancel."""

    def __init__(
        self, session: aiohttp.ClientSession, *, address: str, key: ExchangeKey, budget: AddressBudget
    ) -> None:
        self._session = session
        self._budget = budget
        self._address = address.rstrip("/")
        self._api_key = key.api_key
        self._sign = _signer(key.api_secret.get_secret_value())

    async def time_ms(self) -> int:
        """Return the exchange's time.

        Raises:
            RetryableError: No usable answer.
        """
        answer = await self._request("GET", "/api/v3/time", {})
        return int(_field(answer, "serverTime"))

    async def open_orders(self, at_ms: int) -> list[OpenOrder]:
        """Return every open order of the account.

        Args:
            at_ms: The exchange's time, as just asked.

        Raises:
            RetryableError: No usable answer.
        """
        answer = await self._request("GET", "/api/v3/openOrders", {}, signed_at_ms=at_ms)
        if not isinstance(answer, list):
            raise RetryableError(f"exchange: expected a list of orders, found {str(answer)[:200]}")
        return [
            OpenOrder(str(_field(order, "symbol")), int(_field(order, "orderId")), str(_field(order, "clientOrderId")))
            for order in answer
        ]

    async def cancel(self, order: OpenOrder, at_ms: int) -> None:
        """Cancel one order; one that is not open any more is as good as cancelled.

        Raises:
            RetryableError: Not certainly cancelled.
        """
        await self._request(
            "DELETE",
            "/api/v3/order",
            {"symbol": order.symbol, "orderId": order.order_id},
            signed_at_ms=at_ms,
            accepted_code=UNKNOWN_ORDER,
        )

    async def _request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, object],
        *,
        signed_at_ms: int | None = None,
        accepted_code: int | None = None,
    ) -> Any:
        query = urlencode(parameters)
        headers = {}
        if signed_at_ms is not None:
            query = urlencode({**parameters, "recvWindow": RECV_WINDOW_MS, "timestamp": signed_at_ms})
            query = f"{query}&{urlencode({'signature': self._sign(query.encode())})}"
            headers["X-MBX-APIKEY"] = self._api_key
        url = f"{self._address}{path}{'?' if query else ''}{query}"
        timeout = aiohttp.ClientTimeout(total=REQUEST_S_MAX)
        try:
            with self._budget.spending(Purpose.REDUCTION, weight=WEIGHTS[method, path]):
                async with self._session.request(method, url, headers=headers, timeout=timeout) as response:
                    text = await response.text()
            refusal = text if response.status >= 400 else ""  # noqa: PLR2004 - HTTP
            self._budget.observe(Reply.of(status=response.status, headers=response.headers, text=refusal))
            answer = json.loads(text)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The address is left out of the message: it holds the signature.
            raise RetryableError(f"exchange: {method} {path}: expected JSON, found {type(error).__name__}") from None
        code = answer.get("code") if isinstance(answer, dict) else None
        if response.status >= 400 and (accepted_code is None or code != accepted_code):  # noqa: PLR2004 - HTTP
            raise RetryableError(f"exchange: {method} {path}: expected 200, found {response.status} with code {code}")
        return answer


def _signer(secret: str) -> Callable[[bytes], str]:
    """Return what signs with a secret: Ed25519 in base64 for a PEM, else HMAC-SHA256 in hex."""
    if not secret.lstrip().startswith("-----BEGIN"):
        return lambda payload: hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
    try:
        key = load_pem_private_key(secret.encode(), password=None)
    except ValueError as error:
        raise _not_a_key("a PEM of something else") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _not_a_key(type(key).__name__)
    return lambda payload: base64.b64encode(key.sign(payload)).decode()


def _not_a_key(found: str) -> ConfigurationError:
    return ConfigurationError(where="api_secret", expected="an Ed25519 private key in PEM", found=found)


def _field(answer: Any, name: str) -> Any:
    if not isinstance(answer, dict) or name not in answer:
        raise RetryableError(f"exchange: expected a field {name!r}, found {str(answer)[:200]}")
    return answer[name]
