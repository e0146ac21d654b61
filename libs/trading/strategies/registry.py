"""Strategies by name.

Invariant: an unknown name or parameter is an error that names the nearest known one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, NamedTuple

from libs.trading.strategies.bollinger_breakout import BollingerBreakout, BollingerBreakoutParameters
from libs.trading.strategies.consensus import Consensus, ConsensusParameters
from libs.trading.strategies.donchian_trend import DonchianTrend, DonchianTrendParameters
from libs.trading.strategies.ema_cross import EmaCross, EmaCrossParameters
from libs.trading.strategies.exits import ExitParameters
from libs.trading.strategies.macd_trend import MacdTrend, MacdTrendParameters
from libs.trading.strategies.rsi_reversion import RsiReversion, RsiReversionParameters
from libs.trading.strategies.strategy import Strategy


class _Kind(NamedTuple):
    create: Callable[[str, int, Any], Strategy]
    parameters: type[ExitParameters]


_KINDS = {
    EmaCross.name: _Kind(EmaCross, EmaCrossParameters),
    RsiReversion.name: _Kind(RsiReversion, RsiReversionParameters),
    MacdTrend.name: _Kind(MacdTrend, MacdTrendParameters),
    BollingerBreakout.name: _Kind(BollingerBreakout, BollingerBreakoutParameters),
    DonchianTrend.name: _Kind(DonchianTrend, DonchianTrendParameters),
    Consensus.name: _Kind(Consensus, ConsensusParameters),
}

STRATEGIES = tuple(_KINDS)


def parameters_of(name: str) -> type[ExitParameters]:
    """Return the type of a strategy's parameters, whose fields have their default, range and meaning.

    Raises:
        ValueError: The strategy is unknown.
    """
    if name not in _KINDS:
        raise _unknown("strategy", name, STRATEGIES)
    return _KINDS[name].parameters


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
    kind = parameters_of(name)
    known = [declared.name for declared in fields(kind)]
    for given in parameters:
        if given not in known:
            raise _unknown(f"parameter of {name}", given, known)
    return _KINDS[name].create(symbol, interval_s, kind(**parameters))


def _unknown(what: str, given: str, known: Iterable[str]) -> ValueError:
    names = sorted(known)
    nearest = get_close_matches(given, names, n=1, cutoff=0.0)
    return ValueError(f"expected a {what} (one of {', '.join(names)}), found {given!r}; did you mean {nearest[0]!r}?")
