"""Where the audit recorder finds what is its own."""

from pathlib import Path

from pydantic import Field

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """The audit recorder's settings.

    Attributes:
        anchors_file: Signed anchors are appended here; keep it where the database's administrator cannot write.
        anchor_key_file: The Ed25519 key that signs them, made at the first start; empty: `audit-anchor-key` among
            the secrets. Its public half stands beside it with the ending `.pub`.
        anchor_interval_s: How often the heads of the chains are anchored.
    """

    anchors_file: Path = Path("audit/anchors.jsonl")
    anchor_key_file: Path | None = None
    anchor_interval_s: float = Field(default=60.0, gt=0, le=3_600)

    @property
    def anchor_key_path(self) -> Path:
        """Where the anchoring key stands."""
        return self.anchor_key_file or self.secrets_dir / "audit-anchor-key"
