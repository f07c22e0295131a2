# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes into a backup beside the database: files of the host, and of containers' own layers.

It composes the backup with Docker, and so stands above both.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote

from .._backup.making import measure_parts
from .._backup.planning import Included
from .._backup.tarball import RESERVED, begins_with_file
from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._docker.client import Docker, EngineError

COPY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class IncludedEntry:
    """One entry of include.

    Attributes:
        configured_by: the variable by which the application is told of this place; "" where nobody has said so.
    """

    name: str
    path: str
    container: str
    optional: bool
    configured_by: str = ""

    @property
    def source(self) -> str:
        return "%s:%s" % (self.container, self.path) if self.container else self.path


def read_entries(include: Sequence[Mapping[str, Any]]) -> List[IncludedEntry]:
    """The entries of include, checked. Raises MaintenanceError: a name is unusable or given twice."""
    entries: List[IncludedEntry] = []
    for raw in include:
        entry = IncludedEntry(
            str(raw["name"]),
            str(raw["path"]),
            str(raw.get("container") or ""),
            bool(raw.get("optional")),
            str(raw.get("configured_by") or ""),
        )
        taken = entry.name in RESERVED or entry.name in [other.name for other in entries]
        if taken or entry.name in ("", ".", "..") or "/" in entry.name or "\0" in entry.name:
            raise MaintenanceError(
                "this name in include is taken or not usable",
                target=repr(entry.name),
                next_step="Give each entry a plain name of its own.",
            )
        if not os.path.isabs(entry.path):
            raise MaintenanceError(
                "a path in include is not absolute", target=entry.path, next_step="Write it from the root on."
            )
        entries.append(entry)
    return entries


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


class Sources:
    """Looks at the entries of include, and opens them.

    Args:
        docker_host, docker_timeout: the engine, asked only when an entry lies in a container; seconds.
    """

    def __init__(self, entries: Sequence[IncludedEntry], docker_host: Optional[str], docker_timeout: int) -> None:
        self.entries = list(entries)
        self._host = docker_host
        self._timeout = docker_timeout
        self._docker: Optional[Docker] = None

    def close(self) -> None:
        if self._docker is not None:
            self._docker.close()

    def refuse_recursion(self, directory: str) -> None:
        """A directory that holds the backups must not go into the backup."""
        dest = os.path.realpath(directory)
        for entry in self.entries:
            if not entry.container and (dest + os.sep).startswith(os.path.realpath(entry.path) + os.sep):
                raise MaintenanceError(
                    "the directory of the backups lies inside a directory that is to be backed up",
                    target="%s in %s" % (dest, entry.path),
                    next_step="Set dest to a directory outside it, or name narrower directories in include.",
                )

    def look_at(self, entry: IncludedEntry, sizes: bool) -> Included:
        """What an entry is at the moment; with `sizes` also how large."""
        if entry.container:
            return self._look_into(entry, sizes)
        problem, size, files, missing = "", 0, 0, False
        try:
            status = os.stat(entry.path)
            if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
                problem = "neither a file nor a directory"
            elif not os.access(entry.path, os.R_OK | (os.X_OK if stat.S_ISDIR(status.st_mode) else 0)):
                problem = "not readable"
            elif sizes:
                size, files = measure_parts(entry.path)
        except OSError as error:
            problem = (error.strerror or str(error)).lower()
            missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        # What is there and cannot be read is an error also where it might be missing.
        return Included(entry.name, entry.source, size, files, entry.optional and missing, problem)

    def open_tar(self, entry: IncludedEntry) -> Callable[[], Any]:
        """A function that begins to copy an entry out of its container and gives the tar's chunks."""

        def chunks() -> Iterator[bytes]:
            docker = self._engine()
            with docker.errors("cannot copy out of the container", entry.source):
                stream, _status = self._archive(docker, entry)
                while True:
                    data = next(stream, None)
                    if data is None:
                        return
                    yield data

        return chunks

    def any_file(self, entry: IncludedEntry) -> bool:
        """Whether the backup of an entry would hold at least one file; reads no further than to the first."""
        if entry.container:
            docker = self._engine()
            with docker.errors("cannot look into the container", entry.source):
                chunks, _status = self._archive(docker, entry)
                try:
                    return begins_with_file(chunks)
                finally:
                    chunks.close()
        if os.path.isfile(entry.path):
            return True
        return any(
            _is_file(os.path.join(directory, name))
            for directory, _directories, names in os.walk(entry.path)
            for name in names
        )

    def holds(self, entry: IncludedEntry, name: str) -> bool:
        """Whether the backup of an entry would hold a file.

        Args:
            name: relative to the directory. What lies behind a link is not in the backup, which saves the bare link.
        """
        if entry.container:
            path = entry.path.rstrip("/") + "/" + name
            docker = self._engine()
            try:
                with docker.errors("cannot look into the container", entry.source):
                    chunks, status = docker.api.get_archive(entry.container, path, chunk_size=COPY_BYTES)
                    chunks.close()
            except EngineError as error:
                if error.status != 404:
                    raise
                return False
            return not status.get("linkTarget")
        path = entry.path
        *directories, last = name.split("/")
        for part in directories:
            path = os.path.join(path, part)
            if os.path.islink(path):
                return False
        return _is_file(os.path.join(path, last))

    def _archive(self, docker: Docker, entry: IncludedEntry) -> Tuple[Any, Mapping[str, Any]]:
        """What the engine sends of an entry. Of a link it sends the bare link: then what it leads to is asked for.

        The engine follows a link to its end inside the container's own files
        (https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container/operation/ContainerArchiveInfo).
        """
        stream, status = docker.api.get_archive(entry.container, entry.path, chunk_size=COPY_BYTES)
        target = str(status.get("linkTarget") or "")
        if target:
            stream.close()
            stream, status = docker.api.get_archive(entry.container, target, chunk_size=COPY_BYTES)
        return stream, status

    def _engine(self) -> Docker:
        if self._docker is None:
            self._docker = Docker.connect(self._host, self._timeout)
        return self._docker

    def _look_into(self, entry: IncludedEntry, sizes: bool) -> Included:
        """An entry inside a container. An engine that does not answer is an error, never a reason to leave it out."""
        docker, problem, size = self._engine(), "", 0
        try:
            # The size that the engine knows is that of everything the container has written: more than this directory.
            found = docker.get("/containers/%s/json" % quote(entry.container, safe=""), size=1 if sizes else 0)
            size = int(found.get("SizeRw") or 0)
            with docker.errors("cannot look into the container", entry.source):
                chunks, _status = self._archive(docker, entry)
                chunks.close()
        except EngineError as error:
            if error.status != 404:
                raise
            problem = error.words or "not found"
        return Included(entry.name, entry.source, size, 0, entry.optional, problem)
