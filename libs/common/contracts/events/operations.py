"""What the system says about itself: alerts, heartbeats, log lines and poison messages."""

from pydantic import Field

from libs.common.contracts.event import Event
from libs.common.contracts.fields import AccountName, Count, Name, Number, Symbol, Text, UtcTime
from libs.common.contracts.vocabulary import AlertType, Severity


class AlertRaised(Event):
    """Something a person should know.

    Attributes:
        subject: What identifies repetitions of the same alert, e.g. an order or a symbol.
        parameters: Values for the message templates of every language, already plain text.
        message: The message in English; the notifier translates by type and parameters.
        channels: Where it goes, whatever is configured; none: where the configuration says.
    """

    alert_type: AlertType
    severity: Severity
    component: str = Field(min_length=1, max_length=60)
    subject: str = Field(max_length=200)
    message: Text
    parameters: dict[str, str] = Field(default_factory=dict, max_length=30)
    account: AccountName | None = None
    symbol: Symbol | None = None
    channels: tuple[Name, ...] = Field(default=(), max_length=20)

    @property
    def key(self) -> str:
        """Ordered per account, the system's own alerts among themselves."""
        return self.account or self.component

    @property
    def natural_key(self) -> str:
        """An alert is its type, subject and moment."""
        return f"{self.alert_type}|{self.component}|{self.subject}|{self.occurred_at.isoformat()}"


class HeartbeatSent(Event):
    """Proof of progress of one process, every two seconds.

    Attributes:
        instance: Which process of the component: host and pid.
        sequence: Rises by one with each beat of the process.
        handled: Messages handled since the start; `lag` records still to read per topic.
        loop_lag_ms: How late the event loop turned in the last second, at worst.
        configuration_hash: Must agree between services.
        build: Which program this is: the digest that its image was built with, or the version; must agree too.
    """

    component: Name
    instance: Name
    sequence: Number
    ready: bool
    handled: Number
    lag: dict[str, Number] = Field(default_factory=dict, max_length=100)
    loop_lag_ms: float = Field(ge=0, le=86_400_000)
    configuration_hash: Name = ""
    build: Name = ""
    started_at: UtcTime

    @property
    def key(self) -> str:
        """Ordered per component."""
        return self.component

    @property
    def natural_key(self) -> str:
        """Each process numbers its beats."""
        return f"{self.component}|{self.instance}|{self.started_at.isoformat()}|{self.sequence}"


class LogRecorded(Event):
    """A structured log line of INFO and above; the audit recorder makes `auto_trading_logs` of it."""

    component: Name
    instance: Name
    sequence: Number
    level: str = Field(pattern=r"^(INFO|WARNING|ERROR)$")
    message: Text
    fields: dict[str, str] = Field(default_factory=dict, max_length=50)
    started_at: UtcTime

    @property
    def key(self) -> str:
        """Ordered per component."""
        return self.component

    @property
    def natural_key(self) -> str:
        """Each process numbers its lines."""
        return f"{self.component}|{self.instance}|{self.started_at.isoformat()}|{self.sequence}"


class MessageDeadLettered(Event):
    """A message that nobody could use, kept whole with the reason.

    Attributes:
        value: The record's bytes, base64, cut to 64 KiB; `value_bytes` is its true length.
    """

    component: Name
    topic: Name
    partition: Count
    offset: Number
    record_key: str = Field(default="", max_length=500)
    headers: dict[str, str] = Field(default_factory=dict)
    value: str = ""
    value_bytes: Number
    reason: Text
    detail: Text = ""

    @property
    def key(self) -> str:
        """Ordered per topic that it came from."""
        return self.topic

    @property
    def natural_key(self) -> str:
        """Where it stands, and who could not use it."""
        return f"{self.component}|{self.topic}|{self.partition}|{self.offset}"
