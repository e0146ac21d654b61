"""The view for pipes and logs: a line for each thing that happens, on stderr."""

import asyncio

from cli.output import tell
from cli.stack.composition import Composition
from cli.status import read_status, status_line
from libs.common.errors import RetryableError
from libs.common.storage.postgres import Database
from libs.embedded import log_file
from libs.embedded.process import ProcessEvent, ProcessState
from libs.embedded.stack import Phase, Stack

STATUS_INTERVAL_S = 10.0


class PlainView:
    """Prints changes as they happen and the status every ten seconds."""

    def __init__(self) -> None:
        self._fetched = 0

    def on_event(self, event: ProcessEvent | Phase) -> None:
        """Print a change of a process or a step of the start."""
        if isinstance(event, Phase):
            tell(f"{event.name} after {event.elapsed_s:.1f} s")
        elif event.state is ProcessState.READY:
            tell(f"{event.process}: ready (pid {event.pid})")
        elif event.state in {ProcessState.BACKOFF, ProcessState.FAILED} and event.exit is not None:
            retry = f"; restart in {event.retry_in_s:.1f} s" if event.retry_in_s is not None else ""
            tell(f"{event.process}: {event.state.value}, {event.exit.cause}{retry}")

    def on_fetch(self, done: int, of: int) -> None:
        """Print the progress of the first download, in steps of a tenth."""
        if done == of or done * 10 // max(of, 1) > self._fetched * 10 // max(of, 1):
            tell(f"fetching Apache Kafka: {done} of {of} files")
        self._fetched = done

    async def follow(self, stack: Stack, composition: Composition) -> None:
        """Print where everything is, then the status every ten seconds."""
        endpoints, accounts = composition.endpoints(), composition.configuration.exchange.accounts
        tell(f"The exchange is at {endpoints['exchange_rest']}; stop with Ctrl-C or `trader down`.")
        database = await Database.connect(endpoints["postgres"], application="trader", connections_max=1)
        try:
            while True:
                try:
                    for account in accounts:
                        status = await read_status(database, account=account, processes=stack.snapshot())
                        tell(status_line(status, account=account if len(accounts) > 1 else ""))
                except RetryableError as error:
                    tell(f"status: {error}")
                log_file.bound(stack.directory.log_file("trader"))  # what a detached stack tells goes there
                await asyncio.sleep(STATUS_INTERVAL_S)
        finally:
            await database.close()
