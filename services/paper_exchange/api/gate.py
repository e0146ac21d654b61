"""What every request passes before it reaches the venue, in Binance's order.

Invariant: limits, key, clock and signature are settled before a handler sees the request.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any

from services.paper_exchange.api.keys import ApiKey, Permission, verify_ed25519
from services.paper_exchange.api.limits import Limits
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.venue import Venue

RECV_WINDOW_MS = 5_000
RECV_WINDOW_MS_MAX = 60_000
_AHEAD_MS_MAX = 1_000
_KEY_FORMAT = re.compile(r"[A-Za-z0-9]{64}")
_SIGNED = ("timestamp", "signature")
_SIGNED_OPTIONAL = ("recvWindow", "apiKey")


class Security(Enum):
    """What an endpoint asks of the caller."""

    NONE = "NONE"
    USER_DATA = "USER_DATA"
    TRADE = "TRADE"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has passed the gate."""

    parameters: Parameters
    key: ApiKey | None
    now_ms: int

    @property
    def account(self) -> str:
        """The account that calls; only of endpoints that ask for a key."""
        if self.key is None:
            raise ValueError("this endpoint asks for no key, so there is no account")
        return self.key.account


Handler = Callable[[Call], Any]
Weight = int | Callable[[Parameters], int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that can be asked.

    Args:
        method: The HTTP method.
        path: The HTTP path.
        handler: Answers.
        weight: What it costs.
        security: What it asks of the caller.
        mandatory: Parameters that must be sent.
        allowed: Parameters that may be sent.
        orders: How many orders it places.
        ws_method: Its name in the WebSocket API.
    """

    method: str
    path: str
    handler: Handler
    weight: Weight = 1
    security: Security = Security.NONE
    mandatory: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    orders: int = 0
    ws_method: str = ""

    @property
    def is_free(self) -> bool:
        """Whether only a refusal costs its weight, as of orders and cancels."""
        return self.orders > 0 or self.method == "DELETE"


def signed_query(
    name: str,
    handler: Handler,
    weight: Weight,
    *,
    mandatory: tuple[str, ...] = (),
    allowed: tuple[str, ...] = (),
    ws: str = "",
) -> Endpoint:
    """Return an endpoint that shows an account's own data; over the socket it is called `ws`, or else as its path."""
    return Endpoint(
        "GET",
        f"/api/v3/{name}",
        handler,
        weight=weight,
        security=Security.USER_DATA,
        mandatory=mandatory,
        allowed=allowed,
        ws_method=ws or name,
    )


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived: `signed_payload` is exactly what the client signed, `session` who has logged on."""

    address: str
    values: Mapping[str, str]
    signed_payload: bytes
    api_key: str
    session: ApiKey | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, with what belongs into its headers."""

    status: int
    body: Any
    used_weight: int | None = None
    order_counts: tuple[int, int] | None = None
    retry_after_s: int | None = None


class Gate:
    """Check requests and let the venue's handlers answer them."""

    def __init__(self, *, venue: Venue, keys: Iterable[ApiKey], limits: Limits) -> None:
        self._venue = venue
        self._keys = {key.api_key: key for key in keys}
        self._limits = limits

    def handle(self, endpoint: Endpoint, request: Request) -> Answer:
        """Answer a request, or refuse it as Binance does."""
        parameters = Parameters(request.values)
        now_ms = self._venue.advance()
        used: int | None = None
        try:
            self._limits.admit(request.address, now_ms)
            weight = endpoint.weight if isinstance(endpoint.weight, int) else endpoint.weight(parameters)
            used = self._limits.spend(request.address, weight, now_ms)
            key = self._authenticate(endpoint, request, parameters, now_ms)
            parameters.expect(mandatory=endpoint.mandatory, allowed=(*endpoint.allowed, *_signing_names(endpoint)))
            if key is not None and endpoint.orders:
                self._limits.check_orders(key.account, endpoint.orders, now_ms)
            body = endpoint.handler(Call(parameters, key, now_ms))
        except ApiError as error:
            return Answer(error.status, error.body(), used, retry_after_s=error.retry_after_s)
        counts = None
        if endpoint.is_free:
            used = self._limits.refund(request.address, weight, now_ms)
        if key is not None and endpoint.orders:
            counts = self._limits.count_orders(key.account, endpoint.orders, now_ms)
        return Answer(HTTPStatus.OK, body, used, order_counts=counts)

    def account_of(self, request: Request) -> str:
        """Return whose key a request names, whether or not it may use it; empty if it names none."""
        key = request.session or self._keys.get(request.api_key)
        return "" if key is None else key.account

    def authenticate(self, request: Request, now_ms: int) -> ApiKey:
        """Return the key of a signed request for user data.

        Raises:
            ApiError: Key, clock or signature are not in order.
        """
        key = self._key(request.api_key, Permission.USER_DATA)
        _check_time(Parameters(request.values), now_ms)
        _check_signature(key, request)
        return key

    def _authenticate(self, endpoint: Endpoint, request: Request, parameters: Parameters, now_ms: int) -> ApiKey | None:
        if endpoint.security is Security.NONE:
            return None
        permission = Permission(endpoint.security.value)
        if request.session is not None and not {"apiKey", "signature"} & request.values.keys():
            _check_permission(request.session, permission)
            _check_time(parameters, now_ms)
            return request.session
        key = self._key(request.api_key, permission)
        _check_time(parameters, now_ms)
        _check_signature(key, request)
        return key

    def _key(self, api_key: str, permission: Permission) -> ApiKey:
        if not _KEY_FORMAT.fullmatch(api_key):
            raise ApiError(-2014, "API-key format invalid.", status=HTTPStatus.UNAUTHORIZED)
        key = self._keys.get(api_key)
        if key is None:
            raise _not_permitted()
        _check_permission(key, permission)
        return key


def _not_permitted() -> ApiError:
    text = "Invalid API-key, IP, or permissions for action."
    return ApiError(-2015, text, status=HTTPStatus.UNAUTHORIZED)


def _check_permission(key: ApiKey, permission: Permission) -> None:
    if permission not in key.permissions:
        raise _not_permitted()


def _signing_names(endpoint: Endpoint) -> tuple[str, ...]:
    return () if endpoint.security is Security.NONE else (*_SIGNED, *_SIGNED_OPTIONAL)


def _check_time(parameters: Parameters, now_ms: int) -> None:
    timestamp_ms = parameters.moment_ms("timestamp")
    if timestamp_ms is None:
        parameters.text("timestamp")
        return
    window_ms = parameters.units("recvWindow") / 10**8 if "recvWindow" in parameters else RECV_WINDOW_MS
    if window_ms > RECV_WINDOW_MS_MAX:
        raise ApiError(-1131, "recvWindow must be less than 60000.")
    if timestamp_ms >= now_ms + _AHEAD_MS_MAX:
        raise ApiError(-1021, f"Timestamp for this request was {_AHEAD_MS_MAX}ms ahead of the server's time.")
    if now_ms - timestamp_ms > window_ms:
        raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _check_signature(key: ApiKey, request: Request) -> None:
    signature = Parameters(request.values).text("signature")
    if key.is_ed25519:
        genuine = verify_ed25519(key, request.signed_payload, signature)
    else:
        expected = hmac.new(key.api_secret.encode(), request.signed_payload, hashlib.sha256).hexdigest()
        genuine = hmac.compare_digest(expected.encode(), signature.lower().encode(errors="replace"))
    if not genuine:
        raise ApiError(-1022, "Signature for this request is not valid.")
