"""Whom the watchdog watches, and how it makes itself heard."""

from pathlib import Path

from pydantic import Field, HttpUrl, field_validator

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """The watchdog's settings; its `exchange_keys_file` holds keys of its own, which may cancel.

    Attributes:
        targets: JSON `{name: address}` of the health ports to poll; `/healthz` is added to a bare address.
        critical: Targets whose silence stops trading; that of others is only told.
        poll_interval_s: How often each is asked.
        alert_after_s: Silence that is an alert.
        halt_after_s: Silence of a critical target that stops trading; a supervised restart takes less.
        webhook_url: Where alerts are posted as JSON that the notifier does not confirm within 5 s.
        webhook_urls_file: More such addresses, one a line, in a file that only the watchdog can read: addresses of
            Slack, Discord and Telegram are secrets.
        notifier: The target that confirms; alerts are posted at once where it is not watched.
        heartbeat_url: A dead man's switch outside, posted to for as long as the watchdog polls.
        heartbeat_interval_s: How often.
        backups_status_file: What the service `backup` says of itself; empty: there is none.
    """

    targets: dict[str, HttpUrl] = Field(default_factory=dict, max_length=100)
    critical: tuple[str, ...] = ("trade_executor", "risk_manager")
    poll_interval_s: float = Field(default=1.0, ge=0.05, le=10)
    alert_after_s: float = Field(default=3.0, gt=0, le=600)
    halt_after_s: float = Field(default=10.0, gt=0, le=3_600)
    webhook_url: HttpUrl | None = None
    webhook_urls_file: Path | None = None
    notifier: str = "notifier"
    heartbeat_url: HttpUrl | None = None
    heartbeat_interval_s: float = Field(default=60.0, ge=1, le=3_600)
    backups_status_file: str = Field(default="", max_length=4_096)

    @field_validator("targets")
    @classmethod
    def _addresses_name_the_endpoint(cls, targets: dict[str, HttpUrl]) -> dict[str, HttpUrl]:
        return {
            name: url if (url.path or "/") != "/" else HttpUrl(f"{str(url).rstrip('/')}/healthz")
            for name, url in targets.items()
        }
