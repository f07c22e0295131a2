# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shop's files in a restore: on the host they are swapped by renames, in a container's own layer put there by the engine.

A stopped container can be read and written to by its engine, and nothing in it can be renamed. So what goes there waits, proven,
in the state directory until the new set counts, and is put there then; where that is cut off, it is done again.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
from dataclasses import replace
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from .._backup.file_comparison import (
    CONFIG,
    DIRECTORY,
    FILE,
    LINK,
    OTHER,
    Entries,
    FileEntry,
    PartChange,
    PartListing,
    chosen_of,
    compare_part,
    hash_file,
    is_single,
    list_tree,
    local_path,
    rooted,
)
from .._backup.file_swap import (
    ChosenUnpacker,
    SwapPlace,
    back,
    beside_name,
    compare_unpacked,
    forward,
    hold_new,
    make_beside,
    misplaced,
    note_paths,
    parts_that_change,
    place_text,
    read_place,
    tidy,
    written_aside,
)
from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._docker.client import Docker, EngineError
from .._docker.writable_layer import CHUNK, list_archive, put_into
from .._mongo.swap import Journal

DATABASE = "database"
PARTS = ("uploads", "invoices", "labels")
_TAR = "put.tar"
_KINDS = {tarfile.REGTYPE: FILE, tarfile.AREGTYPE: FILE, tarfile.DIRTYPE: DIRECTORY, tarfile.SYMTYPE: LINK}


@dataclass(frozen=True)
class LivePlace:
    """Where this installation reads a part."""

    name: str
    path: str
    container: str = ""


