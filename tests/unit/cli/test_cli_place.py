"""A command says what is wrong with the stack that it is about, with a status of its own."""

from pathlib import Path

import pytest

from cli.errors import CommandError, ExitStatus
from cli.place import Place, find_place, run
from cli.prices import permit_age_ms, read_prices
from libs.common.errors import DeadlineExceededError, RetryableError
from libs.common.storage.redis import RedisStore
from libs.embedded.directory import DataDirectory

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    return directory


def test_a_stack_that_has_not_said_where_it_is_is_still_starting(directory: DataDirectory):
    with directory.locked(), pytest.raises(CommandError, match="still starting") as raised:
        find_place(directory.root)

    assert raised.value.status is ExitStatus.NOT_RUNNING


def test_a_stack_that_runs_is_found_with_its_endpoints(directory: DataDirectory):
    with directory.locked():
        directory.endpoints_file.write_text('{"redis": "redis://somewhere"}')

        place = find_place(directory.root)

    assert place.endpoints == {"redis": "redis://somewhere"}
    assert place.halt_dir.parent == place.secrets.parent == directory.root


def test_a_stack_that_stopped_meanwhile_has_no_processes(directory: DataDirectory):
    with pytest.raises(CommandError, match="found none"):
        Place(directory, {}).processes()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DeadlineExceededError("Postgres", deadline_s=5), ExitStatus.TIMED_OUT),
        (RetryableError("Postgres: expected a connection, found none"), ExitStatus.NOT_RUNNING),
    ],
)
def test_a_store_that_is_away_or_silent_ends_a_command_with_what_to_look_at(error: Exception, status: ExitStatus):
    async def work() -> None:
        raise error

    with pytest.raises(CommandError, match="Postgres") as raised:
        run(work())

    assert raised.value.status is status
    assert "trader logs" in raised.value.hint


async def test_prices_and_permit_of_a_redis_that_is_away_are_unknown_rather_than_none():
    store = RedisStore.connect(NOWHERE, name="test")

    with pytest.raises(RetryableError, match="latest prices"):
        await read_prices(store, ["BTC/USDT"])
    with pytest.raises(RetryableError, match="permit"):
        await permit_age_ms(store, "main")

    await store.close()
