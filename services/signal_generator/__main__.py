"""Wires the signal generator."""

import asyncio
from typing import Final

from libs.common.configuration import TradingConfiguration
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import CandleClosed, ConfigurationChanged, MarketStatusChanged, TradingStateChanged
from libs.common.contracts.topics import TopicName
from libs.common.runtime import Runtime, run_service
from libs.policy import configured_strategy
from services.signal_generator.adapters import KafkaCandleHistory
from services.signal_generator.service import SignalGenerator
from services.signal_generator.settings import Settings

NAME: Final = "signal_generator"


async def serve(runtime: Runtime[Settings]) -> None:
    """Answer candles until cancelled.

    Raises:
        ConfigurationError: The strategy cannot be made.
    """
    configuration = runtime.configuration
    configured_strategy(configuration, configuration.symbols[0])  # what is wrong shows now, not with the first candle
    generator = SignalGenerator(
        create=lambda symbol: configured_strategy(runtime.configuration, symbol),
        interval_s=configuration.engine.trading_interval,
        quality_min=lambda: runtime.configuration.strategy.quality_min,
        history=KafkaCandleHistory(runtime.kafka),
    )

    async def on_configuration(changed: Envelope[ConfigurationChanged]) -> None:
        before = _rules(runtime.configuration)
        await runtime.on_configuration_changed(changed)
        if _rules(runtime.configuration) != before:
            generator.renew()

    states = runtime.reader(
        topics=[TopicName.MARKET_STATUS, TopicName.CONTROL_STATE],
        observers={
            MarketStatusChanged: generator.on_status,
            TradingStateChanged: generator.on_state,
            ConfigurationChanged: on_configuration,
        },
        start={TopicName.MARKET_STATUS: "end", TopicName.CONTROL_STATE: "beginning"},
        conflate=True,
        name="market status and trading state",
    )
    candles = runtime.group(
        topics=[TopicName.MARKET_CANDLES],
        handlers={CandleClosed: generator.on_candle},
        member=runtime.settings.group_member,
    )
    async with asyncio.TaskGroup() as loops:
        loops.create_task(states.run(), name="market status and trading state")
        await states.caught_up.wait()  # no candle is decided by rules that hold no more
        loops.create_task(candles.run(), name="candles")


def _rules(configuration: TradingConfiguration) -> tuple[object, ...]:
    """Return what a strategy is made of."""
    strategy, risk = configuration.strategy, configuration.risk_management
    exits = (strategy.stops, strategy.stop_atr, strategy.take_atr, risk.stop_loss_pct, risk.take_profit_pct)
    return strategy.name, strategy.parameters, *exits


if __name__ == "__main__":
    run_service(NAME, Settings, serve)