class LiveFiles:
    """Compares, stages and swaps the parts that are asked for.

    Args:
        params: components, places, docker_host and docker_timeout of the module.
        state_dir: where what goes into containers waits.
    """

    def __init__(self, params: Mapping[str, Any], state_dir: str) -> None:
        components = [str(name) for name in params["components"]]
        names = [name for name in PARTS if name in components] + (list(CONFIG) if "config" in components else [])
        self.database = DATABASE in components
        self.names = names
        self.places = _places(params["places"] or [], names)
        self._state_dir = state_dir
        self._host = params["docker_host"]
        self._timeout = int(params["docker_timeout"])
        self._docker: Optional[Docker] = None

    def close(self) -> None:
        if self._docker is not None:
            self._docker.close()

    def _engine(self) -> Docker:
        if self._docker is None:
            self._docker = Docker.connect(self._host, self._timeout)
        return self._docker

    def listing(self) -> PartListing:
        """A sink for reading the backup, which remembers what is in the parts."""
        return PartListing(set(self.names))

    # --- observe -------------------------------------------------------------------------------------------------

    def compare(self, parts: Mapping[str, Entries]) -> Tuple[PartChange, ...]:
        """What restoring the parts that the backup holds would change."""
        return tuple(self._compare(self.places[name], parts[name]) for name in self.names if name in parts)

    def _compare(self, place: LivePlace, entries: Entries) -> PartChange:
        if place.container:
            if is_single(entries):
                raise MaintenanceError(
                    "a single file is restored on the host only, not in a container",
                    target=place.name,
                    next_step="Copy it there by hand, or leave this part out of components.",
                )
            root, found = self._list_container(place)
            inside = found or {}
            change = compare_part(
                place.name, root, place.container, rooted(entries, ""), inside, lambda path: inside[path].sha256
            )
            return _with_space(replace(change, missing=found is None), self._state_dir)
        # The directory itself may be reached through a link; nothing below it is.
        root, only = os.path.realpath(place.path), None
        if is_single(entries):
            root, only = os.path.dirname(root), os.path.basename(root)
        wanted = rooted(entries, only or "")
        there = list_tree(root, only)
        change = compare_part(place.name, root, "", wanted, there, lambda path: hash_file(root, path))
        return _with_space(replace(change, missing=not os.path.isdir(root)), root)

    def _list_container(self, place: LivePlace) -> Tuple[str, Optional[Entries]]:
        """Where a part really is in a container, and what is there; None where the directory is not there."""
        docker, path = self._engine(), posixpath.normpath(place.path)
        # Only what is missing in the container is no error; a container that is gone is one.
        docker.get("/containers/%s/json" % place.container)
        try:
            with docker.errors("cannot look into the container", "%s:%s" % (place.container, path)):
                stream, status = docker.api.get_archive(place.container, path, chunk_size=CHUNK)
                if status.get("linkTarget"):
                    stream.close()
                    path = str(status["linkTarget"])
                    stream, status = docker.api.get_archive(place.container, path, chunk_size=CHUNK)
                found = list_archive(_Chunks(stream))
        except EngineError as error:
            if error.status != 404:
                raise
            return path, None
        except (tarfile.TarError, EOFError) as error:
            raise MaintenanceError(
                "what the engine sent of the container is not whole: %s" % error,
                target="%s:%s" % (place.container, path),
                next_step="Run again.",
            ) from error
        top = posixpath.basename(path)
        return path, {
            name[len(top) + 1 :]: FileEntry(_KINDS.get(entry.kind, OTHER), entry.size, entry.sha256, entry.link)
            for name, entry in found.items()
            if name.startswith(top + "/")
        }

    # --- stage ---------------------------------------------------------------------------------------------------

    def swap_places(self, changes: Sequence[PartChange], token: str) -> Tuple[Mapping[str, Any], ...]:
        """Where the parts that change are staged, for the journal; nothing is made yet."""
        places = []
        for number, change in enumerate(parts_that_change(changes)):
            where = self._state_dir if change.container else change.root
            place = SwapPlace(
                change.name,
                change.root,
                os.path.join(where, beside_name(token, number)),
                os.path.join(self._state_dir, "restore-%s.files.%d.json" % (token, number)),
                made=change.missing and not change.container,
                late=bool(change.container) or change.name in CONFIG,
                container=change.container,
            )
            places.append(place_text(place))
        return tuple(places)

    def unpacker(
        self, journal: Journal, changes: Sequence[PartChange], parts: Mapping[str, Entries]
    ) -> Optional[ChosenUnpacker]:
        """Make the directories beside, and give what unpacks into them; None where no file changes."""
        targets: Dict[str, str] = {}
        chosen: Dict[str, Set[str]] = {}
        held: List[int] = []
        owners = os.geteuid() == 0
        for change, place in _paired(changes, journal):
            entries = parts[change.name]
            make_beside(place, None if is_single(entries) else entries.get(""), owners)
            descriptor, new = hold_new(place)
            held.append(descriptor)
            if is_single(entries):
                (name,) = (*change.create, *change.replace)
                targets[change.name], chosen[change.name] = local_path(new, name), {""}
            else:
                targets[change.name], chosen[change.name] = new, chosen_of(change, entries)
        return ChosenUnpacker(targets, chosen, owners, held) if targets else None

    def prove(self, journal: Journal, changes: Sequence[PartChange], parts: Mapping[str, Entries]) -> List[str]:
        """Compare what was unpacked with the backup, and write down what is to take its place; gives what is wrong."""
        wrong: List[str] = []
        for change, place in _paired(changes, journal):
            wanted = rooted(parts[change.name], (*change.create, *change.replace)[0])
            wrong += compare_unpacked(change, place, wanted)
            if wrong:
                break
            if place.container:
                _pack(change, place, wanted, parts[change.name].get("") if change.missing else None)
            else:
                note_paths(change, place)
        return wrong

    # --- in the place --------------------------------------------------------------------------------------------

    def put_in_place(self, journal: Journal) -> None:
        """What can be put back takes its place, before the new set counts."""
        for place in places_of(journal):
            if not place.late:
                forward(place)
                wrong = misplaced(place)
                if wrong:
                    raise MaintenanceError(
                        "restored files did not take their places: %s" % ", ".join(wrong[:5]),
                        target=place.root,
                        next_step="Something else changes them: stop it, then run again.",
                    )

    def written_meanwhile(self, journal: Journal) -> List[str]:
        """Paths of old files that somebody has written to while the backup was restored beside them."""
        return [path for place in places_of(journal) if not place.late for path in written_aside(place)]


