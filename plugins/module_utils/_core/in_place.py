# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing into a file that must stay the same file, as a container that was given this one file sees no other in its place.

What it held and what it is to hold is noted first, so that a write that was killed half-way is known and taken back.
"""

from __future__ import annotations

import json
import os

from .atomic_file import sync_directory, write_atomic


def is_torn(now: bytes, before: bytes, after: bytes) -> bool:
    """Whether a file holds the beginning of what it was to hold, and then what it held before. Pure."""
    same = 0
    for one, other in zip(now, after):
        if one != other:
            break
        same += 1
    return now not in (before, after) and now[same:] == before[same:]


def write_in_place(path: str, data: bytes, note: str) -> None:
    """Change what a file holds.

    Args:
        note: a file in a directory that nobody else can write, while this goes on.

    Raises:
        OSError: as the system reports it. The file is as it was, or ``finish_in_place`` makes it so.
    """
    with open(path, "rb") as handle:
        before = handle.read()
    noted = {"path": path, "before": before.decode("latin-1"), "after": data.decode("latin-1")}
    os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)
    write_atomic(note, json.dumps(noted).encode("ascii"), 0o600)
    _overwrite(path, data)
    _forget(note)


def finish_in_place(note: str) -> str:
    """Take back a write that was killed half-way, and forget it.

    Returns:
        The file that was put back, "" when none had to be.

    Raises:
        OSError: as the system reports it.
    """
    try:
        with open(note, "rb") as handle:
            noted = json.load(handle)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    path, before, after = str(noted["path"]), noted["before"].encode("latin-1"), noted["after"].encode("latin-1")
    torn = False
    try:
        with open(path, "rb") as handle:
            torn = is_torn(handle.read(), before, after)
    except FileNotFoundError:
        pass
    if torn:
        _overwrite(path, before)
    _forget(note)
    return path if torn else ""


def _overwrite(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        done = 0
        while done < len(data):
            done += os.pwrite(descriptor, data[done:], done)
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget(note: str) -> None:
    os.unlink(note)
    sync_directory(os.path.dirname(note))
