"""Following the stored versions as they are told on `control.state`.

Invariant: a process goes on with what is in force when it is told what it cannot use.
"""

import structlog

from libs.common.configuration.changes import carried_over, told_configuration
from libs.common.configuration.live import LiveConfiguration
from libs.common.configuration.loading import SourcedConfiguration
from libs.common.configuration.mistakes import InvalidConfigurationError
from libs.common.configuration.sections import TradingConfiguration
from libs.common.contracts.events import ConfigurationChanged

_log = structlog.get_logger(__name__)


def follow(live: LiveConfiguration, changed: ConfigurationChanged, *, started_with: TradingConfiguration) -> None:
    """Work with a version from now on; what only a start can change stays what this process was started with.

    Args:
        live: What the process works with.
        changed: The version as it was told.
        started_with: What the process's own files say.
    """
    if live.told is not None and _contradicts(changed, live.told):
        _log.error(
            "The stored configuration was made anew from an older version; was postgres restored without kafka?",
            version=changed.version,
            known_version=live.told.version,
            hash=changed.hash[:12],
            known_hash=live.told.hash[:12],
        )
    if live.told is None or changed.version >= live.told.version:
        live.told = changed
    try:
        told = told_configuration(changed.configuration, changed.origins, version=changed.version)
        held = carried_over(told, SourcedConfiguration(started_with, {})).configuration
    except InvalidConfigurationError as error:
        _log.error(
            "Cannot use the new configuration and go on with the old one", version=changed.version, error=str(error)
        )
        return
    if not live.accept(changed.version, held):
        return
    _log.info("The configuration is in force", version=changed.version, changes=list(changed.changes))
    if live.hash != changed.hash:
        _log.warning("This process was started with other files than the risk manager", version=changed.version)


def _contradicts(changed: ConfigurationChanged, known: ConfigurationChanged) -> bool:
    """Return whether a version cannot have come before or with a known one; one that is only told twice can."""
    if changed.version == known.version:
        return changed.hash != known.hash
    return changed.version < known.version and changed.occurred_at > known.occurred_at
