"""Hear people say that they know of an emergency, and tell others while nobody does."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import CommandAcknowledged, ControlCommanded, TradingStateChanged
from libs.common.contracts.vocabulary import TradingState
from libs.common.control.commands import CommandHistory, verify
from libs.common.control.operators import Operators
from services.notifier.domain.routing import BUILT_IN, reminder
from services.notifier.domain.texts import remind
from services.notifier.service.ports import AlertStore, Retelling, Unacknowledged, Unanswered

COMPONENT: Final = "notifier"

_log: Final = structlog.get_logger(__name__)


class Acknowledgements:
    """Takes ACKNOWLEDGE commands.

    No ids of commands are kept: one that comes again within its lifetime finds its alert acknowledged, and that is all.

    Args:
        alerts: Where it is written down who has seen an alert.
        operators: Returns the keys that are accepted now.
        live: Names the accounts.
    """

    def __init__(
        self, *, alerts: AlertStore, operators: Callable[[], Operators], live: LiveConfiguration, clock: Clock
    ) -> None:
        self._alerts = alerts
        self._operators = operators
        self._live = live
        self._clock = clock
        self._states: dict[str, TradingState] = {}

    async def on_state(self, envelope: Envelope[TradingStateChanged]) -> None:
        """Remember the trading state that every answer tells."""
        self._states[envelope.event.account] = envelope.event.state

    async def on_command(self, envelope: Envelope[ControlCommanded]) -> Sequence[Event]:
        """Write down who has seen an alert, and answer; other commands are none of ours."""
        command = envelope.event
        if command.command != "ACKNOWLEDGE":
            return ()
        now, operators, accounts = self._clock.now(), self._operators(), self._live.current.exchange.accounts
        refusal = verify(
            command,
            operators=operators,
            accounts=accounts,
            now=now,
            history=CommandHistory(),
        )
        why, by = "" if refusal is None else refusal.value, None
        if not why and command.alert is not None:
            operator = operators.find(command.key_id)
            by = await self._alerts.acknowledge(
                command.alert,
                by=command.issuer,
                at=now,
                account=command.account,
                may_all=operator is not None and all(operator.may(command.command, each) for each in accounts),
            )
        if not why and by is None:
            why = (
                f"expected the event id of an alert of {command.account}, or of all accounts and a key for all of "
                "them, found none that is recorded"
            )
        if why:
            _log.warning("Refused a command", command=command.command, issuer=command.issuer, reason=why)
        return (
            CommandAcknowledged(
                occurred_at=now,
                command_id=command.command_id,
                command=command.command,
                account=command.account,
                accepted=not why,
                component=COMPONENT,
                path="kafka",
                state=self._states.get(command.account, TradingState.REDUCING),
                reason=why or f"acknowledged by {by}",
            ),
        )


class Reminders:
    """Tells the next ones when nobody acknowledges an emergency.

    Args:
        unacknowledged: The alerts that wait for an answer.
        live: Who is next, and how long each has.
        channels: The names of the channels that can deliver.
        wake: Tells the senders that there is something to send.
    """

    def __init__(
        self,
        *,
        unacknowledged: Unacknowledged,
        live: LiveConfiguration,
        channels: Sequence[str],
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._unacknowledged = unacknowledged
        self._live = live
        self._channels = channels
        self._clock = clock
        self._wake = wake

    async def look(self) -> None:
        """Tell again what was not acknowledged in time.

        Raises:
            RetryableError: The database is away.
        """
        if await self._unacknowledged.retell(self._clock.now(), self._decide):
            self._wake()

    def _decide(self, unanswered: Unanswered) -> Retelling:
        settings = self._live.current.notifications
        within = timedelta(minutes=settings.acknowledge_within_min)
        told = reminder(unanswered.reminders, escalation=settings.escalation, available=self._channels)
        minutes = settings.acknowledge_within_min * (unanswered.reminders + 1)
        _log.error(
            "Nobody has acknowledged an emergency stop",
            event_id=str(unanswered.event_id),
            minutes=minutes,
            told=list(told.channels),
        )
        return Retelling(
            text=remind(unanswered.text, unanswered.language, minutes=minutes),
            channels=tuple(channel for channel in told.channels if channel not in BUILT_IN),
            again_at=None if told.is_last else self._clock.now() + within,
        )