class _Chunks:
    """read(n) over what an engine sends."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _places(given: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Dict[str, LivePlace]:
    places = {
        str(entry["name"]): LivePlace(str(entry["name"]), str(entry["path"]), str(entry.get("container") or ""))
        for entry in given
    }
    for name in names:
        if name not in places:
            raise MaintenanceError(
                "nobody has said where this installation has it",
                target=name,
                next_step="Name it in places, as the filter backup_include does.",
            )
        if not os.path.isabs(places[name].path):
            raise MaintenanceError(
                "a path in places is not absolute", target=places[name].path, next_step="Write it from the root on."
            )
    return places


def _with_space(change: PartChange, where: str) -> PartChange:
    """With what is free where its files go to first."""
    while not os.path.isdir(where):
        where = os.path.dirname(where)
    try:
        status = os.statvfs(where)
        return replace(change, free=status.f_bavail * status.f_frsize, device=os.stat(where).st_dev)
    except OSError as error:
        raise from_os_error("cannot see how much is free", error, target=where) from error


def places_of(journal: Journal) -> List[SwapPlace]:
    return [read_place(values) for values in journal.files]


def _paired(changes: Sequence[PartChange], journal: Journal) -> Iterator[Tuple[PartChange, SwapPlace]]:
    by_name = {change.name: change for change in changes}
    for place in places_of(journal):
        yield by_name[place.name], place


def _pack(change: PartChange, place: SwapPlace, wanted: Mapping[str, FileEntry], top: Optional[FileEntry]) -> None:
    """One archive of all that goes into a container, as its engine takes it.

    Args:
        top: the directory itself, where it is not there.
    """
    name = posixpath.basename(change.root)
    try:
        with tarfile.open(os.path.join(place.beside, _TAR), "w", format=tarfile.GNU_FORMAT) as tar:
            if top is not None:
                info = tarfile.TarInfo(name)
                info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, top.mode, top.uid, top.gid
                tar.addfile(info)
            for path in sorted((*change.create, *change.replace)):
                entry = wanted[path]
                info = tar.gettarinfo(local_path(place.new, path), "%s/%s" % (name, path))
                first = wanted[entry.first] if entry.first else entry
                info.uid, info.gid, info.uname, info.gname = first.uid, first.gid, "", ""
                if entry.kind == FILE:
                    # A second name of a file is a file of its own: its first may not be among those that go there.
                    info.type, info.linkname, info.size = tarfile.REGTYPE, "", entry.size
                    with open(local_path(place.new, path), "rb") as handle:
                        tar.addfile(info, handle)
                else:
                    tar.addfile(info)
            tar.fileobj.flush()  # type: ignore[union-attr]
            os.fsync(tar.fileobj.fileno())  # type: ignore[union-attr]
    except OSError as error:
        raise from_os_error("cannot write what goes into the container", error, target=place.beside) from error


def files_back(journal: Journal) -> List[str]:
    """Put the old files back; gives what somebody has written in between, and is kept."""
    kept: List[str] = []
    for place in places_of(journal):
        if not place.late:
            kept += back(place)
    return kept


def files_late(journal: Journal, docker_host: str, timeout: int) -> None:
    """What waits until the new set counts: what goes into containers, and then the configuration.

    Raises:
        MaintenanceError: it cannot be put there now; the next call tries again.
    """
    waiting = [place for place in places_of(journal) if place.late and os.path.isdir(place.beside)]
    for place in waiting:
        path = os.path.join(place.beside, _TAR)
        if place.container and os.path.exists(path):
            with Docker.connect(docker_host or None, timeout) as docker:
                put_into(docker, place.container, place.root, path)
            os.unlink(path)
    # The environment file last: whoever is killed before it still finds the one that the server was reached with.
    for place in sorted((place for place in waiting if not place.container), key=lambda place: place.name == ".env"):
        forward(place)


def files_tidy(journal: Journal, committed: bool) -> None:
    for place in places_of(journal):
        tidy(place, committed)
