"""Which account Postgres runs as: it refuses to be root.

As an ordinary user, that user. As root, `nobody`, when `nobody` can reach the data directory; else (the directory lies
below root's home) an ordinary user in a user namespace, who still owns root's files.
"""

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

from libs.embedded import launch
from libs.embedded.errors import EXIT_CONFIGURATION, EmbeddedError


def choose_identity(directory: Path) -> str:
    """Return one of `libs.embedded.launch`'s identities for a program that works in the directory.

    Raises:
        EmbeddedError: We are root, and neither way is open.
    """
    if os.geteuid() != 0:
        return launch.SELF
    if is_reachable(directory):
        return launch.NOBODY
    if _namespaces_work():
        return launch.NAMESPACE
    raise EmbeddedError(
        f"{directory}: expected a directory that the account nobody can reach (Postgres refuses to run as root), "
        "found a parent closed to it",
        hint="Run as an ordinary user, or use a directory outside root's home with --data-dir.",
        exit_status=EXIT_CONFIGURATION,
    )


def is_reachable(path: Path) -> bool:
    """Return whether every account can pass through the path's directories."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents))


def give(path: Path, identity: str) -> None:
    """Make the identity the owner of a directory and all below it, unless it is already."""
    if os.geteuid() != 0:
        return
    account = pwd.getpwnam("nobody") if identity == launch.NOBODY else pwd.getpwuid(0)
    if path.stat().st_uid == account.pw_uid:
        return
    for below, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.chown(Path(below, name), account.pw_uid, account.pw_gid, follow_symlinks=False)
    os.chown(path, account.pw_uid, account.pw_gid)  # last: an interrupted walk is done again


def _namespaces_work() -> bool:
    if sys.platform != "linux":
        return False
    command = (sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), launch.NAMESPACE, "/bin/true")
    return subprocess.run(command, check=False, capture_output=True, timeout=10).returncode == 0  # noqa: S603 - ours
