"""Versions of the configuration as they are stored and told."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from libs.common.configuration import SourcedConfiguration
from libs.common.contracts.events import ConfigurationChanged
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX


class ChangeRefusal(StrEnum):
    """Why a command cannot change the configuration."""

    CONFIGURATION_IS_INVALID = "CONFIGURATION_IS_INVALID"
    NOTHING_IS_CHANGED = "NOTHING_IS_CHANGED"
    REASON_IS_MISSING = "REASON_IS_MISSING"
    NOT_EVERY_ACCOUNT_IS_IN_SCOPE = "NOT_EVERY_ACCOUNT_IS_IN_SCOPE"
    LOOSENING_NEEDS_REDUCING = "LOOSENING_NEEDS_REDUCING"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationVersion:
    """One version, whole.

    Attributes:
        version: Rises by one.
        sourced: The values and their origins.
        changes: What differs from the version before, as people write it.
        loosened: Keys of limits that allow more than before.
        issuer: Who made it: an operator, or the risk manager for what a start brought.
        command_id: The command behind it, if one was.
    """

    version: int
    sourced: SourcedConfiguration
    created_at: datetime
    changes: tuple[str, ...] = ()
    loosened: tuple[str, ...] = ()
    issuer: str
    reason: str
    command_id: uuid.UUID | None = None

    def announced(self) -> ConfigurationChanged:
        """Return the event that tells the others."""
        return ConfigurationChanged(
            occurred_at=self.created_at,
            version=self.version,
            configuration=self.sourced.configuration.canonical,
            hash=self.sourced.configuration.hash,
            origins=dict(self.sourced.origins),
            changes=self.changes,
            loosened=self.loosened,
            reason=self.reason,
            issuer=self.issuer,
        )

    @property
    def summary(self) -> str:
        """What became of it, in a line for whoever asked for it; what matters most first, as the line is cut."""
        loosened = f"allows more than before: {', '.join(self.loosened)}; " if self.loosened else ""
        return f"version {self.version}: {loosened}{'; '.join(self.changes)}"[:TEXT_CHARACTERS_MAX]
