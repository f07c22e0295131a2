# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a path really lies: in which file system, and where in it, whatever is mounted where. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import List, Optional, Sequence, Tuple

# device, path inside its file system, mount point
Mount = Tuple[str, str, str]

_OCTAL = re.compile(r"\\([0-7]{3})")


@lru_cache(maxsize=1)
def parse_mountinfo(text: str) -> Sequence[Mount]:
    """Mounts of a process, from the text of its mountinfo file (proc(5)).

    Whoever removes hundreds of volumes looks each time, and finds the same.
    """
    mounts: List[Mount] = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) > 5:
            root, point = (_OCTAL.sub(lambda match: chr(int(match.group(1), 8)), part) for part in fields[3:5])
            mounts.append((fields[2], root, point))
    return tuple(mounts)


def inside_file_system(path: str, mounts: Sequence[Mount]) -> Optional[Tuple[str, str]]:
    """The device that holds a path and its path inside that file system, by the mounts of the own process.

    Args:
        path: without links.
    """
    best: Optional[Mount] = None
    for mount in mounts:
        point = mount[2].rstrip("/")
        if (path == point or path.startswith(point + "/")) and (best is None or len(mount[2]) >= len(best[2])):
            best = mount
    if best is None:
        return None
    return best[0], (best[1].rstrip("/") + path[len(best[2].rstrip("/")) :]) or "/"
