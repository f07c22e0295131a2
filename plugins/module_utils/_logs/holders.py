# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes hold a log open, how they have opened it, and who looks after them.

How a file was opened stands in /proc/PID/fdinfo/FD (proc_pid_fdinfo(5)), in octal.
"""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.leftovers import ProcessId
from .._core.processes import PROC, Process, is_running, read_process
from .open_files import files_open_now

SIGNALS = ("HUP", "USR1", "USR2")
PM2, SYSTEMD, CONTAINER = "pm2", "systemd", "container"
# PM2's daemon calls itself so, and reloads all logs on SIGUSR2, as `pm2 reloadLogs` asks it to (pm2, lib/Daemon.js).
_PM2_TITLE = re.compile(r"^PM2 v.*God Daemon")
PM2_SIGNAL = "USR2"
_UNIT = re.compile(r"/([A-Za-z0-9:_.@\\-]+\.service)(?=/|$)", re.MULTILINE)
_CONTAINER = re.compile(r"(?:docker|libpod|cri-containerd)[-/]([0-9a-f]{64})")
_ANCESTORS = 12

FileId = Tuple[int, int]


@dataclass(frozen=True)
class Holder:
    """A process that holds a file open.

    Attributes:
        program: the file name of what it runs, printable.
        parent: pid of its parent.
        writes: it can write to the file.
        appends: each of the descriptors by which it can write has O_APPEND: its next line goes to the end, wherever that is.
        catches: those of the signals HUP, USR1 and USR2 that it has a handler for; any other would end it.
        manager: pm2, systemd or container, where it can be told.
        unit: the unit of systemd, the container's short id.
        pm2: the daemon above it.
        pm2_reloads: that daemon has the handler by which it reloads logs.
    """

    process: ProcessId
    program: str
    parent: int = 0
    writes: bool = False
    appends: bool = False
    catches: Tuple[str, ...] = ()
    manager: str = ""
    unit: str = ""
    pm2: Optional[ProcessId] = None
    pm2_reloads: bool = False

    def __str__(self) -> str:
        if self.manager == PM2:
            return "%s (pid %d, of pm2)" % (self.program, self.process.pid)
        if self.unit:
            return "%s (pid %d, %s %s)" % (
                self.program,
                self.process.pid,
                "container" if self.manager == CONTAINER else "unit",
                self.unit,
            )
        return "%s (pid %d)" % (self.program, self.process.pid)


class Holders(NamedTuple):
    """Who holds which of the wanted files.

    Attributes:
        of: by device and inode.
        blind: a process that we should see does not let us look.
    """

    of: Mapping[FileId, List[Holder]]
    blind: bool


def harmless_text(text: str, length: int = 200) -> str:
    """Text that somebody else has chosen, harmless on a screen."""
    return "".join(character if character.isprintable() else "?" for character in text)[:length]


def find_holders(wanted: Set[FileId], proc: str = PROC) -> Holders:
    """Who holds these files open.

    Args:
        wanted: device and inode of each.
    """
    opened = files_open_now(wanted, proc)
    found: Dict[FileId, List[Holder]] = {identity: [] for identity in opened.held}
    if not opened.held:
        return Holders(found, opened.blind)
    own = os.getpid()
    for name in os.listdir(proc):
        if not name.isdigit() or int(name) == own:
            continue
        for identity, flags in _descriptors("%s/%s" % (proc, name), opened.held).items():
            holder = _holder(int(name), flags, proc)
            if holder is not None:
                found[identity].append(holder)
    for holders in found.values():
        holders.sort(key=lambda item: item.process.pid)
    return Holders(found, opened.blind)


def _descriptors(process: str, wanted: Set[FileId]) -> Dict[FileId, List[int]]:
    """The flags of each descriptor by which a process holds one of the files."""
    found: Dict[FileId, List[int]] = {}
    try:
        names = os.listdir(process + "/fd")
    except OSError:
        return found
    for name in names:
        try:
            status = os.stat("%s/fd/%s" % (process, name))
            if (status.st_dev, status.st_ino) in wanted:
                with open("%s/fdinfo/%s" % (process, name), encoding="ascii") as handle:
                    flags = parse_flags(handle.read())
                found.setdefault((status.st_dev, status.st_ino), []).append(flags)
        except OSError:
            continue
    return found


def parse_flags(fdinfo: str) -> int:
    """The flags of open(2) in a file of /proc/PID/fdinfo; those of plain writing where it does not say, to be careful."""
    match = re.search(r"^flags:\s*([0-7]+)\s*$", fdinfo, re.MULTILINE)
    return int(match.group(1), 8) if match else os.O_WRONLY


def _holder(pid: int, flags: List[int], proc: str) -> Optional[Holder]:
    process = read_process(pid, proc)
    if process is None:
        return None
    writing = [flag for flag in flags if flag & os.O_ACCMODE != os.O_RDONLY]
    manager, unit = _manager(pid, proc)
    daemon = _pm2_above(process, proc)
    return Holder(
        ProcessId(process.pid, process.start_time),
        harmless_text(process.name, 40) or "a process",
        process.ppid,
        bool(writing),
        bool(writing) and all(flag & os.O_APPEND for flag in writing),
        caught(pid, proc),
        PM2 if daemon else manager,
        "" if daemon else unit,
        ProcessId(daemon.pid, daemon.start_time) if daemon else None,
        daemon is not None and PM2_SIGNAL in caught(daemon.pid, proc),
    )


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""


def _manager(pid: int, proc: str) -> Tuple[str, str]:
    groups = _text("%s/%d/cgroup" % (proc, pid))
    container = _CONTAINER.search(groups)
    if container:
        return CONTAINER, container.group(1)[:12]
    units = _UNIT.findall(groups)
    return (SYSTEMD, units[-1]) if units else ("", "")


def _pm2_above(process: Process, proc: str) -> Optional[Process]:
    """PM2's daemon: the process itself, which writes the logs of what it has forked, or what has started it."""
    found: Optional[Process] = process
    for _level in range(_ANCESTORS):
        if found is None or found.pid <= 1:
            return None
        if found.argv and _PM2_TITLE.match(found.argv[0]):
            return found
        found = read_process(found.ppid, proc)
    return None


