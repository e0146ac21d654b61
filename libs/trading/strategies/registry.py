"""Strategies by name.

Invariant: an unknown name or parameter is an error that names the nearest known one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from libs.trading.strategies.ema_cross import EmaCross, EmaCrossParameters
from libs.trading.strategies.strategy import Strategy

STRATEGIES = (EmaCross.name,)


def create_strategy(name: str, symbol: str, interval_s: int, parameters: Mapping[str, Any]) -> Strategy:
    """Return a new instance of the strategy `name`.

    Args:
        name: One of `STRATEGIES`.
        symbol: As in 'BTC/USDT'.
        interval_s: The candles' interval.
        parameters: By name; what is left out has its default.

    Raises:
        ValueError: The strategy or a parameter is unknown, or a value is out of its range.
    """
    if interval_s < 1:
        raise ValueError(f"interval_s: expected at least 1, found {interval_s}")
    if name == EmaCross.name:
        known = [field.name for field in fields(EmaCrossParameters)]
        for given in parameters:
            _require_known(f"parameter of {name}", given, known)
        return EmaCross(symbol, interval_s, EmaCrossParameters(**parameters))
    raise _unknown("strategy", name, STRATEGIES)


def _require_known(what: str, given: str, known: Iterable[str]) -> None:
    if given not in known:
        raise _unknown(what, given, known)


def _unknown(what: str, given: str, known: Iterable[str]) -> ValueError:
    names = sorted(known)
    nearest = get_close_matches(given, names, n=1, cutoff=0.0)
    return ValueError(f"expected a {what} (one of {', '.join(names)}), found {given!r}; did you mean {nearest[0]!r}?")
