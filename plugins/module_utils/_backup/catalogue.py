# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in a directory of backups: names, dates, which of them are verified, what killed runs left behind.

A backup is ``YYYYmmdd_HHMMSS.tar.gz`` (the host's local time, as the shop's own script names it), with ``.enc`` when
it is encrypted. That a backup was read back and found whole is recorded beside it, in a hidden file named after it;
hidden, so that nothing that looks for ``20*`` or ``*.tar.gz*`` takes it for a backup. The record holds size and
modification time of the archive and counts only while both are still the same, and no restore of it has failed. Where no
record vouches for a file, its head and its end must be those of an archive.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Dict, FrozenSet, Iterator, List, Mapping, Optional, Tuple

from .._core.atomic_file import PARTIAL_SUFFIX, sync_directory, write_atomic
from .._core.clock import parse_utc
from .._core.errors import from_os_error
from .._core.late_dataclass import dataclass
from .plausibility import CUT_SHORT, problem_of

_NAME = re.compile(r"^(?P<date>[0-9]{8}_[0-9]{6})\.tar\.gz(?P<encrypted>\.enc)?$")
_SIDECAR = re.compile(r"^\.(?P<archive>[0-9]{8}_[0-9]{6}\.tar\.gz(?:\.enc)?)\.verified\.json$")
# The temporary names of an archive and of its record; nothing else is ever taken for a leftover of ours.
_PARTIAL = re.compile(
    r"^\.{1,2}[0-9]{8}_[0-9]{6}\.tar\.gz(?:\.enc)?(?:\.verified\.json)?" + re.escape(PARTIAL_SUFFIX) + "$"
)
DATE_FORMAT = "%Y%m%d_%H%M%S"
ARCHIVE_SUFFIX = ".tar.gz"
ENCRYPTED_SUFFIX = ".enc"
MAX_SIDECAR_BYTES = 1024 * 1024
CLOCK_SKEW_SECONDS = 300
_SECOND = 1_000_000_000  # in nanoseconds


