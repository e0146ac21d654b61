"""`trader notify test`: does a message reach a person, over each channel?"""

import asyncio
import uuid
from typing import Annotated, Any, Final

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir
from cli.output import emit_json, emit_rows
from cli.place import Place, find_place, run
from libs.common.clock import SystemClock

notify = typer.Typer(help="The channels that tell people.", no_args_is_help=True)

COLUMNS: Final = ("channel", "state", "reason")
DELIVERED_S_MAX: Final = 30.0
LOOK_S: Final = 0.25

Channels = Annotated[
    list[str] | None, typer.Option("--channel", help="Only this channel, several times if you like; none: all of them.")
]

_CONFIGURED: Final = "SELECT channel FROM channels WHERE is_configured ORDER BY channel"
_STATES: Final = """
    SELECT channel, state, reason FROM notifications WHERE event_id = $1 AND channel = ANY($2) ORDER BY channel
"""


@notify.command("test")
def try_channels(channel: Channels = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Send a test message over the way of a real one, and say for each channel what became of it."""
    place = find_place(data_dir)
    names = tuple(dict.fromkeys(channel or run(_configured(place))))
    if not names:
        raise CommandError("expected a channel, found none that is configured", hint="See docs/notifications.md.")
    event_id, rows = run(_try(place, names))
    if as_json:
        emit_json({"event_id": event_id, "id": event_id.hex[:8], "channels": rows})
    else:
        emit_rows("channels", rows, COLUMNS, as_json=False)
    waiting = [row["channel"] for row in rows if row["state"] == "QUEUED" and not row["reason"]]
    failed = [row["channel"] for row in rows if row["state"] != "SENT" and row["channel"] not in waiting]
    if failed:
        raise CommandError(
            f"{len(failed)} of {len(rows)} channels did not take the message: {', '.join(failed)}",
            hint="See docs/notifications.md and `trader logs notifier`.",
            status=ExitStatus.FOUND,
        )
    if waiting or len(rows) < len(names):
        raise CommandError(
            f"expected every channel to take the message within {DELIVERED_S_MAX:g} s, "
            f"found that these did not yet: {', '.join(waiting) or 'the notifier does not answer'}",
            hint="`trader alerts` shows what becomes of it; see `trader ps`.",
            status=ExitStatus.TIMED_OUT,
        )


async def _configured(place: Place) -> list[str]:
    async with place.database() as database, database.connection() as connection:
        return [str(row["channel"]) for row in await connection.fetch(_CONFIGURED)]


async def _try(place: Place, names: tuple[str, ...]) -> tuple[uuid.UUID, list[dict[str, Any]]]:
    """Raise the alert; return its id and the state of each delivery, as soon as all have come to something."""
    event_id = await _raise(place, names)
    clock = SystemClock()
    ends_s = clock.monotonic_s() + DELIVERED_S_MAX
    async with place.database() as database:
        while True:
            async with database.connection() as connection:
                rows = [dict(row) for row in await connection.fetch(_STATES, event_id, list(names))]
            settled = [row for row in rows if row["state"] != "QUEUED" or row["reason"]]
            if len(settled) == len(names) or clock.monotonic_s() > ends_s:
                return event_id, rows
            await asyncio.sleep(LOOK_S)


async def _raise(place: Place, names: tuple[str, ...]) -> uuid.UUID:
    from libs.common.contracts.event import event_id_of  # noqa: PLC0415 - the clients of Kafka cost half a second
    from libs.common.contracts.events import AlertRaised  # noqa: PLC0415
    from libs.common.contracts.vocabulary import AlertType, Severity  # noqa: PLC0415
    from libs.common.messaging.publisher import Publisher  # noqa: PLC0415

    clock = SystemClock()
    alert = AlertRaised(
        occurred_at=clock.now(),
        alert_type=AlertType.SYSTEM_ERROR,
        severity=Severity.INFO,
        component="trader",
        subject="trader notify test",
        message="asked for by `trader notify test`",
        parameters={"trial": "yes"},
        channels=names,
    )
    publisher = Publisher(place.kafka(), clock=clock)
    running = asyncio.create_task(publisher.run())
    try:
        await publisher.send(alert)
    finally:
        running.cancel()
        await asyncio.wait({running})
    return event_id_of(alert, cause=None, ordinal=0)
