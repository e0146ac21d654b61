"""Requests that are wrong in one way, with the codes that Binance has for it."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from services.paper_exchange.api.gate import Endpoint, Security
from services.paper_exchange.api.keys import ApiKey
from tests.contract.paper_exchange.local_exchange import OTHER, LocalExchange

ORDER = {
    "symbol": OTHER,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "2000",
}
OCO = {
    "symbol": OTHER,
    "side": "SELL",
    "quantity": "0.01",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "3000",
    "belowType": "STOP_LOSS",
    "belowStopPrice": "2000",
}
LIST = {
    "symbol": OTHER,
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingPrice": "2000",
    "workingQuantity": "0.01",
    "workingTimeInForce": "GTC",
    "pendingSide": "SELL",
    "pendingQuantity": "0.01",
    "pendingType": "LIMIT_MAKER",
    "pendingPrice": "3000",
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": "3000",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "1500",
}
VALUES = {"symbol": OTHER, "interval": "1m", "orderId": "999999999", "orderListId": "999999999", "limit": "5"}
NONSENSE = (
    "\x00",
    "é漢字😀",
    "' OR 1=1 --",
    "1e400",
    "NaN",
    "-1",
    "9" * 400,
    "0.0000000000000001",
    "[[[[",
    "null",
    "a\nb",
)
SYNTAX_CODES = frozenset(
    {-1013, -1100, -1102, -1105, -1106, -1108, -1111, -1115, -1116, -1117, -1120, -1121, -1127, -1128, -1130, -1131}
    | {-1139, -1145, -1158, -1165, -1166, -1168, -2010, -2011, -2013, -2018}
)


@dataclass(frozen=True, slots=True)
class Damaged:
    """One request: what is wrong with it, and the status and codes that may answer it."""

    what: str
    method: str
    path: str
    query: str
    status: int = 400
    codes: frozenset[int] = field(default_factory=frozenset)
    headers: Mapping[str, str] = field(default_factory=dict)


def values_of(endpoint: Endpoint) -> dict[str, str]:
    """Return the parameters of a request that has nothing wrong."""
    if endpoint.method == "POST":
        values = LIST if "workingType" in endpoint.mandatory else OCO if "aboveType" in endpoint.mandatory else ORDER
        return {name: value for name, value in values.items() if name in (*endpoint.mandatory, *endpoint.allowed)}
    return {
        name: VALUES[name] for name in (*endpoint.mandatory, *endpoint.allowed) if name in VALUES and name != "limit"
    }


def damaged_requests(endpoint: Endpoint, local: LocalExchange, keys: Mapping[str, ApiKey]) -> Iterator[Damaged]:
    """Yield requests to an endpoint, each wrong in one way."""
    values, signed = values_of(endpoint), endpoint.security is not Security.NONE
    names = (*endpoint.mandatory, *endpoint.allowed)

    def request(what: str, query: str, *codes: int) -> Damaged:
        headers = local.headers if signed else {}
        query = _signed(query, local) if signed else query
        return Damaged(what, endpoint.method, endpoint.path, query, codes=frozenset(codes), headers=headers)

    yield request("an unknown parameter", _query(values | {"unknown": "1"}), -1104)
    for name in endpoint.mandatory:
        yield request(f"no {name}", _query({known: values[known] for known in values if known != name}), -1102)
    for name in names:
        empty = -1102 if name in endpoint.mandatory else -1105
        yield request(f"empty {name}", _query(values | {name: ""}), empty, -1102)
        yield request(f"{name} twice", f"{_query(values | {name: '1'})}&{name}=1", -1101)
    yield replace(request("wrong verb", _query(values)), method="PATCH", status=405, codes=frozenset({-1020}))
    if signed:
        yield from _wrongly_signed(request("", _query(values)), values, keys, local)


def nonsense_requests(endpoint: Endpoint, local: LocalExchange) -> Iterator[Damaged]:
    """Yield requests of which one value is nonsense; some of it is harmless, so the answer may be a good one."""
    values, signed = values_of(endpoint), endpoint.security is not Security.NONE
    headers = local.headers if signed else {}
    for name in (*endpoint.mandatory, *endpoint.allowed):
        for nonsense in NONSENSE:
            query = _query(values | {name: nonsense})
            query = _signed(query, local) if signed else query
            what = f"{name} is {nonsense[:20]!r}"
            yield Damaged(what, endpoint.method, endpoint.path, query, codes=SYNTAX_CODES, headers=headers)


def _wrongly_signed(
    right: Damaged, values: Mapping[str, str], keys: Mapping[str, ApiKey], local: LocalExchange
) -> Iterator[Damaged]:
    now_ms = int(time.time() * 1_000)
    unsigned = _query(values)

    def at(timestamp: object, *, window: str = "") -> str:
        query = f"{unsigned}&timestamp={timestamp}{window}".lstrip("&")
        return f"{query}&signature={local.sign(query)}"

    def wrong(what: str, code: int, *, status: int = 400, query: str = right.query, key: str | None = None) -> Damaged:
        headers = right.headers if key is None else {"X-MBX-APIKEY": key}
        return replace(right, what=what, query=query, status=status, codes=frozenset({code}), headers=headers)

    yield replace(wrong("no key", -2014, status=401), headers={})
    yield wrong("half a key", -2014, status=401, key=local.key.api_key[:32])
    yield wrong("an unknown key", -2015, status=401, key="A" * 64)
    yield wrong("somebody else's key", -1022, key=keys["main"].api_key)
    yield wrong("a wrong signature", -1022, query=f"{right.query[:-4]}zzzz")
    yield wrong("an unreadable signature", -1022, query=f"{right.query[:-4]}%F0%9F%98%80")
    yield wrong("no timestamp", -1102, query=f"{unsigned}&signature={local.sign(unsigned)}".lstrip("&"))
    yield wrong("a timestamp of letters", -1100, query=at("now"))
    yield wrong("a timestamp of long ago", -1021, query=at(now_ms - 60_000))
    yield wrong("a timestamp of tomorrow", -1021, query=at(now_ms + 86_400_000))
    yield wrong("an endless timestamp", -1108, query=at(2**63))
    yield wrong("too wide a window", -1131, query=at(now_ms, window="&recvWindow=60001"))


def _query(values: Mapping[str, str]) -> str:
    return "&".join(f"{name}={quote(value)}" for name, value in values.items())


def _signed(query: str, local: LocalExchange) -> str:
    query = f"{query}&timestamp={int(time.time() * 1_000)}".lstrip("&")
    return f"{query}&signature={local.sign(query)}"
