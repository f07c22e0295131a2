# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of hosts' backups on the controller, in a directory for each host. Controller side.

What a host says is not trusted: names are those of backups or nothing, a note must be of the file that lies here, and what the
rules keep is not removed whatever is ordered.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Callable, Dict, Iterator, List, Optional, Set

from ..module_utils._backup.catalogue import parse_name
from ..module_utils._backup.offsite_controller import stored_listing, unkept_copies
from ..module_utils._backup.offsite_copies import OffsiteListing, note_name, noted_archive, parse_note
from ..module_utils._backup.offsite_place import sha256_of
from ..module_utils._backup.retention import Policy
from ..module_utils._core.atomic_file import PARTIAL_SUFFIX, is_partial, partial_name, sync_directory, write_atomic
from ..module_utils._core.errors import InsufficientSpace, MaintenanceError, from_os_error
from ..module_utils._core.units import format_size
from .kept_records import file_name

# Of an archive at a time; in the base64 of its journey and as what Ansible makes of that it is there a few times over.
CHUNK_BYTES = 8 * 1024 * 1024
_MAX_NOTE_BYTES = 1024 * 1024
# The dates in the names are of the host's zone: what it made just now may be of tomorrow here, and counts all the same.
_FARTHEST_ZONE = timedelta(hours=26)

ReadChunk = Callable[[int, int], bytes]


def require_backup_name(name: str) -> str:
    """The name, where it is one that a backup can have, and so no path.

    Raises:
        MaintenanceError: it is not.
    """
    if parse_name(name) is None or os.path.basename(name) != name or name != name.strip():
        raise MaintenanceError("the host speaks of a backup by what is no name of one", target=repr(name))
    return name


