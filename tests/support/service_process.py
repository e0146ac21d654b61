"""A service as a process of its own, told where the session's stores are."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.migrated import PASSWORD

STOPPED_S_MAX = 30.0


def service_environment(
    *, kafka: str, topic_prefix: str, postgres_url: str, redis_url: str, directory: Path, role: str
) -> dict[str, str]:
    """Return the settings of a service; its secrets are written below the directory, where it also finds `halt`."""
    database, redis = urlsplit(postgres_url), urlsplit(redis_url)
    (directory / f"postgres-{role}").write_text(PASSWORD)
    (directory / "redis").write_text(redis.password or "")
    return {
        "TRADER_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TRADER_TOPIC_PREFIX": topic_prefix,
        "TRADER_POSTGRES_ADDRESS": f"{database.hostname}:{database.port}{database.path}",
        "TRADER_REDIS_ADDRESS": f"{redis.hostname}:{redis.port}{redis.path}",
        "TRADER_SECRETS_DIR": str(directory),
        "TRADER_HALT_DIR": str(directory / "halt"),
    }


@asynccontextmanager
async def running_service(module: str, environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a service; unless it was killed it must end by itself, in order, when it is told to."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, env={**os.environ, **environment}, stderr=PIPE
    )
    try:
        yield process
    except BaseException:
        process.kill()
        await process.communicate()
        raise
    if process.returncode is None:
        process.terminate()
    _, log = await asyncio.wait_for(process.communicate(), STOPPED_S_MAX)
    assert process.returncode in (0, -9), log.decode()[-5_000:]
