"""What is done to processes and to the account."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from deploy.monitoring import limits
from tests.alerts.provocation import Act, Provocation
from tests.alerts.scene import Scene

_STUTTER_S: Final = 1.5
_BREATH_S: Final = 0.3
_HALT_LATE_S: Final = 2.0
_SEEN_S: Final = 5.0
"""By then Prometheus has seen a process that lives."""


@asynccontextmanager
async def _stuttering(scene: Scene, service: str) -> AsyncIterator[None]:
    """Have a service stop for a while, again and again."""

    async def stutter() -> None:
        while True:
            frozen = scene.arena.freeze(service)
            try:
                await asyncio.sleep(_STUTTER_S)
            finally:
                scene.arena.thaw(frozen)
            await asyncio.sleep(_BREATH_S)

    stuttering = asyncio.ensure_future(stutter())
    try:
        yield
    finally:
        stuttering.cancel()
        await asyncio.wait({stuttering})


async def _generator_stutters(scene: Scene) -> None:
    name = "trader_tick_to_order_seconds"

    async def is_slow() -> bool:
        sent = await scene.metric("trade_executor", f"{name}_count")
        fast = await scene.metric("trade_executor", f"{name}_bucket", le=str(limits.ORDER_PATH_S))
        return sent - fast > sent / 100

    async with _stuttering(scene, "signal_generator"):
        scene.begin("EventsLate", "LoopLagging")
        await scene.until(is_slow, seconds=120, what="an order that took longer than a second")
        scene.begin("OrderPathSlow")
        await scene.until_told("EventsLate", "LoopLagging", "OrderPathSlow")


async def _permit_lapses(scene: Scene) -> None:
    frozen = scene.arena.freeze("risk_manager")
    try:
        scene.begin("PermitLost")
        await scene.until_told("PermitLost")
    finally:
        scene.arena.thaw(frozen)


async def _generator_freezes(scene: Scene) -> None:
    async def has_settled() -> bool:
        return bool(await scene.ask('time() - max(process_start_time_seconds{job="prometheus"}) > 301'))

    # Before that, what does not answer may be starting for the first time.
    await scene.until(has_settled, seconds=330, what="a Prometheus that has run for five minutes")
    frozen = scene.arena.freeze("signal_generator")
    try:
        scene.begin("ServiceDown")
        await scene.until_told("ServiceDown")
    finally:
        scene.arena.thaw(frozen)


async def _generator_dies_again_and_again(scene: Scene) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(limits.RESTARTS + 1):
        await asyncio.sleep(_SEEN_S)
        died_at_s = loop.time()
        scene.arena.kill("signal_generator")
        await scene.arena.until_ready(["signal_generator"], since_s=died_at_s, seconds=60)
    scene.begin("ServiceRestarting")
    await scene.until_told("ServiceRestarting")


async def _another_program_runs(scene: Scene) -> None:
    command = (sys.executable, "-m", "services.signal_generator")
    other, _ = scene.beside("another", "signal_generator", command, TRADER_BUILD="another")
    await other.start()
    try:
        await scene.until_metric("risk_manager", "trader_processes_differing", lambda number: number > 0, seconds=60)
        scene.begin("ProcessesDiffer")
        await scene.until_told("ProcessesDiffer")
    finally:
        await other.stop()
    await scene.until_metric("risk_manager", "trader_processes_differing", lambda number: number == 0, seconds=120)


async def _account_halts(scene: Scene) -> None:
    await scene.until_metric("position_manager", "trader_positions_open", lambda number: number > 0, seconds=120)
    frozen = scene.arena.freeze("trade_executor")
    halting = asyncio.ensure_future(scene.arena.command("HALT", "a provocation"))
    scene.begin("TradingHalted")
    try:
        await asyncio.sleep(_HALT_LATE_S)
    finally:
        scene.arena.thaw(frozen)
    scene.begin("HaltSlow")
    await halting
    exposure = await scene.metric("position_manager", "trader_exposure_quote", account="main")
    equity = await scene.metric("position_manager", "trader_equity_quote", account="main")
    await scene.configure(safety__exposure_pct_max=f"{100 * exposure / equity / (limits.EXPOSURE + 0.05):.6f}")
    scene.begin("ExposureHigh")
    try:
        await scene.until_told("TradingHalted", "HaltSlow", "ExposureHigh")
    finally:
        await scene.configure(safety__exposure_pct_max="100")
    await scene.arena.command("RESUME", "a provocation")
    scene.begin("TradingResumed")
    await scene.until_told("TradingResumed")


async def _money_is_lost(scene: Scene) -> None:
    async def is_lost() -> bool:
        return await scene.metric("position_manager", "trader_pnl_today_quote", account="main") < 0

    await scene.until(is_lost, seconds=240, what="a loss")
    await scene.arena.command("STOP", "nothing moves when nothing is held")
    await scene.until_metric("position_manager", "trader_positions_open", lambda number: number == 0, seconds=240)
    limit = await scene.metric("risk_manager", "trader_daily_loss_limit_quote", account="main")
    ratio = await scene.until_metric("risk_manager", "trader_daily_loss_ratio", lambda found: found > 0, seconds=60)
    limit_pct = 50 * ratio  # of which the loss would be the whole
    assert limit > 0
    try:
        await scene.configure(risk_management__daily_loss_limit_pct=f"{limit_pct / 0.9:.6f}")
        scene.begin("DailyLossWarning")
        await scene.until_told("DailyLossWarning")
        await scene.configure(risk_management__daily_loss_limit_pct=f"{limit_pct / 1.5:.6f}")
        scene.begin("DailyLossExceeded")
        await scene.until_told("DailyLossExceeded")
    finally:
        await scene.configure(risk_management__daily_loss_limit_pct="50")


STUTTER: Final = Act(
    "stutter",
    {
        "EventsLate": Provocation("the signal generator stops for 1.5 s again and again", reached_s=10),
        "LoopLagging": Provocation("the signal generator stops for 1.5 s again and again", reached_s=10),
        "OrderPathSlow": Provocation("the signal generator has made one order in a hundred slow"),
    },
    _generator_stutters,
    needs_trading=True,
)
PERMIT: Final = Act(
    "permit",
    {"PermitLost": Provocation("the risk manager is frozen", reached_s=limits.PERMIT_AGE_S)},
    _permit_lapses,
    needs_trading=True,
)
DOWN: Final = Act("down", {"ServiceDown": Provocation("the signal generator is frozen")}, _generator_freezes)
RESTARTS: Final = Act(
    "restarts",
    {"ServiceRestarting": Provocation("the signal generator is killed four times")},
    _generator_dies_again_and_again,
)
ANOTHER: Final = Act(
    "another", {"ProcessesDiffer": Provocation("a process of another build runs beside")}, _another_program_runs
)
HALT: Final = Act(
    "halt",
    {
        "TradingHalted": Provocation("`trader halt`"),
        "HaltSlow": Provocation("the executor is frozen while the halt is given"),
        "ExposureHigh": Provocation("the limit is moved near what is held"),
        "TradingResumed": Provocation("`trader resume`"),
    },
    _account_halts,
    needs_trading=True,
)
LOSS: Final = Act(
    "loss",
    {
        "DailyLossWarning": Provocation("the day's loss is nine tenths of its limit"),
        "DailyLossExceeded": Provocation("the day's loss is beyond its limit"),
    },
    _money_is_lost,
    needs_trading=True,
)
