"""The broker's jars: fetched once from Maven Central, pinned by version and hash, kept in the user's cache.

Invariant: a jar is in the cache under its name only when its hash was right, and its hash is checked again at every
start.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from libs.embedded.errors import EXIT_CONFIGURATION, EmbeddedError

CACHE_VARIABLE = "TRADER_CACHE_DIR"
LOCK_FILE = Path(__file__).with_name("kafka.lock")
_CONNECTIONS_MAX = 4
_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of the lock.

    Attributes:
        sha256: Of its content, in hexadecimal.
    """

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Return its name in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def cache_directory() -> Path:
    """Return where downloads are kept: `TRADER_CACHE_DIR`, else the user's cache directory."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).resolve()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "crypto-trader-pro"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crypto-trader-pro"


def locked_jars(lock_file: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """Return the jars that the lock file names, in its order, which is the class path's."""
    lines = (line.split() for line in lock_file.read_text(encoding="ascii").splitlines() if not line.startswith("#"))
    return tuple(_jar(coordinates, sha256) for coordinates, sha256 in lines)


def fetch_jars(
    jars: tuple[Jar, ...], cache: Path, *, on_progress: Callable[[int, int], None] = lambda _done, _of: None
) -> tuple[Path, ...]:
    """Return the jars' files, downloading those that are missing or damaged. Blocks: call it in a thread.

    Args:
        jars: What to fetch.
        cache: The cache directory; created when missing.
        on_progress: Told how many of how many missing jars have arrived; from other threads.

    Raises:
        EmbeddedError: A jar is missing and cannot be had, or what arrives is not what the lock names.
    """
    folder = cache / "jars"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"{folder}: expected a directory that can be written, found {error.strerror}",
            hint=f"Name another with {CACHE_VARIABLE}.",
            exit_status=EXIT_CONFIGURATION,
        ) from error
    missing = [jar for jar in jars if not _is_intact(folder / jar.file_name, jar)]
    if missing:
        arrived = 0
        on_progress(0, len(missing))
        with (
            tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as work,
            ThreadPoolExecutor(_CONNECTIONS_MAX) as pool,
        ):
            for _ in pool.map(lambda jar: _fetch(jar, Path(work), folder), missing):
                arrived += 1
                on_progress(arrived, len(missing))
    return tuple(folder / jar.file_name for jar in jars)


def _jar(coordinates: str, sha256: str) -> Jar:
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256)


def _fetch(jar: Jar, work: Path, folder: Path) -> None:
    from jgo.maven import MavenContext  # noqa: PLC0415 - half a second, needed once a machine

    repository = MavenContext(repo_cache=work, local_repos=[], timeout=_TIMEOUT_S)
    try:
        arrived = repository.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; "not found" is a RuntimeError
        raise EmbeddedError(
            f"{jar.file_name}: expected it in {folder} or from Maven Central, found neither ({error})",
            hint="The first start needs a network. Connect and try again; or copy that directory from a machine that "
            f"has it ({CACHE_VARIABLE} names another place).",
        ) from error
    if not _is_intact(arrived, jar):
        raise EmbeddedError(
            f"{jar.file_name}: expected sha256 {jar.sha256}, found {_sha256(arrived)}",
            hint="What was downloaded is not what was tested. A proxy may have altered it: try another network.",
        )
    arrived.replace(folder / jar.file_name)


def _is_intact(path: Path, jar: Jar) -> bool:
    return path.exists() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
