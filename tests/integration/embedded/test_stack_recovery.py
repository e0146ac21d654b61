"""Real stores: killed one by one, stopped and started again, and left behind by a killed supervisor."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from libs.embedded.directory import DataDirectory
from libs.embedded.errors import EmbeddedError
from libs.embedded.process import ProcessStatus
from libs.embedded.process_table import STACK_VARIABLE, read_table
from libs.embedded.stack import Addresses, External, Stack, open_stack

STORES = {"kafka", "postgres", "redis"}
PROGRAM = Path(__file__).with_name("stack_program.py")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not `tmp_path`, which is closed to the account that Postgres runs as when we are root.
    with tempfile.TemporaryDirectory(prefix="trader-stack-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name).resolve()


async def test_every_killed_store_is_ready_again_with_what_it_acknowledged(data_dir: Path) -> None:
    async with open_stack(data_dir) as stack:
        await stack.start()
        print(f"cold start: {stack.time_to_ready_s} s")  # noqa: T201 - a measurement for the reader of the run
        await write_something(stack.addresses)
        await asyncio.sleep(1.1)  # Valkey promises all but the last second

        for name in STORES:
            began_s = asyncio.get_running_loop().time()
            pid = process(stack, name).pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await eventually(partial(is_ready_in_another_life, stack, name, pid))
            took_s = asyncio.get_running_loop().time() - began_s
            print(f"{name}: ready again {took_s:.1f} s after kill -9")  # noqa: T201 - the same

        await assert_something_is_there(stack.addresses)
        assert {name: process(stack, name).restarts for name in STORES} == dict.fromkeys(STORES, 1)


async def test_a_second_start_continues_at_the_same_addresses(data_dir: Path) -> None:
    async with open_stack(data_dir) as stack:
        await stack.start()
        await write_something(stack.addresses)
        before = stack.addresses

    async with open_stack(data_dir) as stack:
        await stack.start()

        assert stack.addresses == before
        await assert_something_is_there(stack.addresses)


async def test_nothing_outlives_a_killed_supervisor_and_the_next_start_goes_on(data_dir: Path) -> None:
    with running_stack(data_dir) as supervisor:
        await eventually((data_dir / "run" / "endpoints.json").exists, within_s=60)
        await write_something(addresses_of(data_dir))
        await asyncio.sleep(1.1)

        supervisor.kill()
        supervisor.wait()

        await eventually(lambda: not processes_of(data_dir), within_s=5)
    async with open_stack(data_dir) as stack:
        await stack.start()
        await assert_something_is_there(stack.addresses)


async def test_another_terminal_sees_a_running_stack_and_stops_it(data_dir: Path) -> None:
    directory = DataDirectory(data_dir)
    with running_stack(data_dir) as supervisor:
        await eventually(lambda: (table := read_table(directory)) is not None and table.time_to_ready_s is not None)

        table = read_table(directory)
        assert table is not None
        assert table.supervisor == supervisor.pid
        assert {row["name"] for row in table.processes if row["ready"]} == STORES
        with pytest.raises(EmbeddedError, match=rf"already running \(pid {supervisor.pid}\)"):
            async with open_stack(data_dir):
                pass

        await directory.stop_running(deadline_s=15)

        assert supervisor.wait(5) == 0
        assert not processes_of(data_dir)
        assert read_table(directory) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may not run Postgres")
async def test_root_can_keep_its_data_below_its_closed_home(data_dir: Path) -> None:
    (data_dir / "home").mkdir(mode=0o700)
    try:
        async with open_stack(data_dir / "home" / "data", external=External(kafka="k:1", redis="redis://r:1")) as stack:
            await stack.start()
            connection = await asyncpg.connect(stack.addresses.postgres)
            assert await connection.fetchval("SHOW data_directory") == str(data_dir / "home" / "data" / "postgres")
            await connection.close()
    except EmbeddedError as error:
        if "found a parent closed to it" in error.message:
            pytest.skip("this machine allows no user namespaces")
        raise


class running_stack:  # noqa: N801 - reads as the context manager it is
    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> "subprocess.Popen[bytes]":
        self._process = subprocess.Popen([sys.executable, PROGRAM, self._root], env={**os.environ, "PYTHONPATH": "."})
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def is_ready_in_another_life(stack: Stack, name: str, pid: int) -> bool:
    return process(stack, name).pid != pid and process(stack, name).ready


def process(stack: Stack, name: str) -> ProcessStatus:
    return next(row for row in stack.snapshot() if row.name == name)


def processes_of(root: Path) -> list[int]:
    """Every process that mentions the data directory: in its arguments, its environment or its working directory."""
    found = []
    for each in psutil.process_iter():
        try:
            mentions = (*each.cmdline(), each.environ().get(STACK_VARIABLE, ""), each.cwd())
        except psutil.Error:
            continue
        if any(str(root) in mention for mention in mentions) and each.pid != os.getpid():
            found.append(each.pid)
    return found


def addresses_of(root: Path) -> Addresses:
    written = json.loads((root / "run" / "endpoints.json").read_text())
    return Addresses(written["kafka"], written["postgres"], written["redis"])


async def write_something(addresses: Addresses) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses.kafka)
    await admin.start()
    await admin.create_topics([NewTopic("fills", 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=addresses.kafka, acks="all", enable_idempotence=True)
    await producer.start()
    for number in range(100):
        await producer.send_and_wait("fills", str(number).encode())
    await producer.stop()
    connection = await asyncpg.connect(addresses.postgres)
    await connection.execute("CREATE TABLE fills AS SELECT generate_series(1, 100)")
    await connection.close()
    async with Redis.from_url(addresses.redis) as client:
        await client.set("fills", 100)


async def assert_something_is_there(addresses: Addresses) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=addresses.kafka)
    await consumer.start()
    assert await consumer.end_offsets([TopicPartition("fills", 0)]) == {TopicPartition("fills", 0): 100}
    await consumer.stop()
    connection = await asyncpg.connect(addresses.postgres)
    assert await connection.fetchval("SELECT count(*) FROM fills") == 100
    await connection.close()
    async with Redis.from_url(addresses.redis) as client:
        assert await client.get("fills") == b"100"


async def eventually(condition: Callable[[], bool], *, within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - other processes: nothing to wait on
            await asyncio.sleep(0.05)
