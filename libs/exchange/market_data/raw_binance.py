"""ccxt.pro's Binance with three taps: frames as text, headers of answers, a bound on its dialling back-off.

Invariant: nothing here raises into ccxt's receive loop, which an exception would end without a word.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from ccxt.pro.binance import binance

from libs.exchange.replies import ERROR_STATUS, Reply

DIAL_DELAY_S_MAX: Final = 3.0


class RawBinance(binance):  # type: ignore[misc]  # ccxt ships without types
    """ccxt.pro's Binance, from which stream frames and answer headers are taken before ccxt interprets them."""

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        on_frame: Callable[[Mapping[str, Any] | None], None],
        on_reply: Callable[[Reply], None],
    ) -> None:
        super().__init__(options)
        self._on_frame = on_frame
        self._on_reply = on_reply

    def client(self, url: str) -> Any:
        """Return ccxt's connection to `url`, with our reading of text frames in place of its own."""
        client = super().client(url)
        client.handle_text_or_binary_message = partial(self._on_text, client)
        return client

    def ws_dial_delay(self, url: str) -> float:
        """Return ccxt's wait before it dials again, within our bound: the stack is to be whole again in seconds."""
        return min(float(super().ws_dial_delay(url)), DIAL_DELAY_S_MAX)

    def on_rest_response(  # noqa: PLR0917 - ccxt's own signature
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any
    ) -> Any:
        """Pass status and headers of every answer on, and the body of a refusal."""
        self._on_reply(Reply.of(status=code, headers=headers, text=body if code >= ERROR_STATUS else ""))
        return super().on_rest_response(code, reason, url, method, headers, body, *rest)

    def _on_text(self, client: Any, text: str | bytes) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if isinstance(message, dict) and ("error" in message or "status" in message):
            self.handle_message(client, message)  # rejects the subscription's future
        else:
            self._on_frame(message if isinstance(message, dict) else None)
