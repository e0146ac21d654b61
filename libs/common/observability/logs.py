"""Structured logs: JSON lines to stderr, INFO and above to the `logs` topic, secrets nowhere.

Lines of libraries pass the same chain and a rate limit: a broker's restart costs hundreds of them.
"""

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

import structlog

from libs.common.clock import Clock
from libs.common.observability import metrics

REDACTED: Final = "[redacted]"
LIBRARY_LINES_PER_MINUTE_MAX: Final = 20

_SECRET_KEY: Final = re.compile(
    r"secret|password|passwd|token|api_?key|private|signature|authorization|dsn", re.IGNORECASE
)
_SECRET_VALUES: Final = (
    re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{64}(?![A-Za-z0-9])"),
    re.compile(r"(signature=)[^&\s\"']+", re.IGNORECASE),
    re.compile(r"(x-mbx-apikey['\":=\s]+)[^\s,'\"}]+", re.IGNORECASE),
    re.compile(r"(://[^:/\s]*:)[^@/\s]+(?=@)"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
)

Forward = Callable[[str, str, Mapping[str, str]], None]
"""Takes level, message and fields of a line of INFO or above."""


def configure_logging(
    *,
    service: str,
    instance: str,
    level: str,
    clock: Clock,
    forward: Forward | None = None,
    handler: logging.Handler | None = None,
) -> None:
    """Set up structlog and the standard library's logging for this process.

    Args:
        service: The process's name, in every line.
        instance: Host and pid, in every line.
        level: The lowest level written.
        clock: Gives the time of a line, as of everything.
        forward: Receives what goes to the `logs` topic; None: nothing does.
        handler: Takes the lines; None: they go to stderr.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _stamp(clock, service, instance),
        structlog.processors.format_exc_info,
        redact,
        *([_forwarding(forward)] if forward else []),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = handler or logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    handler.addFilter(_LibraryRateLimit(clock))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in ("aiokafka", "asyncio", "ccxt", "aiohttp"):
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


def redact(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of a line: by the names of its fields and by the look of its values."""
    for key, value in line.items():
        if not key.startswith("_"):  # structlog's own
            line[key] = REDACTED if _SECRET_KEY.search(key) else _without_secrets(value)
    return line


def _without_secrets(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        for pattern in _SECRET_VALUES:
            value = pattern.sub(lambda match: (match.group(1) if match.re.groups else "") + REDACTED, value)
        return value
    if isinstance(value, Mapping):
        return {
            key: REDACTED if _SECRET_KEY.search(str(key)) else _without_secrets(entry) for key, entry in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_without_secrets(entry) for entry in value]
    return _without_secrets(str(value))  # an exception, an address: what it will be written as


def _stamp(clock: Clock, service: str, instance: str) -> structlog.typing.Processor:
    def stamp(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["at"] = clock.now().isoformat()
        line["service"] = service
        line["instance"] = instance
        return line

    return stamp


def _forwarding(forward: Forward) -> structlog.typing.Processor:
    skipped = {"event", "level", "at", "service", "instance"}

    def forwarding(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        level = str(line.get("level", "info")).upper()
        if level != "DEBUG":
            fields = {
                key: str(value)[:2_000] for key, value in line.items() if key not in skipped and not key.startswith("_")
            }
            forward("ERROR" if level == "CRITICAL" else level, str(line.get("event", ""))[:2_000], fields)
        return line

    return forwarding


class _LibraryRateLimit(logging.Filter):
    """Lets at most `LIBRARY_LINES_PER_MINUTE_MAX` lines of each library logger through a minute."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._window_s = 0
        self._lines: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        library = record.name.split(".")[0]
        if library in {"libs", "services", "cli", "root", "__main__"}:
            return True
        window_s = int(self._clock.monotonic_s() // 60)
        if window_s != self._window_s:
            self._window_s = window_s
            self._lines.clear()
        self._lines[library] = self._lines.get(library, 0) + 1
        if self._lines[library] > LIBRARY_LINES_PER_MINUTE_MAX:
            metrics.LOGS_SUPPRESSED.labels(logger=library).inc()
            return False
        return True
