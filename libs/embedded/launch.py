"""Turn into another program that dies with its supervisor; the process id stays the same.

Run as a script, before the program and in its process, because what it sets must be set between fork and exec:
the account the program runs as, and on Linux the signal the kernel sends when the supervisor dies (which a change of
account clears, so it comes last). It imports the standard library only, and little of it: it runs once a process start.

macOS has no such signal: there what a killed supervisor leaves behind is ended by the next start (`leftovers`).
"""

import ctypes
import os
import pwd
import signal
import sys

SELF = "self"
"""Stay who we are."""
NOBODY = "nobody"
"""Become the account `nobody` (needs root): for programs that refuse to run as root."""
NAMESPACE = "namespace"
"""Become an ordinary user in a user namespace of our own (needs root): still the owner of root's files outside."""

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_NAMESPACE_ID = 1000


def main(arguments: list[str]) -> None:
    """Become `arguments[2:]` as the account `arguments[1]`, as a child of the process `arguments[0]`."""
    supervisor, identity, *command = arguments
    assume(identity)
    if sys.platform == "linux":
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(supervisor):
        sys.exit("the supervisor died before its child could start")
    os.umask(0o077)
    os.execvp(command[0], command)  # noqa: S606 - becoming the supervisor's command is this module's purpose


def assume(identity: str) -> None:
    """Change the account of this process to one of the three identities."""
    if identity == NOBODY:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    elif identity == NAMESPACE:
        uid, gid = os.geteuid(), os.getegid()
        _call("unshare", _CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"),  # the kernel wants this before an unprivileged map of groups
            ("uid_map", f"{_NAMESPACE_ID} {uid} 1"),
            ("gid_map", f"{_NAMESPACE_ID} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib costs 5 ms a start
                file.write(text)


def _call(function: str, *numbers: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*(ctypes.c_ulong(number) for number in numbers)) != 0:
        raise OSError(ctypes.get_errno(), f"{function}{numbers}")


if __name__ == "__main__":
    main(sys.argv[1:])
