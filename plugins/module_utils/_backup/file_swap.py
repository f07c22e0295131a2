# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Putting proven files in the place of the shop's own, and back.

They are unpacked in a hidden directory in the very directory that they belong in, so that each takes its place by a rename,
on whatever file system or mount it is. What stood there moves into the same hidden directory and stays until all is decided.
Which way each path has gone is seen from where things stand: whatever a killed process has left, going on or going back
follows from that, and from the list that was written before the first rename.

The application may write to the directory that they belong in, and so rename what is in it. Nothing is moved through a link,
into or out of a directory that is not the restore's own; the list stands where only its owner writes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import tarfile
from contextlib import ExitStack, contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Set, Tuple

from .._core.atomic_file import discard_partial, sync_directory, write_atomic
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .file_comparison import BESIDE, FILE, Entries, FileEntry, PartChange, hash_file, list_tree, units_of
from .unpacking import Unpacker

NEW, OLD, KEPT = "new", "old", "kept"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class SwapPlace:
    """Where files are swapped, as the journal has it.

    Attributes:
        root: the directory that they belong in.
        beside: the directory of the restore's own.
        listing: path of the file that says which paths change.
        made: whether the restore has made the root.
        late: they take their places when the new set counts already, and are never put back.
        container: the container whose root it is; "" for a directory of the host.
    """

    name: str
    root: str
    beside: str
    listing: str
    made: bool = False
    late: bool = False
    container: str = ""

    @property
    def new(self) -> str:
        return os.path.join(self.beside, NEW)

    @property
    def old(self) -> str:
        return os.path.join(self.beside, OLD)

    @property
    def kept(self) -> str:
        return os.path.join(self.beside, KEPT)


@dataclass(frozen=True)
class SwappedPath:
    """One path that takes its place.

    Attributes:
        before: what stood there, as a print of it; "" where there was nothing.
        after: a print of what is to stand there.
    """

    number: int
    path: str
    before: str
    after: str


def place_text(place: SwapPlace) -> Mapping[str, Any]:
    return dict(place.__dict__)


def read_place(values: Mapping[str, Any]) -> SwapPlace:
    return SwapPlace(
        str(values["name"]),
        str(values["root"]),
        str(values["beside"]),
        str(values["listing"]),
        bool(values.get("made")),
        bool(values.get("late")),
        str(values.get("container") or ""),
    )


def beside_name(token: str, number: int) -> str:
    return "%s%s.%d" % (BESIDE, token, number)


class ChosenUnpacker(Unpacker):
    """Writes those entries of parts that are chosen, each part into the directory that was made for it.

    Args:
        chosen: paths by the name of the part; of a part that is one file the path is "".
        held: open descriptors that the places are reached through, closed at the end.
    """

    def __init__(
        self, places: Mapping[str, str], chosen: Mapping[str, Set[str]], owners: bool, held: Sequence[int] = ()
    ) -> None:
        super().__init__(places, owners)
        self._chosen = chosen
        self._held = list(held)

    def directory(self, part: str, inside: str, info: tarfile.TarInfo) -> None:
        if not inside:
            return  # it is there, and has the restore's own mode
        super().directory(part, inside, info)
        if inside not in self._chosen[part]:
            # Only a way to what is in it: the shop's own directory keeps its mode and owner.
            self._directories.pop()

    def link(self, part: str, inside: str, info: tarfile.TarInfo) -> None:
        if inside in self._chosen[part]:
            super().link(part, inside, info)

    def same(self, part: str, inside: str, first: str) -> None:
        if inside in self._chosen[part]:
            super().same(part, inside, first)

    def finish(self) -> None:
        super().finish()
        while self._held:
            os.close(self._held.pop())

    @contextmanager
    def file(self, part: str, inside: str, info: tarfile.TarInfo) -> Iterator[Any]:
        with ExitStack() as written:
            yield written.enter_context(super().file(part, inside, info)) if inside in self._chosen[part] else len


def make_beside(place: SwapPlace, top: FileEntry | None, owners: bool) -> None:
    """Make the directories of a restore's own.

    Args:
        top: the directory as it was, for one that is not there any more.
    """
    try:
        if place.made:
            os.makedirs(place.root, exist_ok=True)
            if top is not None:
                if owners:
                    os.chown(place.root, top.uid, top.gid)
                os.chmod(place.root, top.mode & 0o3777)
        os.mkdir(place.beside, 0o700)
        for path in (place.new, place.old):
            os.mkdir(path, 0o700)
    except OSError as error:
        raise from_os_error("cannot make a directory for the files to restore", error, target=place.beside) from error


def compare_unpacked(change: PartChange, place: SwapPlace, wanted: Mapping[str, FileEntry]) -> List[str]:
    """Read what was unpacked from the disk and compare it with the archive; gives what is wrong, a sentence each."""
    found = list_tree(place.new)
    return [
        "%s: %s is not on the disk as in the backup" % (change.name, path)
        for path in _unlike(change, place, wanted, found)
    ]


