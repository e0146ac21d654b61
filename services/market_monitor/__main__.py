"""Wires the market monitor."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from random import SystemRandom
from typing import Final

from libs.common.configuration import SafetySection
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import ConfigurationChanged
from libs.common.contracts.topics import TopicName
from libs.common.errors import ConfigurationError
from libs.common.runtime import Runtime, run_service
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.market_data.ccxt_pro import CcxtMarketData
from services.market_monitor.adapters import MarketFeed, RedisPriceBoard
from services.market_monitor.domain.anomalies import Thresholds
from services.market_monitor.service.monitor import MarketMonitor
from services.market_monitor.settings import Settings

NAME: Final = "market_monitor"
TIMER_AGE_S_MAX: Final = 5.0


async def serve(runtime: Runtime[Settings]) -> None:
    """Watch the markets until cancelled.

    Raises:
        ConfigurationError: A symbol of this process's share is not configured, or an address is unusable.
    """
    settings, configuration, clock = runtime.settings, runtime.configuration, runtime.clock
    symbols = _share(settings.market_symbols, configuration.symbols)
    address = ExchangeAddress.of(settings.exchange_rest_url, settings.exchange_ws_url)
    monitor = MarketMonitor(
        symbols=symbols,
        interval_s=configuration.engine.trading_interval,
        thresholds=_thresholds(configuration.safety),
        warmup_candles=settings.warmup_candles,
        warmup_minutes=settings.warmup_minutes,
        quote_interval_ms=settings.quote_interval_ms,
        clock=clock,
    )
    async with (
        runtime.redis() as store,
        aclosing(
            CcxtMarketData(address=address, symbols=symbols, clock=clock, randomness=SystemRandom())
        ) as market_data,
    ):

        async def on_configuration(changed: Envelope[ConfigurationChanged]) -> None:
            await runtime.on_configuration_changed(changed)
            monitor.configure(_thresholds(runtime.configuration.safety))

        versions = runtime.reader(
            topics=(TopicName.CONTROL_STATE,),
            observers={ConfigurationChanged: on_configuration},
            start="beginning",
            name="configuration",
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(versions.run(), name="configuration")
            await versions.caught_up.wait()  # nothing is called calm by thresholds that hold no more
            feed = MarketFeed(
                monitor=monitor,
                market_data=market_data,
                publisher=runtime.publisher,
                prices=RedisPriceBoard(store),
                clock=clock,
                progress=runtime.health.progress("timer", TIMER_AGE_S_MAX),
                randomness=SystemRandom(),
            )
            runtime.health.check("market", feed.is_watching)
            tasks.create_task(feed.run(), name="feed")


def _share(wanted: Sequence[str], configured: Sequence[str]) -> Sequence[str]:
    unknown = sorted(set(wanted) - set(configured))
    if unknown:
        raise ConfigurationError(
            where="TRADER_MARKET_SYMBOLS",
            expected=f"some of the configured symbols ({', '.join(configured)})",
            found=", ".join(unknown),
        )
    return wanted or configured


def _thresholds(safety: SafetySection) -> Thresholds:
    return Thresholds(
        data_age_ms_max=safety.data_age_ms_max,
        volatility_rate_max=safety.volatility_rate_max,
        spread_rate_max=safety.spread_rate_max,
        jump_rate_max=safety.jump_rate_max,
        jump_window_s=safety.jump_window_s,
        clock_skew_ms_max=safety.clock_skew_ms_max,
        calm_after_s=safety.calm_after_s,
    )


if __name__ == "__main__":
    run_service(NAME, Settings, serve)
