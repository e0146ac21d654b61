"""Settings of the position manager: those of every service."""

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Environment variables with the prefix `TRADER_`; the exchange key needs no more than the right to read."""
