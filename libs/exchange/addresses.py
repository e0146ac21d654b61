"""Where the exchange answers, and the proof that ccxt asks nobody else.

Invariant: every address that ccxt could use is derived from the two configured ones; `require_address` checks it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from libs.common.errors import ConfigurationError

_REST_PATHS: Final = {
    "public": "/api/v3",
    "private": "/api/v3",
    "v1": "/api/v1",
    "sapi": "/sapi/v1",
    "sapiV2": "/sapi/v2",
    "sapiV3": "/sapi/v3",
    "sapiV4": "/sapi/v4",
    "fapiPublic": "/fapi/v1",
    "fapiPublicV2": "/fapi/v2",
    "fapiPublicV3": "/fapi/v3",
    "fapiPrivate": "/fapi/v1",
    "fapiPrivateV2": "/fapi/v2",
    "fapiPrivateV3": "/fapi/v3",
    "fapiData": "/futures/data",
    "dapiPublic": "/dapi/v1",
    "dapiPrivate": "/dapi/v1",
    "dapiPrivateV2": "/dapi/v2",
    "dapiData": "/futures/data",
    "eapiPublic": "/eapi/v1",
    "eapiPrivate": "/eapi/v1",
    "papi": "/papi/v1",
    "papiV2": "/papi/v2",
}
_STREAM_NAMES: Final = (
    "spot",
    "margin",
    "linear",
    "inverse",
    "stock",
    "option",
    "optionMarket",
    "optionPrivate",
    "papi",
)
_API_STREAM_NAMES: Final = ("spot", "linear", "inverse")
_BINANCE_STREAM_HOST: Final = "stream."


@dataclass(frozen=True, slots=True)
class ExchangeAddress:
    """The three places of one exchange.

    Attributes:
        rest: Base of the REST API, without a path.
        streams: Base of raw market streams; contains `/stream`, by which ccxt.pro tells spot from contracts.
        websocket_api: The WebSocket API, which carries the user stream.
    """

    rest: str
    streams: str
    websocket_api: str

    @classmethod
    def of(cls, rest_url: str, ws_url: str) -> "ExchangeAddress":
        """Return the address for the configured URLs, whose paths are ignored.

        Binance serves streams and the WebSocket API on hosts of their own; any other exchange routes by path.

        Raises:
            ConfigurationError: A URL is not one.
        """
        rest = _origin(rest_url, where="exchange_rest_url", schemes=("http", "https"))
        origin = _origin(ws_url, where="exchange_ws_url", schemes=("ws", "wss"))
        scheme, host = origin.split("://")
        if host.startswith(_BINANCE_STREAM_HOST):
            domain = host.removeprefix(_BINANCE_STREAM_HOST).split(":")[0]
            return cls(rest=rest, streams=f"{origin}/ws", websocket_api=f"{scheme}://ws-api.{domain}/ws-api/v3")
        return cls(rest=rest, streams=f"{origin}/stream/ws", websocket_api=f"{origin}/ws-api/v3")

    @property
    def hosts(self) -> frozenset[str]:
        """Every `host:port` that belongs to this exchange."""
        return frozenset(urlsplit(url).netloc for url in (self.rest, self.streams, self.websocket_api))


def ccxt_options(address: ExchangeAddress) -> dict[str, Any]:
    """Return the constructor argument with which ccxt talks to `address`, and only about spot.

    Its own rate limiter is off (it costs up to 200 ms a call): callers read the used weight instead.
    """
    api: dict[str, Any] = {name: address.rest + path for name, path in _REST_PATHS.items()}
    api["ws"] = {
        **dict.fromkeys(_STREAM_NAMES, address.streams),
        "ws-api": dict.fromkeys(_API_STREAM_NAMES, address.websocket_api),
    }
    return {
        "enableRateLimit": False,
        "urls": {"api": api, "test": api, "demo": api},
        "options": {
            "defaultType": "spot",
            "fetchMarkets": {"types": ["spot"]},
            "fetchMargins": False,
            "fetchCurrencies": False,
        },
    }


def require_address(urls: Mapping[str, Any], address: ExchangeAddress) -> None:
    """Fail closed unless every URL in ccxt's `urls["api"]` belongs to `address`.

    Raises:
        ConfigurationError: ccxt knows a host that is not configured: an upgrade added one.
    """
    for name, url in _flatten(urls):
        if urlsplit(url).netloc not in address.hosts:
            raise ConfigurationError(
                where=f"exchange address of ccxt: {name}",
                expected=f"one of {', '.join(sorted(address.hosts))}",
                found=url,
                hint="add its name to libs/exchange/addresses.py",
            )


def _flatten(urls: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in urls.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _origin(url: str, *, where: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise ConfigurationError(where=where, expected=f"an address such as {schemes[0]}://host:port", found=repr(url))
    return urlunsplit((parts.scheme, parts.netloc, "", "", ""))
