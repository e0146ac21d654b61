"""Every change of who may command is told once, whoever made it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from libs.common.contracts.event import Event
from libs.common.contracts.events import OperatorKeyChanged
from libs.common.control.operators import OperatorKey, Operators
from libs.common.control.operators_file import OperatorsFile
from services.risk_manager.service.key_watch import KeyWatch
from services.risk_manager.service.ports import RiskRecords
from tests.service.risk_manager.builders import NOW, FakeRecords, a_clock


class Porter:
    """Watches a file of operators."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "operators.json"
        self.records, self.clock = FakeRecords(), a_clock()
        self.events: list[Event] = []
        self.start()

    def start(self) -> None:
        """Begin to watch, as a process that starts does."""
        file = OperatorsFile(self.path)
        self.watch = KeyWatch(operators=file.current, apply=self.apply, clock=self.clock)

    async def apply(self, work: Callable[[RiskRecords], Awaitable[Sequence[Event]]]) -> None:
        async def run() -> Sequence[Event]:
            return await work(self.records)

        self.events += await self.records.transact(run())

    def told(self) -> list[tuple[str, bool]]:
        return [(event.name, event.accepted) for event in self.events if isinstance(event, OperatorKeyChanged)]


async def test_new_and_revoked_keys_are_told_once_with_their_moments(tmp_path: Path) -> None:
    porter = Porter(tmp_path)
    key = OperatorKey.generate()
    operators = Operators({}).with_key(key, issuer="alice", at=NOW)
    operators.save(porter.path)
    await porter.watch.look()
    await porter.watch.look()

    operators.without(key.key_id, at=NOW + timedelta(hours=1), reason="left").save(porter.path)
    await porter.watch.look()

    assert porter.told() == [("alice", True), ("alice", False)]
    revoked = porter.records.keys[key.key_id]
    assert (revoked.reason, revoked.occurred_at) == ("left", NOW + timedelta(hours=1))


async def test_a_restart_tells_only_what_changed_meanwhile(tmp_path: Path) -> None:
    porter = Porter(tmp_path)
    first, second = OperatorKey.generate(), OperatorKey.generate()
    operators = Operators({}).with_key(first, issuer="alice", at=NOW)
    operators.save(porter.path)
    await porter.watch.look()

    operators.with_key(second, issuer="bob", at=NOW).save(porter.path)
    porter.start()
    await porter.watch.look()

    assert porter.told() == [("alice", True), ("bob", True)]


async def test_a_key_that_somebody_deleted_by_hand_is_told_as_revoked(tmp_path: Path) -> None:
    porter = Porter(tmp_path)
    Operators({}).with_key(OperatorKey.generate(), issuer="alice").save(porter.path)
    await porter.watch.look()

    Operators({}).with_key(OperatorKey.generate(), issuer="bob").save(porter.path)
    await porter.watch.look()

    assert porter.told() == [("alice", True), ("bob", True), ("alice", False)]


async def test_a_key_that_is_accepted_again_is_told_with_a_moment_of_its_own(tmp_path: Path) -> None:
    porter = Porter(tmp_path)
    key = OperatorKey.generate()
    operators = Operators({}).with_key(key, issuer="alice", at=NOW)
    for each in (operators, operators.without(key.key_id, at=NOW + timedelta(seconds=1)), operators):
        porter.clock.advance(10)
        each.save(porter.path)
        await porter.watch.look()

    assert porter.told() == [("alice", True), ("alice", False), ("alice", True)]
    assert len({event.natural_key for event in porter.events}) == 3
