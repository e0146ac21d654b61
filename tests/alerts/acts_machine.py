"""What runs out on a machine: its disk and its memory; and who watches the stores."""

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.embedded.stores.valkey import _program as valkey_program
from tests.alerts.configured import HOUR_S
from tests.alerts.programs import LOOPBACK, Program, free_port, redis_exporter
from tests.alerts.provocation import Act, Provocation
from tests.alerts.scene import Scene

_OLD_S: Final = 7 * HOUR_S
"""A process is judged for its growth after seven hours, its disk after six; both are shortened."""
_LOOK_S: Final = 10.0
"""The watchdog looks at the disk that often."""
_FILE_BYTES_MAX: Final = 100_000
_FORGOTTEN: Final = {
    "at": "20261001T120000Z",
    "receiving": True,
    "history": "20260901T120000Z",
    "oldest": "20260930T120000Z",
    "newest": "20260930T120000Z",
    "verified": "20260930T120000Z",
}
"""What the service `backup` said last before it died, long ago."""
_BACKUPS: Final = {
    "BackupStalled": Provocation("the service `backup` died long ago", reached_s=_LOOK_S),
    "BackupOld": Provocation("the last copy is of long ago", reached_s=_LOOK_S),
    "BackupUnverified": Provocation("the last `verify` is of long ago", reached_s=_LOOK_S),
}


async def _things_run_out(scene: Scene) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_disk_and_memory_run_out(scene))
        tasks.create_task(_exporter_dies(scene))


async def _disk_and_memory_run_out(scene: Scene) -> None:
    disk, orders = scene.root / "disk", scene.root / "orders.json"
    disk.mkdir()
    order(orders, used_ratio=0.7, bytes_per_s=200_000, leak_bytes_per_s=1_000_000)
    module = "services.watchdog"
    inside = (sys.executable, "-m", "tests.alerts.small_disk", str(disk), str(orders), module)
    status = scene.root / "backups-status"
    status.write_text(json.dumps(_FORGOTTEN), encoding="utf-8")
    command = ("unshare", "--user", "--map-root-user", "--mount", *inside)
    settings = {
        "TRADER_HALT_DIR": str(disk / "halt"),
        "TRADER_TARGETS": "{}",
        "TRADER_BACKUPS_STATUS_FILE": str(status),
    }
    watchdog, metrics = scene.beside("small-disk", "watchdog", command, **settings)
    log = scene.root / "full-redis.log"
    files = scene.root / "full-redis"
    files.mkdir()
    port, exported = free_port(), f"{LOOPBACK}:{free_port()}"
    arguments = ("--port", str(port), "--bind", LOOPBACK, "--dir", str(files), "--appendonly", "yes", "--save", "")
    redis = Program((str(valkey_program()), *arguments), log, ignores_file_limit=True)
    exporter = redis_exporter(log, server=f"{LOOPBACK}:{port}", password="", listen=exported)
    try:
        await watchdog.start()
        scene.begin("MemoryGrowing", "DiskFullSoon")
        await redis.start()
        await exporter.start()
        scene.watch(("watchdog", metrics), ("redis", exported))
        scene.begin(*_BACKUPS)
        await _redis_cannot_write(scene, redis, port)
        scene.begin("RedisPersistenceFailing")
        await scene.until_told("RedisPersistenceFailing", "MemoryGrowing", "DiskFullSoon", *_BACKUPS)
        order(orders, used_ratio=0.85, bytes_per_s=100_000_000, leak_bytes_per_s=0)
        scene.begin("DiskLow")
        await scene.until_told("DiskLow")
        order(orders, used_ratio=0.97, bytes_per_s=100_000_000, leak_bytes_per_s=0)
        scene.begin("DiskFull")
        await scene.until_told("DiskFull")
    finally:
        scene.watch()
        for program in (exporter, redis, watchdog):
            await program.stop()


async def _redis_cannot_write(scene: Scene, redis: Program, port: int) -> None:
    client: Redis = Redis(host=LOOPBACK, port=port)
    try:

        async def fails() -> bool:
            try:
                await client.set("filling", b"\1" * _FILE_BYTES_MAX)
                status = await client.info("persistence")
            except RedisError:
                return True
            return bool(status["aof_last_write_status"] != "ok")

        async def is_up() -> bool:
            try:
                return bool(await client.ping())
            except RedisError:
                return False

        await scene.until(is_up, seconds=30, what="a Redis of its own")
        resource.prlimit(redis.pid, resource.RLIMIT_FSIZE, (_FILE_BYTES_MAX, _FILE_BYTES_MAX))
        await scene.until(fails, seconds=30, what="a write that fails")
    finally:
        await client.aclose()


async def _exporter_dies(scene: Scene) -> None:
    exporter = scene.exporters["redis"]
    exporter.kill()
    try:
        scene.begin("ExporterDown")
        await scene.until_told("ExporterDown")
    finally:
        await exporter.stop()
        await exporter.start()


def order(orders: Path, **wanted: float) -> None:
    """Tell the process on the small disk what to do."""
    scratch = orders.with_suffix(".new")
    scratch.write_text(json.dumps(wanted), encoding="utf-8")
    scratch.rename(orders)


MACHINE: Final = Act(
    "machine",
    {
        "MemoryGrowing": Provocation("a process grows by 1 MB a second (an hour is 10 s)", reached_s=_OLD_S),
        "DiskFullSoon": Provocation("a disk fills by 0.2 MB a second (an hour is 10 s)", reached_s=6 * HOUR_S),
        "DiskLow": Provocation("a disk is 85 % full", reached_s=_LOOK_S),
        "DiskFull": Provocation("a disk is 97 % full", reached_s=_LOOK_S),
        "RedisPersistenceFailing": Provocation("a Redis may not write to its file any more"),
        "ExporterDown": Provocation("the exporter of Redis is killed"),
        **_BACKUPS,
    },
    _things_run_out,
)
