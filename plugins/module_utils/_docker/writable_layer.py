# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies in the writable layer of a container: what it is, and taking it from one container to the next.

A recreated container begins with an empty layer. What is data there is copied into a file, read back from it, put into the new
container before that has ever run, and compared there with what was copied.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import posixpath
import tarfile
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from .._core.atomic_file import atomic_writer
from .._core.errors import MaintenanceError, from_os_error
from .._core.forward_tar import content_of, has_end, open_forward
from .._core.late_dataclass import dataclass
from .client import Docker

DELETED = 2
_WRITE = "cannot write what is copied out of the container"
CHUNK = 1024 * 1024
# States of a container whose layer may be gone in part.
REMOVED = ("removing", "dead")
# What programs leave behind as they run, and make anew: nothing that anybody misses.
DISCARDED = (
    *("/tmp", "/run", "/var/run", "/var/tmp", "/var/cache", "/var/lock", "/var/lib/apt", "/dev"),  # noqa: S108
    *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/.dockerenv"),
    *("/root/.npm", "/root/.cache", "/root/.config", "/home/*/.npm", "/home/*/.cache", "/home/*/.config"),
    *("*/__pycache__", "*/node_modules/.cache"),
)


@dataclass(frozen=True)
class LayerContent:
    """What a container's writable layer holds.

    Attributes:
        data: of the paths that count as data those under which something lies there.
        unknown: paths of which nobody said whether they are data.
    """

    data: Tuple[str, ...] = ()
    unknown: Tuple[str, ...] = ()


def below(path: str, directory: str) -> bool:
    """Whether a path is a directory of a container or lies in it."""
    directory = directory.rstrip("/")
    return path == directory or path.startswith(directory + "/")


def _matches(path: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, pattern.rstrip("/") + "/*")


def sort_changes(
    changes: Iterable[Mapping[str, Any]],
    mounted: Sequence[str],
    data: Sequence[str],
    discard: Sequence[str] = (),
) -> LayerContent:
    """Tell data in a layer from what may go, from what the engine says has changed against the image.

    Args:
        changes: the engine's answer to /containers/ID/changes.
        mounted: paths at which something is mounted: what lies there is not in the layer.
        data: paths that are data.
        discard: patterns of paths that are none, beside DISCARDED.
    """
    present = sorted(str(change["Path"]) for change in changes or () if change.get("Kind") != DELETED)
    parents = {posixpath.dirname(path) for path in present}
    found: List[str] = []
    unknown: List[str] = []
    for path in present:
        own = next((place for place in data if below(path, place)), "")
        if any(below(path, place) for place in mounted):
            continue
        if own:
            if own not in found:
                found.append(own)
        # A directory is told for what is in it, and for what is mounted in it.
        elif path in parents or any(below(place, path) for place in (*mounted, *data)):
            continue
        elif not any(_matches(path, pattern) for pattern in (*DISCARDED, *discard)):
            unknown.append(path)
    return LayerContent(tuple(found), tuple(unknown))


@dataclass(frozen=True)
class ArchivedEntry:
    """One entry of a tar archive as it is compared; the digest is that of a file's content."""

    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    link: str
    sha256: str


class _Stream:
    """Chunks of bytes as a file that is read, and written into another file on the way."""

    def __init__(self, chunks: Iterator[bytes], sink: Optional[Any] = None) -> None:
        self._chunks = chunks
        self._sink = sink
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            if self._sink is not None:
                try:
                    self._sink.write(chunk)
                except OSError as error:
                    raise from_os_error(_WRITE, error, target=str(self._sink.name)) from error
            self._rest += chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def drain(self) -> None:
        while self.read(CHUNK):
            pass


