# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the machine's /dev/null is what every program of every user takes it for.

A program of root's that changes its mode or replaces it is not seen by root, who may write to whatever is there; what apt, a
shell or an engine does as another user fails, in tests that have nothing to do with it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MENDING = "mknod -m 666 /dev/null.new c 1 3 && mv -f /dev/null.new /dev/null"
MENDING_MODE = "chmod 666 /dev/null"


def null_device_trouble(path: Path = Path("/dev/null")) -> str:
    """What is wrong with it, in one line with the command that mends it; empty where all is well."""
    mending = MENDING
    try:
        status = path.stat()
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISCHR(status.st_mode):
            found = "is no character device"
        elif status.st_rdev != os.makedev(1, 3):
            found = f"is device {os.major(status.st_rdev)}:{os.minor(status.st_rdev)} and not 1:3"
        elif mode & 0o666 != 0o666:
            found = f"has mode {mode:04o}, by which not everybody may read and write it"
            mending = MENDING_MODE
        else:
            # Where devices are forbidden (a mount with nodev, a control group) its mode says nothing.
            os.close(os.open(path, os.O_RDWR))
            return ""
    except OSError as error:
        found = f"cannot be used ({error.strerror})"
    return f"{path} {found}: what other users than root do fails with it. As root: {mending}"
