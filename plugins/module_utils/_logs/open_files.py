# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who has a file open, as far as this host tells."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from typing import NamedTuple, Optional, Set, Tuple

UNSEEN = "only root sees whether a process that is not ours, or hides its files, has it open for writing"


def unseen_writers(status: os.stat_result) -> bool:
    """Whether a process that we are not shown may have a file open for writing.

    Without root /proc tells only of one's own processes. What others may not write to they have not opened, either; the
    mask of an access control list shows in the group's bits.
    """
    user = os.geteuid()
    return user != 0 and (status.st_uid != user or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)))


class OpenFiles(NamedTuple):
    """What the processes of this host have open.

    Attributes:
        held: those of the wanted files (device, inode) that some process holds open.
        blind: a process that we should see does not let us look, so that others of the files may be open as well.
    """

    held: Set[Tuple[int, int]]
    blind: bool


def files_open_now(wanted: Set[Tuple[int, int]], proc: str = "/proc") -> OpenFiles:
    """Which of the wanted files some process holds open.

    Root sees all processes. Without root only one's own are seen, and of those not the ones that hide themselves (prctl(2),
    PR_SET_DUMPABLE), as ssh-agent, sshd and programs with capabilities do.
    """
    found: Set[Tuple[int, int]] = set()
    if not wanted:
        return OpenFiles(found, False)
    own, blind = str(os.getpid()), False
    names = os.listdir(proc)
    if "1" not in names:
        blind = True  # /proc is mounted so that it hides processes (hidepid=2)
    for pid in names:
        if not pid.isdigit() or pid == own:
            continue
        directory = os.path.join(proc, pid, "fd")
        try:
            descriptors = os.listdir(directory)
        except OSError as error:
            blind = blind or (error.errno in (errno.EACCES, errno.EPERM) and _concerns_us(os.path.join(proc, pid)))
            continue
        for descriptor in descriptors:
            try:
                status = os.stat(os.path.join(directory, descriptor))
            except OSError as error:
                blind = blind or error.errno in (errno.EACCES, errno.EPERM)
                continue
            if (status.st_dev, status.st_ino) in wanted:
                found.add((status.st_dev, status.st_ino))
    return OpenFiles(found, blind)


def _concerns_us(process: str) -> bool:
    """Whether a process that does not show its files is one that we rely on seeing: for root every one, else our own."""
    user = os.geteuid()
    try:
        with open(os.path.join(process, "status"), encoding="utf-8", errors="replace") as handle:
            fields = dict(line.split(":", 1) for line in handle if ":" in line)
    except FileNotFoundError:
        return False
    except OSError as error:
        # It has just ended, or /proc hides whose it is (hidepid=1).
        return error.errno != errno.ESRCH
    if fields.get("State", "").split()[:1] in (["Z"], ["X"]):
        return False  # it has ended and holds no files
    return user == 0 or str(user) in fields.get("Uid", "").split()


def open_for_writing(path: str, identity: Tuple[int, int]) -> Optional[bool]:
    """Whether any process of the host has a file open for writing; None where the kernel does not tell.

    Asked of the kernel, which counts the writers whoever they are: a read lease is granted only on a file that nobody
    has open for writing, to its owner and to root, on file systems of this machine (fcntl(2), F_SETLEASE). It is given back at
    once; somebody who opens the file in that instant waits for just as long.

    Args:
        identity: device and inode; another file in its place is not judged.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != identity or not stat.S_ISREG(status.st_mode):
            return None
        # That somebody waits is told by a signal, which would end this process.
        before = signal.signal(signal.SIGIO, signal.SIG_IGN)
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            return False
        finally:
            signal.signal(signal.SIGIO, before)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    except ValueError:
        return None  # signals are set in the main thread alone
    finally:
        os.close(descriptor)
