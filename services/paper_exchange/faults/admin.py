"""The admin API: arms faults, tells of strikes, and intervenes; on a port of its own.

Invariant: nothing is done, and nothing told, without the key; what cannot be understood changes nothing.
"""

import json
import secrets
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from libs.common.contracts.fields import AccountName
from services.paper_exchange.api.keys import write_private
from services.paper_exchange.faults.faults import ARMED_MAX, ArmedFault, TooManyFaultsError
from services.paper_exchange.faults.interventions import LIMITS
from services.paper_exchange.faults.layer import FaultLayer
from services.paper_exchange.faults.menu import Fault
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.venue import Venue

BODY_BYTES_MAX: Final = 64 * 1024
ADMIN_FILE: Final = "admin.json"
_KEY_BYTES: Final = 32
_AMOUNT_MAX: Final = 10**12
_DECIMALS_MAX: Final = 8
_FAULT: Final[TypeAdapter[Fault]] = TypeAdapter(Fault)

Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,20}$")]
Amount = Annotated[Decimal, Field(ge=-_AMOUNT_MAX, le=_AMOUNT_MAX, decimal_places=_DECIMALS_MAX)]
Limit = Annotated[Decimal, Field(ge=0, le=_AMOUNT_MAX, decimal_places=_DECIMALS_MAX)]
Json = dict[str, Any]


