# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""GNU find looks through the subtrees of a large tree, two at a time, and prints the candidates of the rules alone.

It reads a directory faster than we do. What it prints is no more than a selection: each candidate is judged again by the
same tests as one of our own walk, so that both come to the same end. A subtree about which find complains in any way is
walked by ourselves, from its beginning.
"""

from __future__ import annotations

import os
import subprocess
from typing import IO, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from .._core import walker
from .._core.late_dataclass import dataclass
from .permission_problems import Status
from .sensitive_names import ORDINARY_PATH

_PLACES = ("/usr/bin/find", "/bin/find", "/usr/local/bin/find")
_CHUNK = 1 << 16
_LONGEST_COMMAND = 1 << 15
_MOST_STARTS = 200
_BATCHES = 16
_BACKUPS = "backups"
# Type, then what a `Status` holds, the size, and last the path, which may hold anything but NUL.
_RECORD = "%m %U %G %D %i %n %s %p\\0"
_FIELDS = 9
FILE, DIRECTORY, LINK, FOR_BACKUPS = b"f", b"d", b"l", b"b"
_KINDS = {FILE: 0o100000, DIRECTORY: 0o040000, LINK: 0o120000, FOR_BACKUPS: 0o040000}


@dataclass(frozen=True)
class Selection:
    """What find is to print.

    Attributes:
        file_bits, directory_bits: permission bits that make a file or a directory a candidate.
        every_file, every_directory: each is one.
        uids, gids: owners and groups that have names; what belongs to any other is a candidate.
        exclude: names of directories that are not entered.
    """

    file_bits: int
    directory_bits: int
    every_file: bool
    every_directory: bool
    uids: Tuple[int, ...]
    gids: Tuple[int, ...]
    exclude: Tuple[str, ...]


@dataclass(frozen=True)
class Siblings:
    """Directories of one parent, whose subtrees are looked through together."""

    parent: str
    names: Tuple[str, ...]

    def paths(self) -> List[str]:
        return [self.parent.rstrip("/") + "/" + name for name in self.names]


@dataclass(frozen=True)
class Candidate:
    """What find has printed of one entry."""

    kind: bytes
    directory: str
    name: str
    status: Status
    size: int


def gnu_find() -> str:
    """The path of GNU find, "" where there is none: others know neither -printf nor -regextype."""
    for place in _PLACES:
        if not os.access(place, os.X_OK):
            continue
        try:
            told = subprocess.run(
                [place, "--version"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if told.stdout.startswith(b"find (GNU findutils)"):
            return place
    return ""


# Names are bytes to it, and no setting of the caller changes what it prints.
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}


def in_backups(root: str, path: str) -> bool:
    """Whether a directory is one for backups, or lies below one. Pure."""
    return "/%s/" % _BACKUPS in path[len(root) :] + "/"


def plain_names(exclude: Iterable[str]) -> Optional[Tuple[str, ...]]:
    """The names and globs of directories not to enter, when find understands all of them as we do; else None. Pure."""
    names = [pattern.strip("/") for pattern in exclude]
    if any(set(name) & set("/[]?\\") or not name.isascii() for name in names):
        return None
    return tuple(names)


def batches(starts: Iterable[str]) -> List[Siblings]:
    """Directories in batches of the same parent: enough of them to share out, each short enough for a command. Pure."""
    by_parent: Dict[str, List[str]] = {}
    for path in starts:
        parent, name = os.path.split(path)
        by_parent.setdefault(parent, []).append(name)
    made = []
    for parent, names in by_parent.items():
        most = min(_MOST_STARTS, max(1, len(names) // _BATCHES))
        group: List[str] = []
        length = 0
        for name in names:
            if group and (len(group) >= most or length + len(name) > _LONGEST_COMMAND):
                made.append(Siblings(parent, tuple(group)))
                group, length = [], 0
            group.append(name)
            length += len(os.fsencode(name)) + 3
        made.append(Siblings(parent, tuple(group)))
    return made


def expression(selection: Selection, depth: int) -> List[str]:
    """What find is asked, beside where to begin. Pure.

    Each entry but a link is printed as one record that counts it: nothing, the depth of a directory, or a candidate. The
    record of a directory that is a candidate comes on top, and that of one for backups: every file there is a candidate, so
    that we walk it ourselves.

    Args:
        depth: so many levels are looked at.
    """
    named = _any("-uid", selection.uids) + _any("-gid", selection.gids)
    if selection.every_file:
        plain = ["-false"]
    else:
        plain = ["!", "-perm", "/%04o" % selection.file_bits, *named, "-regex", ORDINARY_PATH]
    if selection.every_directory:
        fine = ["-false"]
    else:
        fine = ["!", "-perm", "/%04o" % selection.directory_bits, *named]
    asked = ["-mindepth", "1", "-maxdepth", str(depth), "-regextype", "posix-egrep", "-ignore_readdir_race"]
    asked += ["(", "-type", "d", "-printf", "%d\\0", "(", *fine, "-o", "-printf", "d " + _RECORD, ")"]
    asked += ["(", *_any("-name", selection.exclude), "-prune", "-o", "-name", _BACKUPS, "-printf"]
    asked += ["b " + _RECORD, "-prune", ")", ")"]
    asked += ["-o", "-type", "f", "(", *plain, "-printf", "\\0", "-o", "-printf", "f " + _RECORD, ")"]
    asked += ["-o", "-type", "l", "-printf", "l " + _RECORD]
    return [*asked, "-o", "!", "-type", "d", "-printf", "\\0"]


def _any(test: str, values: Iterable[object]) -> List[str]:
    asked: List[str] = []
    for value in values:
        asked += ["-o", test, str(value)]
    return ["(", *asked[1:], ")"] if asked else ["-false"]


def look_through(program: str, root: str, batch: Siblings, selection: Selection) -> Optional[Tuple[List[bytes], int]]:
    """The candidates of a batch as records, and how many entries it has; None when find did not do all of it.

    Args:
        program: path of GNU find.
        root: the audited path.
    """
    depth = walker.DEEPEST - walker.levels(root, batch.parent) - 1
    if depth < 1:
        return None
    try:
        inside = walker.open_below(root, batch.parent)
    except OSError:
        return None
    # Names begin with ./ and are no options, whatever they are; no shell is between.
    starts = ["./" + name for name in batch.names]
    try:
        process = subprocess.Popen(
            [program, "-P", *starts, *expression(selection, depth)],
            cwd="/proc/self/fd/%d" % inside,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    finally:
        os.close(inside)
    records: List[bytes] = []
    entries, deep = 0, False
    try:
        for group in _groups(process.stdout) if process.stdout is not None else ():
            for record in group:
                if not record:
                    continue
                if record[1:2] == b" ":
                    records.append(record)
                    entries -= record[:1] != FILE
                else:
                    deep = deep or int(record) >= depth
            entries += len(group)
    except BaseException:
        process.kill()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
        process.wait()
    return (records, entries) if process.returncode == 0 and not deep else None


def _groups(output: IO[bytes]) -> Iterator[List[bytes]]:
    """The records that a process prints, as they come."""
    rest = b""
    for chunk in iter(lambda: output.read(_CHUNK), b""):
        group = (rest + chunk).split(b"\0")
        rest = group.pop()
        yield group


def candidates(parent: str, records: Sequence[bytes]) -> Iterator[Candidate]:
    """Records read. Pure."""
    base = os.fsencode(parent.rstrip("/"))
    for record in records:
        kind, mode, uid, gid, device, inode, links, size, path = record.split(b" ", _FIELDS - 1)
        directory, _slash, name = os.fsdecode(base + path[1:]).rpartition("/")
        status = Status(_KINDS[kind], int(mode, 8), int(uid), int(gid), int(device), int(inode), int(links))
        yield Candidate(kind, directory or "/", name, status, int(size))
