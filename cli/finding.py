"""What a look of `trader doctor` found."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One look.

    Attributes:
        failed: Something must be done; otherwise `advice` is a warning at most.
    """

    subject: str
    found: str
    failed: bool = False
    advice: str = ""

    @property
    def mark(self) -> str:
        """A sign for people: ok, warning or failure."""
        return "✗" if self.failed else "!" if self.advice else "✓"

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {"subject": self.subject, "ok": not self.failed, "found": self.found, "advice": self.advice}
