# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that can do no harm: it reaches no network, and may write to one directory only. Linux, as root.

It has a network namespace of its own in which there is loopback alone, and a mount namespace in which all that is mounted is
read-only but that directory (man 7 namespaces). Both go with it. Sockets that are files (the database's, Docker's) can be
connected to on a file system that is read-only, and from another network: those that programs of this host listen on are
covered, by the host's own /dev/null, which is read-only there as well: whoever changed its mode would change it for all.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import threading
from typing import Any, Callable, List, Sequence, Tuple

from .errors import MaintenanceError, from_os_error
from .paths import lies_below

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
# What a mount has beside being read-only is kept.
_FLAGS = {"nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "noatime": 0x400, "nodiratime": 0x800, "relatime": 0x200000}
# The flags of statvfs(3) are those of mount(2), but for one.
_ST_RELATIME = 0x1000
_PR_SET_PDEATHSIG = 1
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1
_MOUNTS, _SOCKETS = "/proc/self/mountinfo", "/proc/self/net/unix"
_SO_ACCEPTCON = 0x10000
_NULL = b"/dev/null"


def parse_mounts(text: str, writable: str) -> List[Tuple[bytes, int]]:
    """The mount points to make read-only, each with the flags that it keeps. Pure.

    Args:
        text: of /proc/PID/mountinfo.
        writable: the directory that stays as it is, with what is mounted below it.
    """
    found = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) < 6:
            continue
        point = fields[4].encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1")
        if lies_below(os.fsdecode(point), writable):
            continue
        flags = 0
        for option in fields[5].split(","):
            flags |= _FLAGS.get(option, 0)
        found.append((point, flags))
    return found


def parse_listening(text: str) -> List[str]:
    """The paths of sockets on which programs listen. Pure.

    Args:
        text: of /proc/net/unix.
    """
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) == 8 and int(fields[3], 16) & _SO_ACCEPTCON and fields[7].startswith("/"):
            found.append(fields[7])
    return sorted(set(found))


def _covered(reachable: Sequence[str]) -> List[bytes]:
    with open(_SOCKETS, encoding="utf-8", errors="surrogateescape") as handle:
        listening = parse_listening(handle.read())
    allowed = [os.path.realpath(path) for path in reachable]
    return [
        os.fsencode(path)
        for path in listening
        if not any(lies_below(os.path.realpath(os.path.dirname(path)), place) for place in allowed)
    ]


def _null_flags() -> int:
    """The flags, as mount(2) has them, of the mount that /dev/null lies in."""
    flags = os.statvfs(_NULL).f_flag
    kept = flags & sum(value for name, value in _FLAGS.items() if name != "relatime")
    return kept | (_FLAGS["relatime"] if flags & _ST_RELATIME else 0)


def isolated(writable: str, guarded: Sequence[str], reachable: Sequence[str] = ()) -> Callable[[], None]:
    """What a child does between fork and exec.

    Args:
        writable: the directory that it may write to.
        guarded: directories that must not be written to; it does not start where one could be.
        reachable: directories whose sockets it may connect to, beside `writable`.

    Raises:
        MaintenanceError: this is not known how to do here.
    """
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as handle:
            mounts = parse_mounts(handle.read(), writable)
        covered = _covered((writable, *reachable))
        null_flags = _null_flags()
    except OSError as error:
        raise from_os_error("cannot see what is mounted", error, target=_MOUNTS) from error
    libc = ctypes.CDLL(None, use_errno=True)
    target = os.fsencode(writable)

    def check(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def enter() -> None:  # pragma: no cover - runs in the child
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        check(libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET))
        check(libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))
        check(libc.mount(target, target, None, ctypes.c_ulong(_MS_BIND | _MS_REC), None))
        for path in covered:
            failed = libc.mount(_NULL, path, None, ctypes.c_ulong(_MS_BIND), None)
            if failed and os.path.lexists(path):
                raise OSError(1, "could be connected to", path)
            libc.mount(None, path, None, ctypes.c_ulong(_MS_REMOUNT | _MS_BIND | _MS_RDONLY | null_flags), None)
            if not failed and not os.statvfs(path).f_flag & os.ST_RDONLY:
                raise OSError(1, "could be changed", path)
        for point, flags in mounts:
            # One that is hidden by another, or gone, cannot be changed; what matters is looked at below.
            libc.mount(None, point, None, ctypes.c_ulong(_MS_REMOUNT | _MS_BIND | _MS_RDONLY | flags), None)
        for place in guarded:
            if not os.statvfs(place).f_flag & os.ST_RDONLY:
                raise OSError(1, "could be written to", place)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        os.chdir(writable)

    return enter


def in_network_of(pid: int, function: Callable[[], Any]) -> Any:
    """What a function gives that runs in the network namespace of another process.

    It runs in a thread of its own, since a namespace of the network is a thread's; no socket of it outlives that.

    Raises:
        MaintenanceError: the namespace cannot be entered.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    outcome: List[Any] = []

    def work() -> None:
        try:
            descriptor = os.open("/proc/%d/ns/net" % pid, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if libc.setns(descriptor, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            finally:
                os.close(descriptor)
        except OSError as error:
            outcome.append(error)
            return
        outcome.append((function(),))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    found = outcome[0] if outcome else None
    if isinstance(found, OSError):
        raise from_os_error("cannot enter the network of a process", found, target="process %d" % pid) from found
    if found is None:
        raise MaintenanceError("nothing was found out in the network of a process", target="process %d" % pid)
    return found[0]