def caught(pid: int, proc: str = PROC) -> Tuple[str, ...]:
    """Those of the signals HUP, USR1 and USR2 that a process has a handler for."""
    match = re.search(r"^SigCgt:\s*([0-9a-fA-F]+)\s*$", _text("%s/%d/status" % (proc, pid)), re.MULTILINE)
    mask = int(match.group(1), 16) if match else 0
    return tuple(name for name in SIGNALS if mask >> (getattr(signal, "SIG" + name) - 1) & 1)


def ask_to_reopen(process: ProcessId, name: str, program: str) -> bool:
    """Send a process the signal on which it opens its logs anew; returns whether it still lives.

    Args:
        process: exactly this one; a later process of its number is left alone.
        name: HUP, USR1 or USR2.
        program: what it runs, for messages.

    Raises:
        MaintenanceError: it has no handler for the signal, which would end it; or it may not be sent one.
    """
    if name not in SIGNALS or process.pid <= 1:
        raise MaintenanceError("not a signal that is sent to processes", target="%s to pid %d" % (name, process.pid))
    if not is_running(process.pid, process.start_time):
        return False
    if name not in caught(process.pid):
        raise MaintenanceError(
            "%s (pid %d) has no handler for SIG%s, which would end it" % (program, process.pid, name),
            next_step="Nothing was sent. Name the signal on which it opens its logs anew, or restart it.",
        )
    try:
        os.kill(process.pid, getattr(signal, "SIG" + name))
    except ProcessLookupError:
        return False
    except OSError as error:
        raise from_os_error("cannot send SIG%s" % name, error, target="pid %d" % process.pid) from error
    return True


def writers(identity: FileId) -> List[Holder]:
    """Who can write to a file at this moment."""
    return [holder for holder in find_holders({identity}).of.get(identity, []) if holder.writes]


def wait_until_released(identity: FileId, seconds: float) -> List[Holder]:
    """Wait until nobody can write to a file any more; returns who still can when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        left = writers(identity)
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.05)
