"""One answer of the exchange's REST API: status, headers and body bound together, whatever they are.

Invariant: a reply is never guessed: a body that is not the JSON it should be stays None and proves nothing.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

ERROR_STATUS: Final = 400
SERVER_ERROR_STATUS: Final = 500

_COUNT: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete HTTP answer.

    Attributes:
        headers: Names in lower case.
        body: The parsed object or list; None when the text is not JSON or is neither.
    """

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] | list[Any] | None

    @classmethod
    def of(cls, *, status: int, headers: Mapping[str, str], text: str) -> "Reply":
        """Bind an answer as it arrived."""
        return cls(status=status, headers={name.lower(): value for name, value in headers.items()}, body=_parse(text))

    @property
    def code(self) -> int | None:
        """Binance's error code, where the body is exactly an error."""
        if isinstance(self.body, dict) and self.status >= ERROR_STATUS:
            code = self.body.get("code")
            return code if isinstance(code, int) else None
        return None

    @property
    def message(self) -> str:
        """Binance's error message, empty when there is none."""
        return str(self.body.get("msg", "")) if isinstance(self.body, dict) and self.code is not None else ""

    @property
    def retry_after_s(self) -> float | None:
        """The `Retry-After` header in seconds, where the exchange sent a readable one."""
        seconds = self.count("retry-after")
        return None if seconds is None else float(seconds)

    def count(self, header: str) -> int | None:
        """Return the whole number in a header, None where there is none."""
        text = self.headers.get(header, "")
        return int(text) if _COUNT.fullmatch(text) else None


def _parse(text: str) -> dict[str, Any] | list[Any] | None:
    try:
        body = json.loads(text, parse_float=Decimal)
    except ValueError:
        return None
    return body if isinstance(body, (dict, list)) else None
