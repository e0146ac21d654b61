"""What the notifier's handlers and loops need of the world."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from libs.common.contracts.event import Envelope
from libs.common.contracts.events import AlertRaised
from services.notifier.domain.routing import Repetition, Routing
from services.notifier.domain.texts import Text
from services.notifier.domain.words import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message on its way to one channel.

    Attributes:
        attempts: How often it was tried, this time included.
        was_held: It waited for the end of quiet hours or for room, and is told with all others that did.
    """

    event_id: uuid.UUID
    channel: str
    alert_type: str
    severity: str
    component: str
    title: str
    body: str
    occurred_at: datetime
    recorded_at: datetime
    attempts: int
    was_held: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of an attempt; `reason` says why it failed."""

    delivered: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """An alert that nobody has acknowledged in time.

    Attributes:
        reminders: How often people were told of it again so far.
        text: As it was told first.
    """

    event_id: uuid.UUID
    reminders: int
    text: Text
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Retelling:
    """What is done about an unanswered alert.

    Attributes:
        channels: Where it is told again.
        again_at: When it is looked at again; None: never.
    """

    text: Text
    channels: tuple[str, ...]
    again_at: datetime | None


class Channel(Protocol):
    """A way to people."""

    async def deliver(self, notification: Notification) -> Delivery:
        """Try once; delivering the same event again must do no harm.

        Raises:
            RetryableError: The channel is away.
        """
        ...


class AlertTransaction(Protocol):
    """What handling one alert reads and writes."""

    async def add(self, envelope: Envelope[AlertRaised], *, answered_by: datetime | None) -> bool:
        """Record the alert, and when somebody must have acknowledged it; False: it was recorded before."""
        ...

    async def settle(self, account: str | None) -> None:
        """Expect no answers any more to what an account, or all of them, was stopped for."""
        ...

    async def last_of_kind(self, alert: AlertRaised) -> Repetition | None:
        """Return when an alert of the same kind was last told; until the end nobody else can."""
        ...

    async def save(
        self, envelope: Envelope[AlertRaised], routing: Routing, text: Text, language: Language, attempt_at: datetime
    ) -> None:
        """Write the notifications and what to remember of the repetition."""
        ...


class AlertStore(Protocol):
    """Where alerts are handled, one transaction each."""

    async def handle(self, work: "AlertWork") -> None:
        """Run `work` in a transaction.

        Raises:
            RetryableError: The database is away.
        """
        ...

    async def acknowledge(
        self, event_id: uuid.UUID, *, by: str, at: datetime, account: str, may_all: bool
    ) -> str | None:
        """Note who has seen an alert of an account, or with `may_all` of all of them, the first one stays.

        Returns:
            Who that is, None for an alert that is not there.
        """
        ...


class AlertWork(Protocol):
    """The work of one transaction."""

    async def __call__(self, transaction: AlertTransaction) -> None:
        """Read and write."""
        ...


class Outbox(Protocol):
    """The notifications that wait for delivery. Every method raises RetryableError when the database is away."""

    async def release(self, now: datetime) -> None:
        """Let go of what this process had taken before it crashed."""
        ...

    async def take(self, channel: str, now: datetime, *, at_once_max: int) -> Sequence[Notification]:
        """Return due notifications, the urgent first, marked as attempted, so that nobody else takes them meanwhile."""
        ...

    async def take_urgent(self, channel: str, now: datetime) -> Sequence[Notification]:
        """Return one due notification that cannot wait, if there is one, marked likewise."""
        ...

    async def take_held(self, channel: str, now: datetime) -> Sequence[Notification]:
        """Return everything that was held until now, marked likewise, oldest first."""
        ...

    async def hold(self, channel: str, now: datetime, *, until: datetime) -> None:
        """Hold what is due and can wait, because the channel has had enough."""
        ...

    async def mark_sent(self, notifications: Sequence[Notification], at: datetime) -> None:
        """Note that they arrived at their channel."""
        ...

    async def mark_failed(self, notifications: Sequence[Notification], reason: str, again_at: datetime) -> None:
        """Note that they did not, and when to try again."""
        ...

    async def give_up(
        self, notifications: Sequence[Notification], reason: str, at: datetime, *, escalation: Sequence[str]
    ) -> None:
        """Note that they never will, and queue each for the first channel of the escalation that it is not for yet."""
        ...

    async def take_orphaned(self, channels: Sequence[str], now: datetime) -> Sequence[Notification]:
        """Return what is due for channels that are none of these, marked as attempted."""
        ...

    async def note_channels(self, problems: Mapping[str, str], *, configured: Sequence[str], at: datetime) -> None:
        """Write down the channels of this process and what keeps each from delivering, '' for nothing."""
        ...


class Unacknowledged(Protocol):
    """The alerts that wait for somebody to acknowledge them."""

    async def retell(self, now: datetime, decide: "Decide") -> int:
        """Do what `decide` says of each that is overdue; return how many there were."""
        ...


class Decide(Protocol):
    """What to do about an unanswered alert."""

    def __call__(self, unanswered: Unanswered) -> Retelling:
        """Decide."""
        ...
