"""What only the signal generator needs to know."""

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """The signal generator's settings.

    Attributes:
        group_member: Tells the replicas of this service apart; the same after a restart.
    """

    group_member: str = "0"
