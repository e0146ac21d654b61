"""What became of the signals: the entries' orders, and the refusals."""

import asyncio
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import OrderRefused, OrderUpdated
from libs.common.contracts.topics import TopicName
from libs.common.contracts.vocabulary import Role
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.reader import TopicReader

ANSWER_S_MAX: Final = 10.0
SENT: Final = ""


class Answers:
    """Reads the last word on each signal and hands it to whoever waits for it."""

    def __init__(self, kafka: Kafka, *, publisher: Publisher, clock: Clock) -> None:
        self._answers: dict[tuple[str, Role], asyncio.Future[str]] = {}
        self.reader = TopicReader(
            kafka,
            component="bench",
            publisher=publisher,
            topics=(TopicName.ORDERS_UPDATES, TopicName.ORDERS_REFUSED),
            observers={OrderUpdated: self._on_order, OrderRefused: self._on_refused},
            clock=clock,
        )

    async def to(self, symbol: str, role: Role) -> str:
        """Wait for the answer to the signal that is about to be given; return why it was refused, or `SENT`."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[symbol, role] = answer
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await answer
        except TimeoutError:
            return "NO_ANSWER"

    async def _on_order(self, envelope: Envelope[OrderUpdated]) -> None:
        order = envelope.event
        if order.final:
            self._answer(order.symbol, order.role, SENT if order.sent_at is not None else order.reason)

    async def _on_refused(self, envelope: Envelope[OrderRefused]) -> None:
        self._answer(envelope.event.symbol, envelope.event.role, envelope.event.reason)

    def _answer(self, symbol: str, role: Role, text: str) -> None:
        waiting = self._answers.pop((symbol, role), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(text)
