"""The operators file, read again whenever it changes: a revoked key is out without a restart."""

from pathlib import Path

import structlog

from libs.common.control.operators import Operators
from libs.common.errors import ConfigurationError

_log = structlog.get_logger(__name__)


class OperatorsFile:
    """The accepted keys.

    Raises:
        ConfigurationError: The file cannot be used when the process starts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = self._found_version()
        self._operators = Operators.load(path)

    def current(self) -> Operators:
        """Return the keys that are accepted now; while the file is broken, those of its last good version."""
        version = self._found_version()
        if version != self._version:
            try:
                self._operators = Operators.load(self._path)
            except ConfigurationError as error:
                _log.error("The operators file is broken; its last good version holds", error=str(error))
            self._version = version
        return self._operators

    def _found_version(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino
