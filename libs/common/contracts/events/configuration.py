"""The configuration in force, whole, after each change."""

from pydantic import Field

from libs.common.contracts.event import Event
from libs.common.contracts.fields import Text


class ConfigurationChanged(Event):
    """A version of the configuration that holds from now on: who starts later needs only the newest of these.

    Attributes:
        version: Rises by one with every change; 1 is what the first start was given.
        configuration: All of it as canonical JSON, decimals as text; not taken apart here, because its keys come
            and go with the program's versions, and events do not.
        hash: SHA-256 of that text.
        origins: Where each value comes from, by dotted key.
        changes: What differs from the version before, as `key: before -> after`.
        loosened: Keys of limits that allow more than before.
        issuer: Who changed it; the risk manager for what a start brought.
    """

    version: int = Field(ge=1, le=2**31 - 1)
    configuration: str = Field(min_length=2, max_length=200_000)
    hash: str = Field(min_length=64, max_length=64)
    origins: dict[str, str] = Field(default_factory=dict, max_length=1_000)
    changes: tuple[str, ...] = Field(default=(), max_length=1_000)
    loosened: tuple[str, ...] = Field(default=(), max_length=1_000)
    reason: Text = ""
    issuer: str = Field(min_length=1, max_length=60)

    @property
    def key(self) -> str:
        """One configuration for all accounts, in order."""
        return "configuration"

    @property
    def natural_key(self) -> str:
        """One event a version."""
        return f"{self.version}|{self.hash}"
