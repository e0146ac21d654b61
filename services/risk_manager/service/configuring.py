"""The versions of the configuration: seeded by the first start, changed by signed commands, told to every service.

Invariant: what is in force is a stored version; nothing invalid is ever stored. A limit is tightened at once, and
loosened only while none of its accounts may open positions.
"""

import uuid
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration, SourcedConfiguration, TradingConfiguration
from libs.common.configuration.accounts import accounts_of
from libs.common.configuration.changes import (
    carried_over,
    changes_between,
    check_live,
    told_configuration,
    with_changes,
)
from libs.common.contracts.event import Event
from libs.common.contracts.events import ControlCommanded
from libs.common.contracts.vocabulary import TradingState
from libs.common.control.commands import option_for
from libs.common.errors import ConfigurationError
from libs.policy import configured_strategy
from services.risk_manager.domain.configuration import ChangeRefusal, ConfigurationVersion
from services.risk_manager.service.announcements import COMPONENT
from services.risk_manager.service.ports import RiskRecords

WHERE: Final = "config set"
REFUSAL_CHARACTERS_MAX: Final = 1_900
"""What fits into the answer to a command."""

_log = structlog.get_logger(__name__)


class ConfigurationKeeper:
    """Keeps the configuration that everybody trades with.

    Args:
        started_with: What this start's files say.
        live: What this process works with; follows the stored version as soon as it is durable.
        clock: The moment of each change.
    """

    def __init__(self, *, started_with: SourcedConfiguration, live: LiveConfiguration, clock: Clock) -> None:
        self._started_with = started_with
        self._live = live
        self._clock = clock

    async def begin(self, records: RiskRecords) -> Sequence[Event]:
        """Take up the stored version; the first start's files are version 1.

        What only a start can change is taken from this start's files, as a version of its own where it differs.

        Raises:
            ConfigurationError: The stored version cannot be used with these files.
        """
        stored = await records.configuration()
        if stored is None:
            first = self._following(None, self._started_with, issuer=COMPONENT, reason="the first start's files")
            await self._keep(first, records)
            return (first.announced(),)
        held = carried_over(stored.sourced, self._started_with)
        _check_usable(held.configuration, version=stored.version)
        if ignored := changes_between(held.configuration, self._started_with.configuration):
            _log.warning(
                "The files differ from the stored configuration, which holds; `trader config set` changes it",
                version=stored.version,
                values=[str(change) for change in ignored],
            )
        following = self._following(stored, held, issuer=COMPONENT, reason="a start with other files")
        if not following.changes:
            records.after_commit(lambda: self._take_up(stored))
            return ()
        await self._keep(following, records)
        return (following.announced(),)

    async def change(
        self, command: ControlCommanded, records: RiskRecords
    ) -> ConfigurationVersion | tuple[ChangeRefusal, str]:
        """Store and return the version that a verified command leads to, or say why there is none."""
        if not command.reason.strip():
            return ChangeRefusal.REASON_IS_MISSING, ""
        stored = await records.configuration()
        if stored is None:
            raise LookupError("expected a stored configuration, found none: recovery stores one")
        origin = f"version {stored.version + 1} by {command.issuer}"
        try:
            sourced = with_changes(stored.sourced, command.changes, origin=origin, where=WHERE)
            check_live(changes_between(stored.sourced.configuration, sourced.configuration), where=WHERE)
            _check_usable(sourced.configuration, version=stored.version + 1)
        except ConfigurationError as error:
            return ChangeRefusal.CONFIGURATION_IS_INVALID, str(error)[:REFUSAL_CHARACTERS_MAX]
        following = self._following(
            stored, sourced, issuer=command.issuer, reason=command.reason, command_id=command.command_id
        )
        if not following.changes:
            return ChangeRefusal.NOTHING_IS_CHANGED, f"version {stored.version} has these values"
        if following.loosened and (active := await self._active(following.loosened, records)):
            stops = " and ".join(f"`trader stop{option_for(account)}`" for account in active)
            return ChangeRefusal.LOOSENING_NEEDS_REDUCING, (
                f"{', '.join(following.loosened)} would allow more than before while {', '.join(active)} may open "
                f"positions; {stops} first, then set it, then `trader start`"
            )
        await self._keep(following, records)
        return following

    async def restore(self, records: RiskRecords) -> None:
        """Take up the stored version where its commit was never answered."""
        if (stored := await records.configuration()) is not None:
            records.after_commit(lambda: self._take_up(stored))

    def _following(
        self,
        stored: ConfigurationVersion | None,
        sourced: SourcedConfiguration,
        *,
        issuer: str,
        reason: str,
        command_id: uuid.UUID | None = None,
    ) -> ConfigurationVersion:
        changes = changes_between(stored.sourced.configuration, sourced.configuration) if stored is not None else ()
        return ConfigurationVersion(
            version=stored.version + 1 if stored is not None else 1,
            sourced=sourced,
            created_at=self._clock.now(),
            changes=tuple(str(change) for change in changes),
            loosened=tuple(change.key for change in changes if change.loosens),
            issuer=issuer,
            reason=reason,
            command_id=command_id,
        )

    async def _active(self, keys: Iterable[str], records: RiskRecords) -> list[str]:
        """Return whose limits these are and may open positions, or will as soon as what reduces them lifts.

        Such limits are tightened at once, and loosened never.
        """
        own = accounts_of(keys)
        accounts = [name for name in self._live.current.exchange.accounts if own is None or name in own]
        states = [await records.find_state(account) for account in accounts]
        return [
            state.account
            for state in states
            if state is not None and state.wants_active and state.state is not TradingState.HALTED
        ]

    async def _keep(self, version: ConfigurationVersion, records: RiskRecords) -> None:
        await records.save_configuration(version)
        records.after_commit(lambda: self._take_up(version))
        if version.loosened:
            loosened = list(version.loosened)
            records.after_commit(
                lambda: _log.warning("Limits allow more than before", version=version.version, loosened=loosened)
            )

    def _take_up(self, version: ConfigurationVersion) -> None:
        if self._live.accept(version.version, version.sourced.configuration):
            _log.info("The configuration is in force", version=version.version, changes=list(version.changes))


def _check_usable(configuration: TradingConfiguration, *, version: int) -> None:
    """Check what only the core knows, of what others will read: the version as it comes back from its text.

    Raises:
        ConfigurationError: The strategy or one of its parameters cannot be used.
    """
    told = told_configuration(configuration.canonical, {}, version=version).configuration
    configured_strategy(told, told.symbols[0], where=WHERE)
