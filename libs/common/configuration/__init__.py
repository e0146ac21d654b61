"""What a user configures: the specification's JSON, and the optional sections beside it."""

from libs.common.configuration.live import LiveConfiguration
from libs.common.configuration.loading import (
    SourcedConfiguration,
    configuration_schema,
    load_configuration,
    load_sourced,
    parse_configuration,
)
from libs.common.configuration.mistakes import InvalidConfigurationError
from libs.common.configuration.notifications import NotificationsSection
from libs.common.configuration.safety import SafetySection
from libs.common.configuration.sections import TradingConfiguration

__all__ = [
    "InvalidConfigurationError",
    "LiveConfiguration",
    "NotificationsSection",
    "SafetySection",
    "SourcedConfiguration",
    "TradingConfiguration",
    "configuration_schema",
    "load_configuration",
    "load_sourced",
    "parse_configuration",
]