def list_archive(stream: Any) -> Dict[str, ArchivedEntry]:
    """The entries of a tar archive by name, each file read and hashed.

    Raises:
        tarfile.TarError, EOFError: it is damaged or cut short.
    """
    found: Dict[str, ArchivedEntry] = {}
    with open_forward(stream) as archive:
        for member in archive:
            archive.members = []  # else tarfile keeps every entry in memory
            digest = ""
            if member.isreg():
                handle, hashed, size = content_of(archive, member), hashlib.sha256(), 0
                while True:
                    data = handle.read(CHUNK)
                    if not data:
                        break
                    size += len(data)
                    hashed.update(data)
                if size != member.size:
                    raise EOFError("%s ends too early" % member.name)
                digest = hashed.hexdigest()
            entry = ArchivedEntry(
                member.type,
                # The engine also sends the bits of the type there, and tar programs do not.
                member.mode & 0o7777,
                member.uid,
                member.gid,
                member.size if member.isreg() else 0,
                member.linkname if member.issym() or member.islnk() else "",
                digest,
            )
            if member.islnk() and member.linkname in found:
                # Which of two names of a file is told as the link is chance.
                entry = found[member.linkname]
            found[member.name.rstrip("/")] = entry
        # Cut off between two entries it is still a row of whole ones.
        if not has_end(archive):
            raise EOFError("it has no end")
    return found


def unlike_entries(wanted: Mapping[str, ArchivedEntry], there: Mapping[str, ArchivedEntry]) -> List[str]:
    """Names of entries that are missing, or other than they were. What is there beside them came with the image."""
    return sorted(name for name, entry in wanted.items() if there.get(name) != entry)


def read_saved(path: str) -> Dict[str, ArchivedEntry]:
    """The entries of a saved archive, read from the disk. Raises MaintenanceError: it cannot be read, or is damaged."""
    try:
        with open(path, "rb") as handle:
            return list_archive(handle)
    except OSError as error:
        raise from_os_error("cannot read what was copied out of the container", error, target=path) from error
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise MaintenanceError(
            "what was copied out of the container is damaged: %s" % error, target=path, next_step="Check the disk."
        ) from error


def _chunks(docker: Docker, container: str, path: str) -> Iterator[bytes]:
    stream, _status = docker.api.get_archive(container, path, chunk_size=CHUNK)
    yield from stream


def _refuse_removed(docker: Docker, container: str) -> None:
    """Raises MaintenanceError: the container is being removed, and what was read of it may be half of what there was."""
    state = str((docker.get("/containers/%s/json" % container).get("State") or {}).get("Status") or "")
    if state in REMOVED:
        raise MaintenanceError(
            "the container is being removed while its data are copied out",
            target=container[:12],
            next_step="Run the same again when it is gone.",
        )


def copy_out(docker: Docker, container: str, path: str, target: str) -> int:
    """Copy a path out of a container into a tar file, and prove that the file holds it; returns the bytes of the file.

    Raises:
        MaintenanceError: it could not be copied, or what lies on the disk is not what the engine sent.
    """
    try:
        with atomic_writer(target) as sink, docker.errors(
            "cannot copy out of the container", "%s:%s" % (container, path)
        ):
            stream = _Stream(_chunks(docker, container, path), sink)
            sent = list_archive(stream)
            stream.drain()
            # Within: a copy that is whole must not give way to one of a layer that is being removed.
            _refuse_removed(docker, container)
    except OSError as error:
        raise from_os_error(_WRITE, error, target=target) from error
    except (tarfile.TarError, EOFError) as error:
        raise MaintenanceError(
            "what the engine sent of the container is not whole: %s" % error, target="%s:%s" % (container, path)
        ) from error
    if read_saved(target) != sent:
        raise MaintenanceError(
            "what was copied out of the container is not what lies on the disk",
            target=target,
            next_step="Check the disk.",
        )
    return os.stat(target).st_size


def put_into(docker: Docker, container: str, path: str, source: str) -> int:
    """Put a saved path into a container and compare; returns how many entries there are.

    Raises:
        MaintenanceError: it could not be put there, or is not there as it was saved.
    """
    target = "%s:%s" % (container, path)
    wanted = read_saved(source)
    with docker.errors("cannot put data into the container", target), open(source, "rb") as handle:
        docker.api.put_archive(container, posixpath.dirname(path.rstrip("/")) or "/", handle)
    try:
        with docker.errors("cannot read what was put into the container", target):
            there = list_archive(_Stream(_chunks(docker, container, path)))
    except (tarfile.TarError, EOFError) as error:
        raise MaintenanceError(
            "what the engine sent of the container is not whole: %s" % error, target=target
        ) from error
    missing = unlike_entries(wanted, there)
    if missing:
        raise MaintenanceError(
            "%d of %d entries are not in the container as they were saved, such as %s"
            % (len(missing), len(wanted), missing[0]),
            target=target,
        )
    return len(wanted)
