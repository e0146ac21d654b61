"""The strategy that a configuration names."""

from decimal import Decimal
from typing import Any

from libs.common.configuration import TradingConfiguration
from libs.common.errors import ConfigurationError
from libs.trading.strategies import Strategy, create_strategy


def configured_strategy(
    configuration: TradingConfiguration, symbol: str, *, interval_s: int | None = None, where: str = "configuration"
) -> Strategy:
    """Return a new instance of the configured strategy; its exits are set by the configuration's own keys.

    Args:
        configuration: Names the strategy, its parameters and its exits.
        symbol: As in 'BTC/USDT'.
        interval_s: The decision candles' interval; None: the configured one.
        where: Where the configuration comes from, for the reader of an error.

    Raises:
        ConfigurationError: The strategy or one of its parameters is unknown or out of range.
    """
    section, risk = configuration.strategy, configuration.risk_management
    exits: dict[str, Any] = {
        "stops": section.stops,
        "stop_loss_atr": section.stop_atr,
        "take_profit_atr": section.take_atr,
        "stop_loss_pct": risk.stop_loss_pct,
        "take_profit_pct": risk.take_profit_pct,
    }
    parameters = {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in (exits | section.parameters).items()
    }
    try:
        return create_strategy(section.name, symbol, interval_s or configuration.engine.trading_interval, parameters)
    except ValueError as error:
        raise ConfigurationError(
            where=f"{where}: strategy", expected="a known strategy and its parameters", found=str(error)
        ) from error
