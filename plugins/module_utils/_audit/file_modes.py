# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modes of files as they are, and changing them: always one inode, reached by no name that could be swapped."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from dataclasses import replace
from typing import Optional

from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.finding import printable
from .._core.walker import open_below
from .permission_fix import ModeChange
from .permission_problems import Status

ACL_ATTRIBUTE = "system.posix_acl_access"
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800


def status_of(result: os.stat_result) -> Status:
    return Status(
        stat.S_IFMT(result.st_mode),
        stat.S_IMODE(result.st_mode),
        result.st_uid,
        result.st_gid,
        result.st_dev,
        result.st_ino,
        result.st_nlink,
    )


def change_mode(change: ModeChange) -> None:
    """Set the mode of exactly the inode that was planned.

    Raises:
        SkipAction: it is gone, replaced, or its mode or owner changed since planning.
        MaintenanceError: the system refused.
    """
    path = change.path
    try:
        descriptor = open_below(change.root, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise SkipAction("it is gone, or a part of its path is a symbolic link now") from error
        raise _refused(path, error) from error
    try:
        now = status_of(os.fstat(descriptor))
        if now.kind not in (stat.S_IFREG, stat.S_IFDIR):
            raise SkipAction("it is no longer a file or a directory")
        if (now.device, now.inode) != (change.device, change.inode):
            raise SkipAction("another file has taken its place since planning")
        if change.born and birth(descriptor) not in (0, change.born):
            raise SkipAction("another file has taken its place since planning")
        if (now.mode, now.uid, now.gid) != (change.before, change.uid, change.gid):
            raise SkipAction("its mode or owner has changed since planning")
        # fchmod() refuses an O_PATH descriptor; through /proc the same inode is reached, by no name that could be swapped.
        os.chmod("/proc/self/fd/%d" % descriptor, change.after)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        os.close(descriptor)


def current_status(root: str, path: str) -> Optional[Status]:
    """The present status of a path, None when it is gone or reached only through a link."""
    try:
        descriptor = open_below(root, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise _refused(path, error) from error
    try:
        return replace(status_of(os.fstat(descriptor)), born=birth(descriptor), acl=_has_acl(descriptor))
    finally:
        os.close(descriptor)


def birth(descriptor: int) -> int:
    """When an open inode was made, in nanoseconds; 0 where library, kernel or file system do not tell (statx(2))."""
    answer = ctypes.create_string_buffer(256)
    try:
        failed = ctypes.CDLL(None).statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, answer)
    except (OSError, AttributeError):
        return 0
    known, seconds, fraction = struct.unpack_from("=I76xqI", answer.raw)
    return 0 if failed or not known & _STATX_BTIME else int(seconds * 1000000000 + fraction)


def identified(root: str, path: str, status: Status) -> Status:
    """A status with what only an opened inode tells: its birth, and whether it has an access control list."""
    try:
        seen = current_status(root, path)
    except MaintenanceError:
        seen = None
    if seen is None or (seen.device, seen.inode) != (status.device, status.inode):
        return replace(status, acl=False, born=0)
    return replace(status, acl=seen.acl, born=seen.born)


def _has_acl(descriptor: int) -> bool:
    """Whether an open file or directory has an access control list beside its mode."""
    try:
        return ACL_ATTRIBUTE in os.listxattr("/proc/self/fd/%d" % descriptor)
    except OSError:
        return False


def _refused(path: str, error: OSError) -> MaintenanceError:
    return from_os_error("cannot change the mode", error, target=printable(path))