def _unlike(change: PartChange, place: SwapPlace, wanted: Mapping[str, FileEntry], found: Entries) -> List[str]:
    wrong = []
    for path in (*change.create, *change.replace):
        entry, here = wanted[path], found.get(path)
        fits = here is not None and (here.kind, here.size, here.link) == (entry.kind, entry.size, entry.link)
        if not fits or (entry.kind == FILE and hash_file(place.new, path) != entry.sha256):
            wrong.append(path)
    return wrong


def note_paths(change: PartChange, place: SwapPlace) -> None:
    """Write down what is to take its place, before anything does."""
    moved = []
    for number, (path, replaces) in enumerate(units_of(change)):
        before = print_of(place, "", path) if replaces else ""
        moved.append([number, path, before, print_of(place, NEW, path)])
    try:
        write_atomic(place.listing, json.dumps(moved).encode("ascii"), 0o600)
    except OSError as error:
        raise from_os_error("cannot write down which files change", error, target=place.listing) from error


def read_paths(place: SwapPlace) -> List[SwappedPath]:
    """What note_paths has written; nothing where it has not come to that."""
    try:
        with open(place.listing, encoding="ascii") as handle:
            return [SwappedPath(int(number), path, before, after) for number, path, before, after in json.load(handle)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise from_os_error("cannot read which files change", error, target=place.listing) from error


def forward(place: SwapPlace) -> None:
    """Put the new files in their places. What has been put there already is passed over.

    Raises:
        MaintenanceError: something else stands there than was looked at, or a file cannot be renamed.
    """
    for moved in read_paths(place):
        if not _there(place, NEW, moved.path):
            continue
        with _renaming(place, moved.path):
            if print_of(place, NEW, moved.path) != moved.after:
                raise MaintenanceError(
                    "what was unpacked is not there any more as it was compared",
                    target=os.path.join(place.new, moved.path),
                    next_step="Something changes what is root's own: find out what, then run again.",
                )
            if not _there(place, OLD, str(moved.number)):
                # Right before: what was written since is not lost.
                if print_of(place, "", moved.path) != moved.before:
                    raise MaintenanceError(
                        "a file was changed while the backup was restored beside it",
                        target=os.path.join(place.root, moved.path),
                        next_step="Something still writes to the shop's files: stop it, then run again.",
                    )
                if moved.before:
                    _set_aside(place, moved)
            elif _there(place, "", moved.path) and not (place.late and print_of(place, "", moved.path) == moved.before):
                raise MaintenanceError(
                    "a file was written while the backup took its place",
                    target=os.path.join(place.root, moved.path),
                    next_step="Something still writes to the shop's files: stop it, then run again.",
                )
            _rename(place, (NEW, moved.path), ("", moved.path))
    _sync(place)


def misplaced(place: SwapPlace) -> List[str]:
    """Paths at which something else stands than what was to take its place there."""
    return [
        os.path.join(place.root, moved.path)
        for moved in read_paths(place)
        if print_of(place, "", moved.path) != moved.after
    ]


def back(place: SwapPlace) -> List[str]:
    """Put the old files back, from wherever the way forward, or the way back, has ended.

    Returns:
        Paths of what somebody has written in between, which is kept.
    """
    kept: List[str] = []
    for moved in reversed(read_paths(place)):
        aside, here = _there(place, OLD, str(moved.number)), _there(place, "", moved.path)
        if (moved.before and not aside) or (not moved.before and _there(place, NEW, moved.path)):
            continue
        with _renaming(place, moved.path):
            if here and print_of(place, "", moved.path) != moved.after:
                if not moved.before:
                    kept.append(os.path.join(place.root, moved.path))
                    continue
                if not os.path.lexists(place.kept):
                    with _own(place) as own:
                        os.mkdir(KEPT, 0o700, dir_fd=own)
                _rename(place, ("", moved.path), (KEPT, str(moved.number)))
                kept.append(os.path.join(place.kept, str(moved.number)))
            elif here:
                _rename(place, ("", moved.path), (NEW, moved.path))
            if moved.before:
                _rename(place, (OLD, str(moved.number)), ("", moved.path))
    _sync(place)
    return kept


def written_aside(place: SwapPlace) -> List[str]:
    """Paths of old files that are not any more as they were when they were looked at, now that they stand aside."""
    return [
        os.path.join(place.root, moved.path)
        for moved in read_paths(place)
        if moved.before and print_of(place, OLD, str(moved.number)) != moved.before
    ]


def tidy(place: SwapPlace, committed: bool) -> None:
    """Remove what is beside the files that count; what somebody has written in between stays."""
    try:
        if os.path.lexists(place.kept) and not committed:
            for path in (place.new, place.old):
                shutil.rmtree(path, ignore_errors=True)
        else:
            shutil.rmtree(place.beside)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise from_os_error("cannot remove what is beside the files", error, target=place.beside) from error
    discard_partial(place.listing)
    try:
        os.unlink(place.listing)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise from_os_error("cannot remove the list of files", error, target=place.listing) from error
    if place.made and not committed:
        try:
            os.rmdir(place.root)
        except OSError:
            pass  # it holds something, or was never made


def print_of(place: SwapPlace, what: str, path: str) -> str:
    """What tells an entry, and all below it, from any other that has its name since; "" where there is nothing.

    Args:
        what: NEW, OLD or KEPT, or "" for where it belongs.
    """
    lines: List[Tuple[Any, ...]] = []
    try:
        with _parent(place, what, path) as (parent, name):
            _print_into(lines, parent, name, "")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise from_os_error("cannot look at a file", error, target=os.path.join(place.root, path)) from error
    return hashlib.sha256(repr(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _print_into(lines: List[Tuple[Any, ...]], parent: int, name: str, inside: str) -> None:
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        lines.append((inside, status.st_ino, status.st_size, status.st_mtime_ns))
        return
    lines.append((inside, status.st_ino))
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        for below in sorted(os.listdir(descriptor)):
            _print_into(lines, descriptor, below, inside + "/" + below)
    finally:
        os.close(descriptor)


@contextmanager
def _own(place: SwapPlace) -> Iterator[int]:
    """The restore's own directory, opened. Raises MaintenanceError: another one stands there by now."""
    try:
        descriptor = os.open(place.beside, _DIRECTORY)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise from_os_error(
            "the restore's own directory cannot be opened any more", error, target=place.beside
        ) from error
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise MaintenanceError(
                "another directory stands where the restore had its own",
                target=place.beside,
                next_step="Find out who has put it there. Nothing was moved through it.",
            )
        yield descriptor
    finally:
        os.close(descriptor)


def hold_new(place: SwapPlace) -> Tuple[int, str]:
    """An open descriptor of the restore's own directory, and where what is unpacked goes, reached through nothing else."""
    try:
        with _own(place) as own:
            held = os.dup(own)
    except OSError as error:
        raise from_os_error("cannot open the directory for the files", error, target=place.beside) from error
    return held, "/proc/self/fd/%d/%s" % (held, NEW)


def _open(place: SwapPlace, what: str) -> int:
    if not what:
        return os.open(place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _own(place) as own:
        return os.open(what, _DIRECTORY, dir_fd=own)


@contextmanager
def _parent(place: SwapPlace, what: str, path: str) -> Iterator[Tuple[int, str]]:
    """The open directory of an entry and its name there; no link below the root is followed."""
    *directories, name = os.fsdecode(path.encode("utf-8", "surrogateescape")).split("/")
    descriptor = _open(place, what)
    try:
        for directory in directories:
            deeper = os.open(directory, _DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor, name
    finally:
        os.close(descriptor)


def _there(place: SwapPlace, what: str, path: str) -> bool:
    try:
        with _parent(place, what, path) as (parent, name):
            os.stat(name, dir_fd=parent, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _rename(place: SwapPlace, source: Tuple[str, str], target: Tuple[str, str]) -> None:
    with _parent(place, *source) as (one, name), _parent(place, *target) as (other, new_name):
        os.rename(name, new_name, src_dir_fd=one, dst_dir_fd=other)


@contextmanager
def _renaming(place: SwapPlace, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise from_os_error("cannot rename a file", error, target=os.path.join(place.root, path)) from error


def _set_aside(place: SwapPlace, moved: SwappedPath) -> None:
    """Keep what stands there beside, too.

    What counts already is never put back, and may be what the server is reached with, the environment file: it has a second
    name beside until the new one is renamed over it, so that it is there whenever this is killed. Where no file can have two
    names it is moved, as all others are: of those there must be one place only, by which the way back is found.
    """
    if place.late:
        try:
            with _parent(place, "", moved.path) as (one, name), _parent(place, OLD, str(moved.number)) as (
                other,
                aside,
            ):
                os.link(name, aside, src_dir_fd=one, dst_dir_fd=other, follow_symlinks=False)
            return
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOSPC):
                raise
    _rename(place, ("", moved.path), (OLD, str(moved.number)))


def _sync(place: SwapPlace) -> None:
    """What was renamed is on the disk before the journal goes on."""
    moved = read_paths(place)
    directories: Dict[str, None] = {}
    for entry in moved:
        directories[os.path.join(place.root, os.path.dirname(entry.path))] = None
    for path in (*directories, place.old) if moved else ():
        try:
            sync_directory(os.fsdecode(path.encode("utf-8", "surrogateescape")))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise from_os_error("cannot bring the renames to the disk", error, target=path) from error


def parts_that_change(changes: Sequence[PartChange]) -> List[PartChange]:
    return [change for change in changes if change.changes]
