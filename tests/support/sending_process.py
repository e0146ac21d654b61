"""The notifier's sender as a process of its own, to be killed: `python -m tests.support.sending_process DSN FILE`."""

import asyncio
import sys
from pathlib import Path

from libs.common.clock import SystemClock
from libs.common.configuration import LiveConfiguration
from libs.common.storage.postgres import Database
from services.notifier.adapters.built_in import DashboardChannel, LogChannel
from services.notifier.adapters.outbox import PostgresOutbox
from services.notifier.adapters.outside import load_channels
from services.notifier.service.ports import Channel
from services.notifier.service.sending import Sender
from tests.support.notifier_desk import configured


async def send(dsn: str, addresses: Path) -> None:
    """Deliver what is committed, until killed."""
    outside, _ = load_channels(addresses)
    channels: dict[str, Channel] = {"dashboard": DashboardChannel(), "log": LogChannel(), **outside}
    live = LiveConfiguration(configured({"messages_per_minute_max": 10_000}))
    database = await Database.connect(dsn, application="sending", connections_max=4)
    await Sender(outbox=PostgresOutbox(database), channels=channels, live=live, clock=SystemClock()).run()


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], Path(sys.argv[2])))
