# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of a backup written to new places while it is read.

What an archive says is believed of names and contents only below the place that a part goes to: nothing is written through a
link, upwards, or over what is there, whoever has made the archive.
"""

from __future__ import annotations

import os
import tarfile
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from .._core.errors import MaintenanceError, from_os_error

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY_BYTES = 1024 * 1024
# A program that anybody may run as its owner has no place among uploads.
_FILE_MODES = 0o777
_DIRECTORY_MODES = 0o3777


class Unpacker:
    """Writes the entries of some parts of a backup.

    Args:
        places: where each part goes, by its name; nothing stands there yet, and its directory does.
        owners: give every entry the owner and the group that it had.
    """

    def __init__(self, places: Mapping[str, str], owners: bool) -> None:
        self._places = dict(places)
        self._owners = owners
        # Set when all is written: a directory that may not be written to could not be filled.
        self._directories: List[Tuple[str, str, tarfile.TarInfo]] = []
        self.files: Dict[str, int] = {}

    def wants(self, part: str) -> bool:
        return part in self._places

    def directory(self, part: str, inside: str, info: tarfile.TarInfo) -> None:
        with self._writing(part, inside):
            if inside:
                with self._parent(part, inside) as (parent, name):
                    os.mkdir(name, 0o700, dir_fd=parent)
            else:
                os.mkdir(self._places[part], 0o700)
        self._directories.append((part, inside, info))

    def link(self, part: str, inside: str, info: tarfile.TarInfo) -> None:
        """A symbolic link as it was; nobody follows it here."""
        with self._writing(part, inside), self._parent(part, inside) as (parent, name):
            os.symlink(info.linkname, name, dir_fd=parent)
            if self._owners:
                os.chown(name, info.uid, info.gid, dir_fd=parent, follow_symlinks=False)

    def same(self, part: str, inside: str, first: str) -> None:
        """A second name of a file that was written before."""
        with self._writing(part, inside), self._parent(part, inside) as (parent, name), self._parent(part, first) as (
            other,
            first_name,
        ):
            os.link(first_name, name, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)

    @contextmanager
    def file(self, part: str, inside: str, info: tarfile.TarInfo) -> Iterator[Any]:
        """Gives what to write the content with."""
        with self._writing(part, inside), self._parent(part, inside) as (parent, name):
            descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
            with os.fdopen(descriptor, "wb", 0) as handle:
                yield handle.write
                if self._owners:
                    os.chown(handle.fileno(), info.uid, info.gid)
                os.chmod(handle.fileno(), info.mode & _FILE_MODES)
                os.utime(handle.fileno(), (info.mtime, info.mtime))
                # What takes the place of the shop's own files is on the disk before it does.
                os.fsync(handle.fileno())
        self.files[part] = self.files.get(part, 0) + 1

    def finish(self) -> None:
        """Give directories their modes, owners and times, the innermost first."""
        for part, inside, info in reversed(self._directories):
            with self._writing(part, inside):
                descriptor = self._open(part, inside)
                try:
                    if self._owners:
                        os.chown(descriptor, info.uid, info.gid)
                    os.chmod(descriptor, info.mode & _DIRECTORY_MODES)
                    os.utime(descriptor, (info.mtime, info.mtime))
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        self._directories = []

    def _open(self, part: str, inside: str) -> int:
        descriptor = os.open(self._places[part], _DIRECTORY)
        for name in _names(inside):
            try:
                deeper = os.open(name, _DIRECTORY, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = deeper
        return descriptor

    @contextmanager
    def _parent(self, part: str, inside: str) -> Iterator[Tuple[int, str]]:
        """The open directory of an entry and the entry's name in it, reached through no link."""
        place = self._places[part]
        if not inside:
            # The directory that a part goes to is the host's own, and may be reached through a link.
            descriptor = os.open(os.path.dirname(place), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            name = os.path.basename(place)
        else:
            directory, _slash, name = inside.rpartition("/")
            _names(name)
            descriptor = self._open(part, directory)
        try:
            yield descriptor, name
        finally:
            os.close(descriptor)

    @contextmanager
    def _writing(self, part: str, inside: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # A place may be reached through a descriptor, whose path tells nobody which disk is meant.
            place = os.path.realpath(self._places[part])
            path = os.path.join(place, inside) if inside else place
            raise from_os_error("cannot write what is in the backup", error, target=path) from error


def _names(inside: str) -> List[str]:
    """The names of a path below a part.

    Raises:
        MaintenanceError: it leads elsewhere.
    """
    names = inside.split("/") if inside else []
    if any(name in ("", ".", "..") or "\0" in name for name in names):
        raise MaintenanceError(
            "the archive holds a path that leads out of it",
            target=inside,
            next_step="Nobody's backup has one: do not restore this archive.",
        )
    return names


def unpack_entry(sink: Any, part: str, inside: str, info: tarfile.TarInfo, content: Any, note: Any) -> None:
    """Write a regular file while its content is read once.

    Args:
        sink: an Unpacker, or what is called as one.
        content: has read(n).
        note: called with each piece, too.
    """
    with sink.file(part, inside, info) as write:
        while True:
            data = content.read(_COPY_BYTES)
            if not data:
                return
            note(data)
            view = memoryview(data)
            while view:
                view = view[write(view) :]
