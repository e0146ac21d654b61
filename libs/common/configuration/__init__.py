"""What a user configures: the specification's JSON, and the optional sections beside it."""

from libs.common.configuration.loading import configuration_schema, load_configuration, parse_configuration
from libs.common.configuration.sections import NotificationsSection, SafetySection, TradingConfiguration

__all__ = [
    "NotificationsSection",
    "SafetySection",
    "TradingConfiguration",
    "configuration_schema",
    "load_configuration",
    "parse_configuration",
]
