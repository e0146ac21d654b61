"""What the notifier can be told besides its configuration."""

from pydantic import Field

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """The notifier's settings.

    Attributes:
        repeat_after_s: An alert of the same type, severity, component and subject is told again only after this
            time; those in between are recorded and counted. EMERGENCY_STOP is always told.
        group_member: Tells replicas apart within the group; each needs its own, the same after a restart.
    """

    repeat_after_s: float = Field(default=60.0, ge=0, le=86_400)
    group_member: str = Field(default="0", pattern=r"^[a-z0-9-]{1,20}$")
