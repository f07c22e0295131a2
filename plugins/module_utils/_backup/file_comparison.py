# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What restoring a part of a backup (uploads, invoices ...) would change among the files that are there now.

Files that the backup does not hold are the shop's own of later days: they stay, as collections do that it does not hold.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from contextlib import contextmanager
from dataclasses import field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Set, Tuple

from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass

DIRECTORY, FILE, LINK, OTHER = "directory", "file", "link", "other"
CONFIG = (".env", "docker-compose.yml")
# What a restore has beside the files; it is never taken for one of the shop's.
BESIDE = ".miniecom_restore."
_COPY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class FileEntry:
    """One entry of a part.

    Attributes:
        size: in bytes; 0 of what is no file.
        sha256: of a file's content; "" where nobody has read it.
        link: where a link leads to.
        first: the path of the same file under its first name in the archive; "" of most.
    """

    kind: str
    size: int = 0
    sha256: str = ""
    link: str = ""
    first: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0


Entries = Dict[str, FileEntry]


@dataclass
class PartListing:
    """Takes the entries of some parts of a backup while it is read, and writes none of them."""

    names: Set[str]
    parts: Dict[str, Entries] = field(default_factory=dict)

    def wants(self, part: str) -> bool:
        return part in self.names

    def directory(self, part: str, inside: str, info: tarfile.TarInfo) -> None:
        self._note(part, inside, FileEntry(DIRECTORY, mode=info.mode, uid=info.uid, gid=info.gid))

    def link(self, part: str, inside: str, info: tarfile.TarInfo) -> None:
        self._note(part, inside, FileEntry(LINK, link=info.linkname))

    def same(self, part: str, inside: str, first: str) -> None:
        there = self.parts.get(part, {}).get(first)
        if there is None or there.kind != FILE:
            raise MaintenanceError(
                "the archive names a file a second time that is not in it",
                target=inside,
                next_step="Do not restore this archive: choose another backup.",
            )
        self._note(part, inside, FileEntry(FILE, there.size, there.sha256, first=first, mode=there.mode))

    @contextmanager
    def file(self, part: str, inside: str, info: tarfile.TarInfo) -> Iterator[Any]:
        digest = hashlib.sha256()

        def write(data: Any) -> int:
            digest.update(data)
            return len(data)

        yield write
        entry = FileEntry(FILE, info.size, digest.hexdigest(), mode=info.mode, uid=info.uid, gid=info.gid)
        self._note(part, inside, entry)

    def finish(self) -> None:
        pass

    def _note(self, part: str, inside: str, entry: FileEntry) -> None:
        entries = self.parts.setdefault(part, {})
        if inside in entries:
            raise MaintenanceError(
                "the archive holds a path twice",
                target="%s/%s" % (part, inside),
                next_step="Do not restore this archive: choose another backup.",
            )
        entries[inside] = entry


def is_single(entries: Mapping[str, FileEntry]) -> bool:
    """Whether a part is one file, and no directory. Pure."""
    return "" in entries and entries[""].kind != DIRECTORY


def rooted(entries: Mapping[str, FileEntry], name: str) -> Entries:
    """A part's entries by their paths in the directory that it stands in. Pure.

    Args:
        name: of a part that is one file.
    """
    if is_single(entries):
        return {name: entries[""]}
    return {inside: entry for inside, entry in entries.items() if inside}


def list_tree(root: str, only: Any = None) -> Entries:
    """What stands below a directory, by path; contents are not read. Of a directory that is not there, nothing.

    Args:
        only: of one name in it alone.

    Raises:
        MaintenanceError: something cannot be read.
    """
    found: Entries = {}
    try:
        if only is not None:
            _list_one(found, root, "", only)
        elif os.path.lexists(root):
            _list_into(found, root, "")
    except OSError as error:
        raise from_os_error(
            "cannot look at the files that are there now",
            error,
            target=error.filename or root,
            next_step="Run as their owner or as root (become: true).",
        ) from error
    return found


def _list_into(found: Entries, root: str, inside: str) -> None:
    for name in sorted(os.listdir(os.path.join(root, inside))):
        if not name.startswith(BESIDE):
            _list_one(found, root, inside, name)


