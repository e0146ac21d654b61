"""What only the signal generator needs to know."""

import socket

from pydantic import Field

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """The signal generator's settings.

    Attributes:
        group_member: Tells the replicas of this service apart; the same after a restart. By default the host's name,
            which each container has for itself.
    """

    group_member: str = Field(default_factory=socket.gethostname, pattern=r"^[a-zA-Z0-9._-]{1,200}$")