class CopyStore:
    """A directory of the controller with one below it for each host.

    Args:
        root: absolute path.
        owner: the host whose copies are meant; "" for reading those of all.
    """

    def __init__(self, root: str, owner: str = "") -> None:
        self.root = root
        self.owner = owner
        self.directory = os.path.join(root, file_name(owner)) if owner else root

    @property
    def exists(self) -> bool:
        return os.path.isdir(self.root)

    def stored(self) -> Dict[str, Dict[str, Any]]:
        """What there is, as the module is told it: for each directory its files, notes and leftovers.

        Raises:
            MaintenanceError: it cannot be read.
        """
        try:
            if self.owner:
                names = [os.path.basename(self.directory)]
            elif self.exists:
                found = {entry.name for entry in os.scandir(self.root) if entry.is_dir(follow_symlinks=False)}
                names = sorted(found - {"lost+found"})  # where a disk is mounted, and nobody but root may look
            else:
                names = []
            return {name: _read_directory(os.path.join(self.root, name)) for name in names}
        except OSError as error:
            raise from_os_error("cannot read the copies on the controller", error, target=self.directory) from error

    def listing(self) -> OffsiteListing:
        """The copies of the one host."""
        return stored_listing(self.stored()).of(self.owner)

    def path_of(self, name: str, owner: str, sha256: str) -> str:
        """Where the copy is that the host has chosen.

        Raises:
            MaintenanceError: there is none.
        """
        for directory, stored in self.stored().items():
            copy = stored_listing({directory: stored}).find(name)
            if copy is not None and (copy.owner, copy.sha256) == (owner, sha256):
                return os.path.join(self.root, directory, name)
        raise MaintenanceError("the copy is not on the controller any more", target=name)

    def make(self, create: bool) -> None:
        """Make the host's directory, and with `create` the one that it is in.

        Raises:
            MaintenanceError: it cannot be made, or the directory is missing and not to be made.
        """
        try:
            if create and not self.exists:
                os.mkdir(self.root, 0o700)
            if not os.path.isdir(self.directory):
                os.mkdir(self.directory, 0o700)
                sync_directory(self.root)
        except OSError as error:
            raise from_os_error("cannot make the directory on the controller", error, target=self.directory) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the host's directory for oneself; where it is not there, there is nothing to hold.

        Raises:
            MaintenanceError: another run holds it.
        """
        if not os.path.isdir(self.directory):
            yield
            return
        try:
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise from_os_error("cannot read the copies on the controller", error, target=self.directory) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise from_os_error(
                    "the copies of this host are in use",
                    error,
                    target=self.directory,
                    next_step="Another run on this controller fetches them. Wait until it has ended.",
                ) from error
            yield
        finally:
            os.close(descriptor)

    def receive(self, name: str, size: int, sha256: str, read: ReadChunk) -> Dict[str, Any]:
        """Fetch an archive, going on where an earlier call was cut off; returns its bytes and SHA-256.

        Nothing has the archive's name until the file on the disk has its SHA-256.

        Args:
            size: of the archive in bytes.
            read: returns what is at an offset, at most so many bytes.

        Raises:
            MaintenanceError: it cannot be fetched or written, another file has its name, or what came is not what was verified.
        """
        path = os.path.join(self.directory, require_backup_name(name))
        broken = {copy.name for copy, _trouble in self.listing().broken}
        if os.path.lexists(path) and name not in broken:
            raise MaintenanceError("a file of this name is here, and nobody has noted it", target=path)
        partial = partial_name(path)
        try:
            descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "r+b") as handle:
                os.fchmod(handle.fileno(), 0o600)
                position = min(os.fstat(handle.fileno()).st_size, size)
                self._require_space(size - position)
                handle.seek(position)
                while position < size:
                    asked = min(CHUNK_BYTES, size - position)
                    data = read(position, asked)
                    if not data or len(data) > asked:
                        raise MaintenanceError(
                            "the archive ended after %s of %s" % (format_size(position), format_size(size)), target=name
                        )
                    handle.write(data)
                    position += len(data)
                handle.truncate(size)
                handle.flush()
                os.fsync(handle.fileno())
            found = sha256_of(partial)
            if found != sha256:
                os.unlink(partial)
                raise MaintenanceError(
                    "what was fetched is not what was verified on the host: it has another SHA-256",
                    target=name,
                    next_step="Fetch again. If it stays so, run a restore test (mongo_restore) on it and check the host's disk.",
                )
            os.rename(partial, path)
            sync_directory(self.directory)
        except OSError as error:
            raise from_os_error("cannot write what is fetched", error, target=partial) from error
        return {"bytes": size, "sha256": found}

    def _require_space(self, size: int) -> None:
        status = os.statvfs(self.directory)
        free = status.f_bavail * status.f_frsize
        if free < size:
            raise InsufficientSpace(
                "the backup has %s to come, and only %s are free" % (format_size(size), format_size(free)),
                target=self.directory,
                next_step="Make room on the controller, or keep fewer copies.",
            )

    def look_at(self, name: str) -> Dict[str, Any]:
        """Bytes and SHA-256 of an archive that lies here without a note.

        Raises:
            MaintenanceError: it cannot be read.
        """
        path = os.path.join(self.directory, require_backup_name(name))
        found = sha256_of(path)
        return {"bytes": self.stored()[os.path.basename(self.directory)]["files"].get(name, 0), "sha256": found}

    def note(self, name: str, text: str, received: Optional[Dict[str, Any]]) -> None:
        """Note a copy that was compared; from now on it counts.

        Args:
            received: bytes and SHA-256 of what lies here.

        Raises:
            MaintenanceError: it is no note, or not of what lies here; or it cannot be written.
        """
        note = parse_note(require_backup_name(name), text.encode())
        found = None if note is None else {"bytes": note.copy.size, "sha256": note.copy.sha256}
        if note is None or received is None or found != received or note.copy.owner != self.owner:
            raise MaintenanceError("the host's note is not of the copy that lies here", target=name)
        path = os.path.join(self.directory, note_name(name))
        try:
            write_atomic(path, note.to_json(), 0o600)
        except OSError as error:
            raise from_os_error("cannot note the copy", error, target=path) from error

    def remove(self, names: List[str], keep: Policy, database: str, now: datetime) -> List[str]:
        """Remove copies, each with its note, as far as the rules do not keep them; returns what was not removed.

        Raises:
            MaintenanceError: one cannot be removed.
        """
        refused = []
        for name in names:
            listing = self.listing().of(self.owner, database)
            copy = listing.find(name)
            # Hosts of one name are a series each; the rules see one at a time.
            listing = listing.of(hosts=(copy.host,) if copy else ())
            newest = max(listing.copies, key=lambda copy: (copy.date, copy.name), default=None)
            if newest is None or name == newest.name or name not in unkept_copies(listing, keep, now + _FARTHEST_ZONE):
                refused.append(name)
                continue
            self._unlink(require_backup_name(name), note_name(name))
        return refused

    def tidy(self, names: List[str]) -> None:
        """Remove what is left of transfers that were cut off.

        Raises:
            MaintenanceError: one cannot be removed.
        """
        for name in names:
            self._unlink(os.path.basename(partial_name(require_backup_name(name))))

    def _unlink(self, *names: str) -> None:
        for name in names:
            path = os.path.join(self.directory, name)
            try:
                os.unlink(path)
                sync_directory(self.directory)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise from_os_error("cannot remove the copy", error, target=path) from error


def _read_directory(path: str) -> Dict[str, Any]:
    """Regular files of a directory; all of it empty where there is none."""
    files: Dict[str, int] = {}
    notes: Dict[str, str] = {}
    leftovers: Dict[str, int] = {}
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except FileNotFoundError:
        entries = []
    for entry in entries:
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            continue
        if is_partial(entry.name):
            archive = entry.name[1 : -len(PARTIAL_SUFFIX)]
            if parse_name(archive):
                leftovers[archive] = status.st_size
            continue
        files[entry.name] = status.st_size
        archive = noted_archive(entry.name)
        if archive and status.st_size <= _MAX_NOTE_BYTES:
            with open(entry.path, encoding="utf-8", errors="surrogateescape") as handle:
                notes[archive] = handle.read()
    backups: Set[str] = {name for name in files if parse_name(name)}
    return {"files": {name: files[name] for name in sorted(backups)}, "notes": notes, "leftovers": leftovers}
