"""Where the libraries' log lines go: never to the person, unless `--debug` asks for them."""

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from libs.common.clock import SystemClock
from libs.common.observability.logs import configure_logging

LOG_BYTES_MAX: Final = 4 * 1024 * 1024


def log_to_nowhere() -> None:
    """Keep lines from a command's output: what matters of them is told as an error."""
    _configure(logging.NullHandler())


def log_to_stderr() -> None:
    """Show every line, for whoever looks for a bug."""
    _configure(logging.StreamHandler(sys.stderr), level="DEBUG")


def log_to_file(path: Path) -> None:
    """Keep lines in a bounded file."""
    _configure(RotatingFileHandler(path, maxBytes=LOG_BYTES_MAX, backupCount=1, encoding="utf-8", delay=True))


def _configure(handler: logging.Handler, *, level: str = "INFO") -> None:
    logging.captureWarnings(capture=True)
    configure_logging(service="trader", instance=str(os.getpid()), level=level, clock=SystemClock(), handler=handler)
