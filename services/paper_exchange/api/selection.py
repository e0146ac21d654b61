"""Which symbols, and whose days, a public request is about.

Invariant: a symbol whose status is not the one asked for is never shown.
"""

import re

from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.venue.errors import ApiError, illegal_characters
from services.paper_exchange.venue.venue import Venue

_STATUSES = {name: name for name in ("TRADING", "HALT", "BREAK", "CANCEL_ONLY")}
_ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-5][0-9]))?")
_MINUTE_MS = 60_000
_ZONE_MINUTES_MIN, _ZONE_MINUTES_MAX = -12 * 60, 14 * 60
_PERMISSION = r'^([A-Z0-9_]{1,20}|\[("[A-Z0-9_]{1,20}"(,"[A-Z0-9_]{1,20}"){0,}){0,1}\])$'
_PERMISSIONS = re.compile(_PERMISSION)
_GRANTED = frozenset({"SPOT"})


def selected_symbols(parameters: Parameters, venue: Venue) -> list[str]:
    """Return the symbols asked for, all of them if none is named.

    Raises:
        ApiError: One is not listed, or the only one has another status than asked for.
    """
    symbols = parameters.symbols(venue.symbols)
    check_status(parameters, venue, only_one="symbol" in parameters)
    wanted = _wanted_status(parameters)
    chosen = venue.symbols if symbols is None else symbols
    return [symbol for symbol in chosen if wanted in (None, venue.status(symbol))]


def named_symbols(parameters: Parameters, venue: Venue) -> list[str]:
    """Return the symbols asked for, where at least one must be named.

    Raises:
        ApiError: None is.
    """
    if "symbol" not in parameters and "symbols" not in parameters:
        raise ApiError(-1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!")
    return selected_symbols(parameters, venue)


def check_status(parameters: Parameters, venue: Venue, *, only_one: bool = True) -> None:
    """Check that the only symbol asked for has the status asked for.

    Raises:
        ApiError: It has another one.
    """
    if not only_one:
        return
    symbol = parameters.rules(venue.symbols).symbol
    if _wanted_status(parameters) not in (None, venue.status(symbol)):
        raise ApiError(-1220, "The symbol's status does not match the requested symbolStatus.")


def permitted_symbols(parameters: Parameters, venue: Venue) -> list[str]:
    """Return the symbols that exchangeInfo is to show.

    Raises:
        ApiError: Several ways of choosing them are combined.
    """
    ways = ["permissions" in parameters, "symbol" in parameters or "symbols" in parameters]
    if all(ways) or ("symbolStatus" in parameters and ways[1]):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    if ways[0]:
        text = parameters.text("permissions")
        if not _PERMISSIONS.fullmatch(text):
            raise illegal_characters("permissions", _PERMISSION)
        if not _GRANTED & set(re.findall(r"[A-Z0-9_]+", text)):
            return []
    return selected_symbols(parameters, venue)


def zone_ms(parameters: Parameters) -> int:
    """Return how far the days of `timeZone` begin before those of UTC.

    Raises:
        ApiError: It is no zone between -12:00 and +14:00.
    """
    if "timeZone" not in parameters:
        return 0
    match = _ZONE.fullmatch(parameters.text("timeZone"))
    error = ApiError(-1130, "Data sent for parameter 'timeZone' is not valid.")
    if match is None:
        raise error
    sign, hours, minutes = match.groups()
    offset = (int(hours) * 60 + int(minutes or 0)) * (-1 if sign == "-" else 1)
    if not _ZONE_MINUTES_MIN <= offset <= _ZONE_MINUTES_MAX:
        raise error
    return offset * _MINUTE_MS


def _wanted_status(parameters: Parameters) -> str | None:
    if "symbolStatus" not in parameters:
        return None
    error = ApiError(-1130, "Data sent for parameter 'symbolStatus' is not valid.")
    return parameters.choice("symbolStatus", _STATUSES, error)
