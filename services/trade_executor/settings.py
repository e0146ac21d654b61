"""Where the executor finds what it needs, beyond what every service knows."""

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """The executor's settings: those of every service suffice.

    `exchange_keys_file` must hold a key with trading rights for each account of the configuration.
    """
