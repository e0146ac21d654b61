"""Running a service: settings, logs, health, heartbeats, an orderly end.

`run_service` is the only place where an error that nobody handled ends: it is logged, and the process exits.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn

import structlog

from libs.common.clock import Clock, SystemClock
from libs.common.configuration import TradingConfiguration, load_sourced
from libs.common.errors import ConfigurationError, RetryableError
from libs.common.messaging.deadlines import every
from libs.common.observability.health import serve
from libs.common.observability.logs import configure_logging
from libs.common.runtime.surroundings import Runtime, SettingsT
from libs.common.settings import load_settings

EXIT_CRASHED: Final = 1
EXIT_CONFIGURATION: Final = 4
SHUTDOWN_S_MAX: Final = 8.0
FLUSH_S_MAX: Final = 2.0
CANCEL_S_MAX: Final = 1.0
HEARTBEAT_INTERVAL_S: Final = 2.0

_log = structlog.get_logger(__name__)

Serve = Callable[[Runtime[SettingsT]], Awaitable[None]]
"""Wires a service and runs it until it is cancelled."""


def run_service(name: str, settings_type: type[SettingsT], service: Serve[SettingsT]) -> NoReturn:
    """Run a service until it is told to stop, and exit: 0 stopped, 1 crashed, 4 configuration."""
    clock = SystemClock()
    try:
        settings = load_settings(settings_type)
        configuration = load_sourced(settings.config_files, os.environ).configuration
        settings.kafka_login(name)  # a secret that is missing is told like any other mistake
    except ConfigurationError as error:
        sys.stderr.write(f"{name}: configuration error: {error}\n")
        sys.exit(EXIT_CONFIGURATION)
    sys.exit(asyncio.run(run(name, settings, configuration, clock, service)))


async def run(
    name: str, settings: SettingsT, configuration: TradingConfiguration, clock: Clock, service: Serve[SettingsT]
) -> int:
    """Run a service until it is told to stop; return the exit status."""
    runtime = Runtime(name, settings, configuration, clock)
    configure_logging(
        service=name,
        instance=runtime.instance,
        level=settings.log_level,
        clock=clock,
        forward=runtime.forward_log,
    )
    loop = asyncio.get_running_loop()
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stop_signal, runtime.stopping.set)
    background: list[asyncio.Task[Any]] = []
    try:
        web, port = await serve(runtime.health.application(), host=settings.health_host, port=settings.health_port)
    except OSError as error:
        _log.error(
            "The health port is taken; set TRADER_HEALTH_PORT to another one or to 0",
            host=settings.health_host,
            port=settings.health_port,
            error=str(error),
        )
        return EXIT_CRASHED
    _log.info("Started", health_port=port, configuration_hash=configuration.hash[:12])
    try:
        publishing = asyncio.create_task(runtime.publisher.run(), name="publisher")
        background += [
            publishing,
            asyncio.create_task(runtime.health.run_checks(), name="readiness"),
            asyncio.create_task(runtime.health.watch_loop(), name="loop lag"),
            asyncio.create_task(every(HEARTBEAT_INTERVAL_S, runtime.beat, clock=clock), name="heartbeats"),
        ]
        status = await _serve_until_stopped(runtime, service, background)
        try:
            await runtime.publisher.flush(FLUSH_S_MAX)
        except RetryableError as error:
            _log.warning("Not everything was published before the end", error=str(error))
    finally:
        await web.cleanup()
        unfinished = await _cancel_the_others()
    if unfinished:  # asyncio would wait for them, and a library may ignore its cancellation for ever
        _log.warning("Leaving tasks that do not end", tasks=unfinished)
        os._exit(status)
    return status


async def _cancel_the_others() -> list[str]:
    """Cancel every task but this one and return the names of those that did not end in time."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if not others:
        return []
    _, pending = await asyncio.wait(others, timeout=CANCEL_S_MAX)
    return [task.get_name() for task in pending]


async def _serve_until_stopped(
    runtime: Runtime[SettingsT], service: Serve[SettingsT], background: Sequence[asyncio.Task[Any]]
) -> int:
    serving = asyncio.ensure_future(service(runtime))
    stopping = asyncio.ensure_future(runtime.stopping.wait())
    await asyncio.wait({serving, stopping, *background}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    broken = next((task for task in background if task.done()), None)
    if not serving.done():
        _log.info("Stopping")
        serving.cancel()
        done, _ = await asyncio.wait({serving}, timeout=SHUTDOWN_S_MAX)
        if not done:
            _log.error("The service did not stop in time; leaving it", deadline_s=SHUTDOWN_S_MAX)
            return EXIT_CRASHED
    if broken is not None:
        _log.error("Crashed", task=broken.get_name(), exc_info=broken.exception())
        return EXIT_CRASHED
    if serving.cancelled():
        _log.info("Stopped", uptime_s=_seconds_since(runtime.started_at, runtime.clock.now()))
        return 0
    error = serving.exception()
    if error is None:
        _log.error("The service ended by itself; it should run until it is stopped")
        return EXIT_CRASHED
    if (mistake := _configuration_error(error)) is not None:
        _log.error("Configuration error", error=str(mistake))
        return EXIT_CONFIGURATION
    _log.error("Crashed", exc_info=error)
    return EXIT_CRASHED


def _configuration_error(error: BaseException) -> ConfigurationError | None:
    """Return the configuration error that `error` is, or that the tasks of a group ended with."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := _configuration_error(inner)) is not None), None)
    return error if isinstance(error, ConfigurationError) else None


def _seconds_since(then: datetime, now: datetime) -> float:
    return round((now - then).total_seconds(), 1)
