"""How old backups are, as the service `backup` says in its file of status (deploy/backup/backup.sh).

It is shown and not acted on. What was never seen counts from when looking began: silence grows old, too.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from libs.common.observability import metrics

RECEIVED: Final = "received"
COPIED: Final = "copied"
VERIFIED: Final = "verified"
_MOMENT: Final = "%Y%m%dT%H%M%SZ"

_log = structlog.get_logger(__name__)


class Backups:
    """Looks at the file of status."""

    def __init__(self, status_file: Path, *, since: datetime) -> None:
        self._status_file = status_file
        _show(dict.fromkeys((RECEIVED, COPIED, VERIFIED), since))

    async def look(self) -> None:
        """Show when changes were received, and a copy made and verified; an unusable file shows nothing new."""
        try:
            _show(_told(await asyncio.to_thread(self._status_file.read_bytes)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("Backups cannot be looked at", file=str(self._status_file), error=repr(error))


def _told(raw: bytes) -> Mapping[str, datetime]:
    content = json.loads(raw)
    began = content["history"]
    moments = {COPIED: content["newest"] or began, VERIFIED: content["verified"] or began}
    if content["receiving"] is True:
        moments[RECEIVED] = content["at"]
    return {of: datetime.strptime(text, _MOMENT).replace(tzinfo=UTC) for of, text in moments.items() if text}


def _show(moments: Mapping[str, datetime]) -> None:
    for of, moment in moments.items():
        metrics.BACKUP_TIMESTAMP_SECONDS.labels(of).set(moment.timestamp())
