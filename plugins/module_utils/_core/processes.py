# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes and listening sockets, straight from /proc.

A process may end while it is being read, and another user's files may be closed to us: what cannot be read is empty, and
a process that is gone is left out. Nothing here raises for either.
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from typing import Dict, Iterable, List, Optional, Set, Tuple

from .late_dataclass import dataclass

PROC = "/proc"
_LISTEN = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}  # include/net/tcp_states.h: LISTEN, and CLOSE for UDP


@dataclass(frozen=True)
class Process:
    """One process.

    Attributes:
        exe: path of its program as the process sees it; "" when it may not be read.
        argv: its command line; empty for zombies. It may hold other programs' secrets: look at it, never return it.
        cwd: its working directory; "" when it may not be read.
        start_time: clock ticks since boot. With the pid it names a process for good: pids are used again.
        user: name of its user, the number when it has no name.
        contained: it runs in a pid namespace of its own, as processes of containers do.
        state: the kernel's letter: R, S, D, Z (zombie)...
    """

    pid: int
    exe: str
    argv: Tuple[str, ...]
    cwd: str
    start_time: int
    user: str
    ppid: int = 0
    contained: bool = False
    state: str = ""

    @property
    def name(self) -> str:
        """The program's file name, from what was executed or, where that is hidden, from the command line."""
        return os.path.basename(self.exe or (self.argv[0] if self.argv else ""))


@dataclass(frozen=True)
class Socket:
    """A socket that waits for connections (TCP) or datagrams (UDP).

    Attributes:
        proto: tcp or udp.
        address: numeric; 0.0.0.0 and :: are every interface.
        pid: its process, the lowest when several share it; None when it may not be known.
    """

    proto: str
    address: str
    port: int
    pid: Optional[int] = None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except (OSError, ValueError):
        return b""


def _link(path: str) -> str:
    try:
        target = os.readlink(path)
    except (OSError, ValueError):
        return ""
    # A program that was replaced by an upgrade while it runs.
    return target[: -len(" (deleted)")] if target.endswith(" (deleted)") else target


def _user_name(uid: int, names: Dict[int, str]) -> str:
    if uid not in names:
        try:
            names[uid] = pwd.getpwuid(uid).pw_name
        except (KeyError, OverflowError):
            names[uid] = str(uid)
    return names[uid]


def _status(text: bytes) -> Tuple[int, bool]:
    """Effective uid, and whether the process has a pid namespace of its own."""
    uid, contained = -1, False
    for line in text.splitlines():
        if line.startswith(b"Uid:"):
            fields = line.split()
            uid = int(fields[2]) if len(fields) > 2 else -1
        elif line.startswith(b"NSpid:"):
            # One number for each pid namespace from ours downwards (man 5 proc).
            contained = len(line.split()) > 2
    return uid, contained


def read_process(pid: int, proc: str = PROC, names: Optional[Dict[int, str]] = None) -> Optional[Process]:
    """The process of a pid; None when there is none (any more)."""
    directory = "%s/%d" % (proc, pid)
    stat = _read(directory + "/stat")
    # The name in parentheses may hold anything, parentheses and line ends too: fields begin behind the last one.
    fields = stat[stat.rfind(b")") + 1 :].split()
    if len(fields) < 20:
        return None
    try:
        state, ppid, start_time = fields[0].decode("ascii"), int(fields[1]), int(fields[19])
        uid, contained = _status(_read(directory + "/status"))
    except ValueError:
        return None
    raw = _read(directory + "/cmdline")
    parts = raw[:-1].split(b"\0") if raw.endswith(b"\0") else raw.split(b"\0")
    argv = tuple(part.decode("utf-8", "surrogateescape") for part in parts) if raw else ()
    return Process(
        pid,
        _link(directory + "/exe"),
        argv,
        _link(directory + "/cwd"),
        start_time,
        _user_name(uid, {} if names is None else names),
        ppid,
        contained,
        state,
    )


def _pids(proc: str) -> List[int]:
    try:
        return sorted(int(name) for name in os.listdir(proc) if name.isdigit())
    except OSError:
        return []


def list_processes(proc: str = PROC) -> List[Process]:
    """Every process that this one may see, kernel threads left out, by pid."""
    names: Dict[int, str] = {}
    found = (read_process(pid, proc, names) for pid in _pids(proc))
    return [process for process in found if process is not None and process.pid != 2 and process.ppid != 2]


def is_running(pid: int, start_time: int, proc: str = PROC) -> bool:
    """Whether the very process that began at start_time (in ticks since boot) still lives; a zombie does not."""
    process = read_process(pid, proc)
    return process is not None and process.start_time == start_time and process.state not in ("Z", "X")


def _address(text: str) -> str:
    """An address of /proc/net: 32-bit words in hexadecimal, each in the machine's own byte order."""
    raw = b"".join(struct.pack("=I", int(text[start : start + 8], 16)) for start in range(0, len(text), 8))
    if len(raw) == 4:
        return socket.inet_ntop(socket.AF_INET, raw)
    if raw.startswith(b"\0" * 10 + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, raw[12:])
    return socket.inet_ntop(socket.AF_INET6, raw)


def _table(proto: str, text: str) -> Iterable[Tuple[str, str, int, str]]:
    """Proto, address, port and inode of each waiting socket in a table of /proc/net."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != _LISTEN[proto]:
            continue
        address, _colon, port = fields[1].rpartition(":")
        try:
            yield proto[:3], _address(address), int(port, 16), fields[9]
        except (ValueError, struct.error):
            continue


def _owners(inodes: Set[str], proc: str) -> Dict[str, int]:
    """The lowest pid that holds each socket."""
    owners: Dict[str, int] = {}
    for pid in _pids(proc):
        directory = "%s/%d/fd" % (proc, pid)
        try:
            descriptors = os.listdir(directory)
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                target = os.readlink(directory + "/" + descriptor)
            except OSError:
                continue
            if target.startswith("socket:[") and target[8:-1] in inodes:
                owners.setdefault(target[8:-1], pid)
    return owners


def listening_sockets(proc: str = PROC, protocols: Tuple[str, ...] = ("tcp", "udp")) -> List[Socket]:
    """The sockets of this network namespace that wait for connections or datagrams, by protocol, port and address.

    UDP knows no listening: what is bound and not connected counts.
    """
    rows = [
        row
        for proto in _LISTEN
        if proto[:3] in protocols
        for row in _table(proto, _read("%s/net/%s" % (proc, proto)).decode("ascii", "replace"))
    ]
    owners = _owners({row[3] for row in rows if row[3] != "0"}, proc)
    found = {Socket(proto, address, port, owners.get(inode)) for proto, address, port, inode in rows}
    return sorted(found, key=lambda item: (item.proto, item.port, item.address, item.pid or 0))
