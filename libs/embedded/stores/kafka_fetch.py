"""Get what the broker runs on: find Java, fetch the jars, and archive the classes that the broker loads.

With the archive (Java 25 and newer) the broker starts in 1.2 s in place of 2.7. It is made once a machine by starting a
broker for the purpose. The Java runtime ignores an archive that does not fit, so it is never wrong, only useless.
"""

import asyncio
import hashlib
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from libs.embedded.directory import DataDirectory
from libs.embedded.lifecycle import ManagedProcess
from libs.embedded.ports import PortBook
from libs.embedded.stores.jars import LOCK_FILE, cache_directory, fetch_jars, locked_jars
from libs.embedded.stores.java import Java, find_java
from libs.embedded.stores.kafka import KafkaStore
from libs.embedded.stores.kafka_runtime import OPTIONS, KafkaRuntime

ARCHIVE_MAJOR_MIN = 25
"""The first version that makes an archive in one run (JEP 514)."""
_ARCHIVE_DEADLINE_S = 60.0


async def fetch_runtime(
    *, cache: Path | None = None, on_progress: Callable[[int, int], None] = lambda _done, _of: None
) -> KafkaRuntime:
    """Find Java, fetch the jars, and make the archive when this machine has none.

    Args:
        cache: Where downloads are kept; the user's cache directory by default.
        on_progress: Told how many of how many missing jars have arrived; from other threads.

    Raises:
        EmbeddedError: There is no Java, or a jar cannot be had.
    """
    cache = cache or cache_directory()
    java = await asyncio.to_thread(find_java)
    class_path = await asyncio.to_thread(fetch_jars, locked_jars(), cache, on_progress=on_progress)
    runtime = KafkaRuntime(java, class_path)
    if java.major < ARCHIVE_MAJOR_MIN:
        return runtime
    archive = _archive_path(cache, java)
    if not archive.exists():
        await _make_archive(runtime, archive)
    return replace(runtime, archive_options=(f"-XX:AOTCache={archive}", "-Xlog:disable", "-Xlog:all=error:stderr"))


def _archive_path(cache: Path, java: Java) -> Path:
    """Return where the archive for this runtime, these jars (by place too) and these options is."""
    parts = (java.program, java.version, cache, *OPTIONS, LOCK_FILE.read_text(encoding="ascii"))
    return cache / f"kafka-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.aot"


async def _make_archive(runtime: KafkaRuntime, archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="archive-", dir=archive.parent) as work:
        directory = DataDirectory(Path(work))
        directory.create()
        ports = PortBook(directory.ports_file, choice=random.SystemRandom())
        made = directory.root / archive.name
        recording = replace(runtime, archive_options=(f"-XX:AOTCacheOutput={made}",))
        formatter, broker = (
            KafkaStore(
                directory, port=ports.port("kafka"), controller_port=ports.port("kafka-controller"), runtime=each
            )
            for each in (runtime, recording)
        )
        await formatter.spec().prepare()  # formatting must not be what is recorded
        process = ManagedProcess(broker.spec(), on_event=lambda _event: None)
        process.start()
        try:
            await process.until_ready()
        finally:
            await process.stop(_ARCHIVE_DEADLINE_S)
        await asyncio.to_thread(_keep, made, archive)


def _keep(made: Path, archive: Path) -> None:
    if made.exists():
        made.replace(archive)
    else:
        archive.touch()  # this runtime makes none: do not try again at every start