class _Wish(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlaceWish(_Wish):
    """An order; `order` has the parameters of `POST /api/v3/order`."""

    account: AccountName = "main"
    order: dict[str, str]


class CancelWish(_Wish):
    """The end of an account's open orders on a symbol, or of one of them."""

    account: AccountName = "main"
    symbol: Symbol
    client_order_id: str | None = None


class TransferWish(_Wish):
    """Money that comes, or goes where the amount is negative."""

    account: AccountName = "main"
    asset: Symbol
    amount: Amount


class SymbolWish(_Wish):
    """Another status or other limits of a symbol, in exchangeInfo's words."""

    status: Literal["TRADING", "HALT", "BREAK", "CANCEL_ONLY"] | None = None
    limits: dict[str, Limit] = {}


class SeedWish(_Wish):
    """Where chance begins anew."""

    seed: Annotated[int, Field(ge=0)]


class AdminApi:
    """Answers of the admin port.

    Args:
        layer: The faults.
        venue: Knows what is listed.
        key: Whoever has it may do everything here.
    """

    def __init__(self, layer: FaultLayer, *, venue: Venue, key: str) -> None:
        self._faults = layer.faults
        self._interventions = layer.interventions
        self._venue = venue
        self._key = key

    def application(self, middlewares: tuple[Middleware, ...] = ()) -> web.Application:
        """Return the web application."""
        application = web.Application(middlewares=(*middlewares, _guarded(self._key)), client_max_size=BODY_BYTES_MAX)
        application.add_routes(
            [
                web.get("/menu", self._menu),
                web.get("/faults", self._armed),
                web.post("/faults", self._arm),
                web.delete("/faults", self._disarm_all),
                web.delete("/faults/{number:[0-9]{1,9}}", self._disarm),
                web.get("/strikes", self._strikes),
                web.put("/seed", self._seed),
                web.post("/orders", self._place),
                web.delete("/orders", self._cancel),
                web.post("/transfers", self._transfer),
                web.put("/symbols/{symbol}", self._relist),
            ]
        )
        return application

    async def _menu(self, _: web.Request) -> web.Response:
        return web.json_response(_FAULT.json_schema())

    async def _armed(self, _: web.Request) -> web.Response:
        return web.json_response({"faults": [_shown(armed) for armed in self._faults.armed()]})

    async def _arm(self, http: web.Request) -> web.Response:
        fault = _FAULT.validate_json(await http.read())
        self._venue.advance()
        return web.json_response({"fault": self._faults.arm(fault)}, status=HTTPStatus.CREATED)

    async def _disarm_all(self, _: web.Request) -> web.Response:
        return web.json_response({"disarmed": self._faults.disarm()})

    async def _disarm(self, http: web.Request) -> web.Response:
        return web.json_response({"disarmed": self._faults.disarm(int(http.match_info["number"]))})

    async def _strikes(self, _: web.Request) -> web.Response:
        return web.json_response({"strikes": list(self._faults.strikes)})

    async def _seed(self, http: web.Request) -> web.Response:
        wish = SeedWish.model_validate_json(await http.read())
        self._faults.randomness = Random(wish.seed)  # noqa: S311 - it decides about faults, not about secrets
        return web.json_response({"seed": wish.seed})

    async def _place(self, http: web.Request) -> web.Response:
        wish = PlaceWish.model_validate_json(await http.read())
        if (refusal := self._stranger(wish.account)) is not None:
            return refusal
        return web.json_response(self._interventions.place(wish.account, wish.order), status=HTTPStatus.CREATED)

    async def _cancel(self, http: web.Request) -> web.Response:
        wish = CancelWish.model_validate_json(await http.read())
        if (refusal := self._stranger(wish.account)) is not None:
            return refusal
        cancelled = self._interventions.cancel(wish.account, wish.symbol, wish.client_order_id)
        return web.json_response({"cancelled": cancelled})

    async def _transfer(self, http: web.Request) -> web.Response:
        wish = TransferWish.model_validate_json(await http.read())
        if (refusal := self._stranger(wish.account)) is not None:
            return refusal
        balance = self._interventions.transfer(wish.account, wish.asset, wish.amount)
        return web.json_response(balance, status=HTTPStatus.CREATED)

    def _stranger(self, account: str) -> web.Response | None:
        """Return the refusal of an account that there is not, or None."""
        known = sorted(self._venue.ledger.accounts())
        if account in known:
            return None
        return _refusal(
            HTTPStatus.BAD_REQUEST, expected=f"one of {', '.join(known)}", found=repr(account), where="account"
        )

    async def _relist(self, http: web.Request) -> web.Response:
        wish = SymbolWish.model_validate_json(await http.read())
        symbol = http.match_info["symbol"]
        unknown = sorted(wish.limits.keys() - LIMITS.keys())
        if symbol not in self._venue.symbols:
            return _refusal(HTTPStatus.NOT_FOUND, expected=f"one of {', '.join(self._venue.symbols)}", found=symbol)
        if unknown:
            return _refusal(HTTPStatus.BAD_REQUEST, expected=f"limits of {', '.join(LIMITS)}", found=", ".join(unknown))
        return web.json_response(self._interventions.relist(symbol, status=wish.status, limits=wish.limits))


def load_or_create_key(data_dir: Path) -> str:
    """Return the key that was told at the last start with an admin port, or a new one."""
    path = data_dir / ADMIN_FILE
    if path.exists():
        return str(json.loads(path.read_text())["key"])
    return secrets.token_urlsafe(_KEY_BYTES)


def tell_where(data_dir: Path, *, url: str, key: str) -> None:
    """Write where the admin API is, and its key, where only their owner can read it."""
    write_private(data_dir / ADMIN_FILE, {"url": url, "key": key})


def _guarded(key: str) -> Middleware:
    """Return what lets only the key in, and says what was wrong."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        offered = request.headers.get("Authorization", "")
        if not secrets.compare_digest(offered.encode(errors="replace"), f"Bearer {key}".encode()):
            wanted = "the admin key as `Authorization: Bearer KEY`"
            return _refusal(HTTPStatus.UNAUTHORIZED, expected=wanted, found="another, or none")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _refusal(
                error.status, expected="a request of this API", found=f"{request.method} {request.path}: {error.reason}"
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            return _refusal(
                HTTPStatus.BAD_REQUEST, expected=first["msg"], found=repr(first["input"])[:200], where=where
            )
        except ApiError as error:
            return _refusal(HTTPStatus.CONFLICT, expected="something that the exchange accepts", found=str(error))
        except TooManyFaultsError:
            return _refusal(HTTPStatus.CONFLICT, expected=f"at most {ARMED_MAX} faults at a time", found="one more")

    return guard


def _shown(armed: ArmedFault) -> Json:
    settings = armed.fault.model_dump(mode="json", exclude_none=True)
    return {"fault": armed.number, "strikes": armed.strikes, "until_ms": armed.until_ms, **settings}


def _refusal(status: int, *, expected: str, found: str, where: str = "") -> web.Response:
    problem = {"expected": expected, "found": found}
    return web.json_response({"error": problem | ({"where": where} if where else {})}, status=status)
