# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a path really lies: in which file system, and where in it, whatever is mounted where; and of what kind that is. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Collection, FrozenSet, List, Optional, Sequence, Tuple

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


def parse_mount_types(text: str) -> List[Tuple[str, str]]:
    """Mount point and type of file system of each mount, the latest last, from the text of a mountinfo file (proc(5))."""
    found: List[Tuple[str, str]] = []
    for line in text.splitlines():
        place, separator, system = line.partition(" - ")
        fields = place.split(" ")
        if separator and len(fields) > 5:
            found.append((_OCTAL.sub(lambda match: chr(int(match.group(1), 8)), fields[4]), system.split(" ")[0]))
    return found


def types_of_file_systems(
    roots: Sequence[str], entered: Collection[str], left_out: Collection[str], types: Sequence[Tuple[str, str]]
) -> FrozenSet[str]:
    """The types of all file systems that a walk has come through; "" among them where one of them is not known.

    Args:
        roots: where it began, without links.
        entered: the directories that it has listed.
        left_out: those that it has seen and not entered.
        types: what is mounted where, by the mounts of the own process.
    """
    found = set()
    for root in roots:
        best = ("", "")
        for point, kind in types:
            below = point.rstrip("/")
            if (root == below or root.startswith(below + "/")) and len(point) >= len(best[0]):
                best = (point, kind)
        found.add(best[1])
    for point, kind in types:
        # A file can be a mount point, too.
        if point in entered or ((point.rpartition("/")[0] or "/") in entered and point not in left_out):
            found.add(kind)
    return frozenset(found)


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