def _list_one(found: Entries, root: str, inside: str, name: str) -> None:
    path = "%s/%s" % (inside, name) if inside else name
    whole = os.path.join(root, path)
    try:
        status = os.lstat(whole)
    except FileNotFoundError:
        return
    # As an archive has names: whatever the locale says.
    key = os.fsencode(path).decode("utf-8", "surrogateescape")
    if stat.S_ISDIR(status.st_mode):
        found[key] = FileEntry(DIRECTORY)
        _list_into(found, root, path)
    elif stat.S_ISLNK(status.st_mode):
        found[key] = FileEntry(LINK, link=os.fsencode(os.readlink(whole)).decode("utf-8", "surrogateescape"))
    elif stat.S_ISREG(status.st_mode):
        found[key] = FileEntry(FILE, status.st_size)
    else:
        found[key] = FileEntry(OTHER)


def hash_file(root: str, inside: str) -> str:
    """The SHA-256 of a file below a directory, "" where it is none any more."""
    path = local_path(root, inside)
    digest = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", 0) as handle:
            for data in iter(lambda: handle.read(_COPY_BYTES), b""):
                digest.update(data)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise from_os_error(
            "cannot read the files that are there now",
            error,
            target=path,
            next_step="Run as their owner or as root (become: true).",
        ) from error
    return digest.hexdigest()


def local_path(root: str, inside: str) -> str:
    """A path in an archive as a path of this host."""
    return os.path.join(root, os.fsdecode(inside.encode("utf-8", "surrogateescape")))


@dataclass(frozen=True)
class PartChange:
    """What restoring a part changes.

    Attributes:
        name: of the part in the backup.
        root: the directory in which the paths below are; of a container's where `container` names one.
        create: paths that are not there.
        replace: paths of files and links that are there with another content.
        same: how many files are as in the backup already.
        stays: paths of files that the backup does not hold.
        conflicts: paths at which a directory stands where the backup has none, or the other way round.
        bytes: of the files that are created or replaced.
        created_files: how many of what is created are no directories.
        missing: the directory itself is not there.
        free: bytes that are free where they go to; None where nobody knows.
        device: what tells one file system from another, 0 where nobody knows.
    """

    name: str
    root: str
    container: str = ""
    create: Tuple[str, ...] = ()
    replace: Tuple[str, ...] = ()
    same: int = 0
    stays: Tuple[str, ...] = ()
    conflicts: Tuple[str, ...] = ()
    bytes: int = 0
    created_files: int = 0
    missing: bool = False
    free: Any = None
    device: int = 0

    @property
    def place(self) -> str:
        return "%s:%s" % (self.container, self.root) if self.container else self.root

    @property
    def changes(self) -> bool:
        return bool(self.create or self.replace)

    @property
    def files(self) -> int:
        """How many files are written."""
        return self.created_files + len(self.replace)


def compare_part(
    name: str,
    root: str,
    container: str,
    wanted: Mapping[str, FileEntry],
    there: Mapping[str, FileEntry],
    hashed: Callable[[str], str],
) -> PartChange:
    """Compare what a backup has of a part with what is there. Pure, but for hashed().

    Args:
        hashed: gives the SHA-256 of a file that is there; asked only of files of the same size.
    """
    create: List[str] = []
    replace: List[str] = []
    conflicts: List[str] = []
    same = size = created = 0
    for path in sorted(wanted):
        entry, live = wanted[path], there.get(path)
        if live is None:
            create.append(path)
            created += entry.kind != DIRECTORY
        elif (entry.kind == DIRECTORY) != (live.kind == DIRECTORY) or live.kind == OTHER:
            conflicts.append(path)
            continue
        elif entry.kind == DIRECTORY:
            continue
        elif entry.kind == live.kind == LINK and entry.link == live.link:
            same += 1
            continue
        elif entry.kind == live.kind == FILE and entry.size == live.size and hashed(path) == entry.sha256:
            same += 1
            continue
        else:
            replace.append(path)
        size += entry.size
    stays = tuple(path for path in sorted(there) if path not in wanted and there[path].kind != DIRECTORY)
    return PartChange(
        name, root, container, tuple(create), tuple(replace), same, stays, tuple(conflicts), size, created
    )


def units_of(change: PartChange) -> List[Tuple[str, bool]]:
    """What moves as one: (path, whether something stands there now). A new directory moves with all that is in it. Pure."""
    new = set(change.create)
    units = [(path, False) for path in change.create if not any(above in new for above in _above(path))]
    return sorted(units + [(path, True) for path in change.replace])


def _above(path: str) -> Iterator[str]:
    parent = path.rpartition("/")[0]
    while parent:
        yield parent
        parent = parent.rpartition("/")[0]


def chosen_of(change: PartChange, wanted: Mapping[str, FileEntry]) -> Set[str]:
    """The paths that are read out of the archive: what is written, and the first name of what is a second one. Pure."""
    chosen = {*change.create, *change.replace}
    return chosen | {wanted[path].first for path in chosen if wanted[path].first}