@dataclass(frozen=True)
class VerificationRecord:
    """That an archive was read back whole.

    Attributes:
        size, mtime_ns: of the archive when it was verified, in bytes and nanoseconds.
        sha256: of the archive file.
        started: when its making began, as a UTC timestamp: data younger than this is not in it.
        database: name of the database in it.
        address: which server it came from.
        components: what else is in it.
        bytes_documents: raw size of its documents in bytes.
        restore_tested: when a restore of it last succeeded, as a UTC timestamp; "" if never.
        restore_failed: when the archive was proven not to restore, as a UTC timestamp; "" if it was not. The record then
            counts no more.
        restore_seconds: how long the database took to be restored then, with its indexes; 0 where nobody knows.
        sources: where each component came from, as (name, source); empty in records that do not tell.
        check: how it was checked when it was made: documents or checksums; "" in records that do not tell.
        empty: those of the components that hold no file.
        invalid_documents: how many documents do not pass their collection's validator.
        lacking: what it lacks of the files that its database names, as (name of the part, reason).
        tags: what whoever made it has tagged it with.
    """

    size: int
    mtime_ns: int
    sha256: str
    started: str
    verified: str
    database: str
    address: str = ""
    components: Tuple[str, ...] = ()
    consistency: str = ""
    collections: int = 0
    documents: int = 0
    bytes_documents: int = 0
    bytes_files: int = 0
    restore_tested: str = ""
    restore_failed: str = ""
    sources: Tuple[Tuple[str, str], ...] = ()
    check: str = ""
    empty: Tuple[str, ...] = ()
    invalid_documents: int = 0
    lacking: Tuple[Tuple[str, str], ...] = ()
    tags: Tuple[str, ...] = ()
    restore_seconds: float = 0.0

    @property
    def last_verified(self) -> str:
        """When it was last proven to be whole, by reading it back or by restoring it, as a UTC timestamp."""
        return max(self.verified, self.restore_tested)

    def fits(self, status: os.stat_result) -> bool:
        """Whether a file has size and time of the archive that this is about; a copy may keep whole seconds only."""
        if self.size != status.st_size:
            return False
        seconds, rest = divmod(status.st_mtime_ns, _SECOND)
        return self.mtime_ns == status.st_mtime_ns or (not rest and self.mtime_ns // _SECOND == seconds)

    def to_json(self) -> bytes:
        values: Dict[str, Any] = dict(
            self.__dict__,
            components=list(self.components),
            empty=list(self.empty),
            tags=list(self.tags),
            sources=dict(self.sources),
            lacking=dict(self.lacking),
            last_verified=self.last_verified,
            format=1,
        )
        values[_SEAL] = _seal(values)
        return (json.dumps(values, sort_keys=True, indent=1) + "\n").encode()


_SEAL = "sha256_of_record"


def _seal(values: Mapping[str, Any]) -> str:
    """SHA-256 of what a record says. Pure."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def parse_verification(data: bytes) -> Optional[VerificationRecord]:
    """The record in data; None when it is none, for whatever reason: then the archive counts as not verified.

    One that was written before records had a checksum of their own is taken as it is.
    """
    try:
        values = json.loads(data)
        if values.pop(_SEAL, None) not in (None, _seal(values)):
            return None  # a flipped bit is enough to make a word of a failed restore test another one
        texts: Dict[str, Any] = {
            key: str(values.get(key, ""))
            for key in ("database", "address", "consistency", "restore_tested", "restore_failed", "check")
        }
        numbers: Dict[str, Any] = {
            key: int(values.get(key, 0))
            for key in ("collections", "documents", "bytes_documents", "bytes_files", "invalid_documents")
        }
        return VerificationRecord(
            int(values["size"]),
            int(values["mtime_ns"]),
            str(values["sha256"]),
            started=_checked_time(values["started"]),
            verified=_checked_time(values["verified"]),
            components=tuple(str(item) for item in values.get("components", [])),
            empty=tuple(str(item) for item in values.get("empty", [])),
            tags=tuple(str(item) for item in values.get("tags", [])),
            sources=_pairs(values.get("sources", {})),
            lacking=_pairs(values.get("lacking", {})),
            restore_seconds=float(values.get("restore_seconds", 0)),
            **texts,
            **numbers,  # type: ignore[arg-type]
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _pairs(values: Mapping[str, Any]) -> Tuple[Tuple[str, str], ...]:
    return tuple(sorted((str(key), str(value)) for key, value in values.items()))


def _checked_time(text: str) -> str:
    parse_utc(text)
    return text


@dataclass(frozen=True)
class ArchiveId:
    """One file as it was seen, told from any other that has its path since. size in bytes."""

    path: str
    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Backup:
    """One archive.

    Attributes:
        date: the local time in its name.
        inode, mtime_ns, size: what tells it from another file under its path; size in bytes.
        verification: how it was verified, None when it was not, has changed since, or was proven not to restore.
        stale: a record stands beside it, but the archive has changed since.
        record: what stands beside it, whether or not it counts.
        problem: why it can be no backup in spite of its name; "" when nothing speaks against it.
        bare: it is a dump of mongodump alone; its date is that of the file.
    """

    name: str
    path: str
    date: datetime
    size: int
    mtime_ns: int
    inode: int
    encrypted: bool = False
    verification: Optional[VerificationRecord] = None
    stale: bool = False
    record: Optional[VerificationRecord] = None
    problem: str = ""
    bare: bool = False

    @property
    def id(self) -> ArchiveId:
        return ArchiveId(self.path, self.inode, self.size, self.mtime_ns)

    @property
    def verified(self) -> bool:
        return self.verification is not None

    @property
    def parts(self) -> FrozenSet[str]:
        """What is known to be in it beside the database: nothing of one that is not verified."""
        record = self.verification
        return frozenset() if record is None else frozenset(record.components) - {*record.empty, *dict(record.lacking)}

    @property
    def tags(self) -> FrozenSet[str]:
        """What it was tagged with when it was made, as long as it is that archive."""
        return frozenset(self.record.tags) if self.record is not None and not self.stale else frozenset()

    @property
    def restore_failed(self) -> str:
        """When it was proven not to restore, as a UTC timestamp; "" if it was not, or has changed since."""
        return self.record.restore_failed if self.record is not None and not self.stale else ""

    @property
    def database(self) -> str:
        """The database that it is of by its record, also by one that does not count any more; "" if nobody knows."""
        known = self.verification or self.record
        return known.database if known is not None else ""

    def age_seconds(self, now: datetime) -> float:
        """Age of its data: from the record where there is one, else by its name, read as the host's local time."""
        if self.verification is not None:
            return (now - parse_utc(self.verification.started)).total_seconds()
        return (now - self.date.astimezone()).total_seconds()


@dataclass
class Catalogue:
    """What a directory holds. Lists are in the order of their dates, oldest first.

    Attributes:
        partials: leftovers of killed runs, as (path, bytes).
        orphan_sidecars: records whose archive is gone, as paths.
        foreign: how many other entries there are; they are never touched.
        others: backups that are known to be of another database, see `of`.
    """

    path: str
    backups: List[Backup] = field(default_factory=list)
    partials: List[Tuple[str, int]] = field(default_factory=list)
    orphan_sidecars: List[str] = field(default_factory=list)
    foreign: int = 0
    others: List[Backup] = field(default_factory=list)

    def of(self, database: Optional[str]) -> Catalogue:
        """The same, with what is known to be of another database set apart in `others`.

        Two shops may share a directory: a backup of the one proves nothing for the other and takes no turn in its rotation. Of
        backups without a record (the shop's own script leaves none) nobody knows; they are taken for this database's.

        Args:
            database: None or "" sets nothing apart.
        """
        apart = [backup for backup in self.backups if database and backup.database not in ("", database)]
        return replace(self, backups=[backup for backup in self.backups if backup not in apart], others=apart)

    @property
    def implausible(self) -> List[Backup]:
        """The files that have the name of a backup and cannot be one."""
        return [backup for backup in self.backups if backup.problem]

    def newest(self, now: datetime) -> Optional[Backup]:
        """The newest backup, verified or not, that is not dated in the future and can be one."""
        past = [
            backup for backup in self.backups if not backup.problem and backup.age_seconds(now) >= -CLOCK_SKEW_SECONDS
        ]
        return past[-1] if past else None

    def newest_verified(self, now: Optional[datetime] = None) -> Optional[Backup]:
        """The newest verified backup; with `now` those dated in the future are left out.

        Made while the clock was wrong, such a one would count as fresh for years.
        """
        verified = [
            backup
            for backup in self.backups
            if backup.verification is not None and (now is None or backup.age_seconds(now) >= -CLOCK_SKEW_SECONDS)
        ]
        return max(verified, key=_when, default=None)

    def newest_restored(self, now: datetime) -> Optional[Backup]:
        """The newest backup of which a restore has succeeded: what is known to bring the shop back."""
        proven = [
            backup
            for backup in self.backups
            if backup.verification is not None
            and backup.verification.restore_tested
            and backup.age_seconds(now) >= -CLOCK_SKEW_SECONDS
        ]
        return max(proven, key=_when, default=None)


def _when(backup: Backup) -> Tuple[str, str]:
    return (backup.verification.started if backup.verification else "", backup.name)


def sidecar_path(archive: str) -> str:
    """Where the record of an archive stands."""
    directory, name = os.path.split(archive)
    return os.path.join(directory, "." + name + ".verified.json")


def archive_of(sidecar: str) -> str:
    """The archive that a record is about: the inverse of `sidecar_path`.

    Raises:
        ValueError: it has not the name of a record.
    """
    directory, name = os.path.split(sidecar)
    match = _SIDECAR.match(name)
    if match is None:
        raise ValueError(name)
    return os.path.join(directory, match.group("archive"))


def parse_name(name: str) -> Optional[Tuple[datetime, bool]]:
    """Local time and whether encrypted, of a backup's name; None for any other name, an impossible date included."""
    match = _NAME.match(name)
    if match is None:
        return None
    try:
        return datetime.strptime(match.group("date"), DATE_FORMAT), bool(match.group("encrypted"))
    except ValueError:
        return None


def read_sidecar(archive: str) -> Optional[VerificationRecord]:
    """The record of an archive as it stands, whether or not it still fits; None when there is none."""
    try:
        descriptor = os.open(sidecar_path(archive), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a directory could not even be opened as a file below
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as handle:
        return parse_verification(handle.read(MAX_SIDECAR_BYTES))


def write_sidecar(archive: str, verification: VerificationRecord) -> None:
    write_atomic(sidecar_path(archive), verification.to_json(), 0o600)
    sync_directory(os.path.dirname(archive))


def look_at(path: str) -> Optional[Backup]:
    """The backup at path; None when it is none (name, not a regular file, gone)."""
    parsed = parse_name(os.path.basename(path))
    if parsed is None:
        return None
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    record = read_sidecar(path)
    fits = record is not None and record.fits(status)
    return Backup(
        os.path.basename(path),
        path,
        parsed[0],
        status.st_size,
        status.st_mtime_ns,
        status.st_ino,
        parsed[1],
        record if fits and record is not None and not record.restore_failed else None,
        record is not None and not fits,
        record,
        "" if fits else _problem_of(path, parsed[1], status.st_size, record),
    )


def _problem_of(path: str, encrypted: bool, size: int, record: Optional[VerificationRecord]) -> str:
    problem = problem_of(path, encrypted)
    # What is smaller than the archive of the record may be another one that is whole. That an encrypted one is whole, its end
    # does not show.
    if record is not None and size < record.size and (problem == CUT_SHORT or (encrypted and not problem)):
        return "cut short: %d bytes instead of %d" % (size, record.size)
    return problem


def read_catalogue(path: str, missing_ok: bool = False) -> Catalogue:
    """What the directory at path holds. Reads names, sizes and records, and of an archive without one its head and end.

    Raises:
        MaintenanceError: there is no such directory, or it cannot be read.
    """
    found = Catalogue(path)
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        absent = error.errno == errno.ENOENT
        if absent and missing_ok:
            return found
        raise from_os_error(
            "there is no directory of backups" if absent else "cannot read the directory of backups",
            error,
            target=path,
            missing="Check the path, or make a first backup with mongo_backup.",
        ) from error
    for name in names:
        full = os.path.join(path, name)
        backup = look_at(full)
        sidecar = _SIDECAR.match(name)
        if backup is not None:
            found.backups.append(backup)
        elif _PARTIAL.match(name):
            try:
                status = os.lstat(full)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                found.partials.append((full, status.st_size))
        elif sidecar:
            if not os.path.lexists(os.path.join(path, sidecar.group("archive"))):
                found.orphan_sidecars.append(full)
        else:
            found.foreign += 1
    found.backups.sort(key=lambda entry: (entry.date, entry.name))
    return found


def is_leftover(name: str) -> bool:
    """Whether a name is that of a temporary file of a backup being made."""
    return bool(_PARTIAL.match(os.path.basename(name)))


def backup_name(moment: datetime, encrypted: bool = False) -> str:
    """The name of a backup begun at a moment, in the host's local time."""
    return moment.astimezone().strftime(DATE_FORMAT) + ARCHIVE_SUFFIX + (ENCRYPTED_SUFFIX if encrypted else "")


@contextmanager
def directory_lock(path: str) -> Iterator[bool]:
    """Keep other backups and removals out of a directory; gives False when another process has it.

    The lock is the kernel's and dies with the process. Where the file system knows no locks of directories (NFS), it gives
    True: the run's lease then is what keeps two apart.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        except OSError:
            free = True
        yield free
    finally:
        os.close(descriptor)


def describe_backup(backup: Backup, now: datetime) -> Dict[str, Any]:
    """A backup as modules return it."""
    entry: Dict[str, Any] = {
        "name": backup.name,
        "path": backup.path,
        "date": backup.date.strftime("%Y-%m-%dT%H:%M:%S"),
        "bytes": backup.size,
        "age_hours": round(backup.age_seconds(now) / 3600.0, 1),
        "encrypted": backup.encrypted,
        "verified": backup.verified,
        "changed_since_verified": backup.stale,
        "restore_failed": backup.restore_failed,
        "problem": backup.problem,
    }
    known = backup.verification or (backup.record if backup.restore_failed else None)
    record: Mapping[str, Any] = known.__dict__ if known else {}
    for key in ("database", "consistency", "documents", "invalid_documents", "collections", "restore_tested"):
        entry[key] = record.get(key)
    entry["restore_seconds"] = record.get("restore_seconds") or None
    entry["last_verified"] = known.last_verified if known else ""
    entry["components"] = list(record.get("components", ()))
    entry["lacking"] = dict(record.get("lacking", ()))
    entry["tags"] = sorted(backup.tags)
    return entry
