# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of the state directory, closed to others from the first moment."""

from __future__ import annotations

import os


def private_directory(state_dir: str, *names: str) -> str:
    """Make the state directory and a directory below it, each with mode 0700, where they are missing; returns the path.

    Whoever comes first makes the state directory: os.makedirs() would give only the last level the mode it is told.

    Raises:
        OSError: as the system reports it.
    """
    path = state_dir
    os.makedirs(path, mode=0o700, exist_ok=True)
    for name in names:
        path = os.path.join(path, name)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
    return path
