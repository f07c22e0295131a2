# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes one backup file: written under a temporary name, read back whole, recorded as verified, then named.

What the database is and how it is read is the caller's: it gives one function that writes the dump and one that reads
it back.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import closing, contextmanager, suppress
from dataclasses import field, replace
from datetime import datetime
from typing import Any, BinaryIO, Callable, Iterator, List, Mapping, Optional, Sequence, Tuple

from .._core.atomic_file import atomic_writer
from .._core.clock import format_utc, parse_utc, utc_now
from .._core.errors import NO_ROOM, InsufficientSpace, MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .._core.units import format_size
from .catalogue import ARCHIVE_SUFFIX, ENCRYPTED_SUFFIX, VerificationRecord, sidecar_path, write_sidecar
from .compress import GzipWriter, HashedReader, Prefetch, compressor
from .encryption import Openssl
from .manifest import CollectionRecord, FoundCollection, Manifest, differences
from .tarball import DUMP_NAME, BackupWriter, read_backup

_SPACE_CHECK_BYTES = 1024 * 1024
_COPY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ArchivePart:
    """A directory or file to put into the backup: a path of the host, or chunks of a tar stream.

    Attributes:
        source: where it comes from, for the manifest.
        open_tar: gives the tar's bytes; None reads `source` as a path.
    """

    name: str
    source: str
    open_tar: Optional[Callable[[], Any]] = None


@dataclass
class ArchiveJob:
    """One backup to make.

    Attributes:
        path: the archive's final name.
        manifest: filled in as far as known before; counts are added here.
        write_dump: writes the uncompressed dump through the function it is given; returns what it wrote.
        read_dump: reads an uncompressed dump to its end; returns what it found, by the name under which documents stand.
        min_free: bytes that stay free on the destination's file system.
        passphrase: encrypts; None does not.
        check: how thoroughly read_dump checks, for the record.
        tags: for the record.
    """

    path: str
    manifest: Manifest
    write_dump: Callable[[Callable[[bytes], Any]], Sequence[CollectionRecord]]
    read_dump: Callable[[Any], Mapping[str, FoundCollection]]
    parts: Sequence[ArchivePart] = ()
    compression: str = "fast"
    min_free: int = 0
    passphrase: Optional[bytes] = field(default=None, repr=False)
    check: str = ""
    tags: Sequence[str] = ()


@dataclass(frozen=True)
class WrittenArchive:
    """An archive that was written and verified: its record and its manifest."""

    verification: VerificationRecord
    manifest: Manifest


def make(job: ArchiveJob) -> WrittenArchive:
    """Make the backup; nothing remains of it when anything fails.

    Raises:
        MaintenanceError: reading or writing failed, the disk is full, or what was read back is not what was written.
    """
    directory = os.path.dirname(job.path)
    if os.path.lexists(job.path):
        raise MaintenanceError(
            "a backup of this name exists already", target=job.path, code="EEXIST", next_step="Run again."
        )
    with _destination_errors(directory), _no_orphan(job.path):
        if job.passphrase is None:
            with atomic_writer(job.path) as handle:
                _write(job, handle)
                verification = _publish(job, handle)
        else:
            # A file without a name: the unencrypted text is gone with the process, however that ends.
            with tempfile.TemporaryFile(dir=directory, buffering=0) as plain:
                _write(job, plain)  # type: ignore[arg-type]
                sha256 = _read_back(job, plain)  # type: ignore[arg-type]
                with atomic_writer(job.path) as handle:
                    _encrypt(job, plain, handle)  # type: ignore[arg-type]
                    verification = _publish(job, handle, sha256)
    return WrittenArchive(verification, job.manifest)


@contextmanager
def _no_orphan(path: str) -> Iterator[None]:
    """No record stays of an archive that did not get its name."""
    try:
        yield
    except BaseException:
        if not os.path.lexists(path):
            with suppress(OSError):
                os.unlink(sidecar_path(path))
        raise


@contextmanager
def _destination_errors(directory: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise from_os_error(
                "the file system of the destination is full",
                error,
                target=directory,
                next_step="The unfinished backup was removed, nothing else touched. Free some space there or set dest (backup_dest) to another file system.",
            ) from error
        raise from_os_error(
            "cannot write the backup (%s)" % (error.strerror or error), error, target=directory
        ) from error


class _Guarded:
    """A file's write(), watching that enough stays free for the others who live on that file system."""

    def __init__(self, handle: BinaryIO, directory: str, min_free: int) -> None:
        self._handle = handle
        self._directory = directory
        self._min_free = min_free
        self._unchecked = 0

    def write(self, data: bytes) -> None:
        self._unchecked += len(data)
        if self._min_free and self._unchecked >= _SPACE_CHECK_BYTES:
            status = os.statvfs(self._directory)
            free = status.f_bavail * status.f_frsize
            if free - self._unchecked < self._min_free:
                raise InsufficientSpace(
                    "only %s are left on the file system of the destination, less than min_free (%s)"
                    % (format_size(free), format_size(self._min_free)),
                    target=self._directory,
                    next_step="The unfinished backup was removed. Free some space there or set dest (backup_dest) to another file system.",
                )
            self._unchecked = 0
        view = memoryview(data)
        while len(view):  # an unbuffered file may write less than it was given
            view = view[self._handle.write(view) :]


def _write(job: ArchiveJob, handle: BinaryIO) -> None:
    name = os.path.basename(job.path)
    for suffix in (ENCRYPTED_SUFFIX, ARCHIVE_SUFFIX):
        if name.endswith(suffix):
            name = name[: -len(suffix)]
    directory = os.path.dirname(job.path)
    manifest = job.manifest
    mtime = int(parse_utc(manifest.started).timestamp())
    guarded = _Guarded(handle, directory, job.min_free)
    writer = BackupWriter(guarded.write, handle, name, mtime, job.compression)
    try:
        with writer.stream(DUMP_NAME) as write:
            packer = GzipWriter(write, compressor(job.compression))
            try:
                manifest.collections = list(job.write_dump(packer.write))
                packer.flush()
            finally:
                packer.close()
        for part in job.parts:
            if part.open_tar is None:
                component = writer.add_path(part.name, part.source)
            else:
                component = writer.add_tar(part.name, part.open_tar(), part.source)
            manifest.components.append(component.record())
        manifest.notes += writer.notes
        manifest.finished = format_utc(utc_now())
        writer.add_manifest(manifest)
        writer.close()
    finally:
        writer.release()
    handle.flush()
    os.fsync(handle.fileno())


def _read_back(job: ArchiveJob, handle: BinaryIO) -> str:
    """Read the archive as it stands in the file and compare it with the manifest; returns its SHA-256."""
    name = os.path.basename(job.path)
    handle.seek(0)
    # From the disk, as far as the kernel lets us: what its cache holds is what was written, not what was stored.
    with suppress(OSError):
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    hashing = HashedReader(handle)
    with closing(Prefetch(hashing)) as ahead:
        found = read_backup(ahead, name, job.read_dump)
        while ahead.read():
            pass
    if found.manifest is None or not found.has_dump:
        raise _not_as_written(name, ["the manifest or the dump is missing"])
    problems = differences(found.manifest, found.dump, found.found_components())
    if found.manifest.to_json() != job.manifest.to_json():
        problems.append("the manifest has other content than was written")
    if problems:
        raise _not_as_written(name, problems)
    return hashing.digest.hexdigest()


def _not_as_written(name: str, problems: List[str]) -> MaintenanceError:
    return MaintenanceError(
        "the backup is not what was written: " + "; ".join(problems[:5]),
        target=name,
        next_step="It was removed. Check memory and disks of this host.",
        details={"differences": problems},
    )


def _publish(job: ArchiveJob, handle: BinaryIO, plain_sha256: str = "") -> VerificationRecord:
    """Verify the file under its temporary name and record that; the caller gives it its name."""
    handle.flush()
    os.fsync(handle.fileno())
    # The very file that was written, whatever stands under its temporary name by now.
    with open("/proc/self/fd/%d" % handle.fileno(), "rb", 0) as reading:
        sha256 = _check_encrypted(job, reading, plain_sha256) if plain_sha256 else _read_back(job, reading)  # type: ignore[arg-type]
    status = os.fstat(handle.fileno())
    manifest = job.manifest
    verification = VerificationRecord(
        status.st_size,
        status.st_mtime_ns,
        sha256,
        manifest.started,
        format_utc(utc_now()),
        manifest.database,
        manifest.address,
        tuple(component.name for component in manifest.components),
        manifest.consistency,
        len([entry for entry in manifest.collections if entry.type != "view"]),
        manifest.documents,
        manifest.bytes_documents,
        manifest.bytes_files,
        sources=tuple((component.name, component.source) for component in manifest.components),
        check=job.check,
        empty=tuple(component.name for component in manifest.components if not component.files),
        invalid_documents=manifest.invalid_documents,
        lacking=tuple(sorted(manifest.lacking.items())),
        tags=tuple(job.tags),
    )
    # Before the archive gets its name: an archive under its final name is always a verified one.
    write_sidecar(job.path, verification)
    return verification


def _encrypt(job: ArchiveJob, plain: BinaryIO, handle: BinaryIO) -> None:
    guarded = _Guarded(handle, os.path.dirname(job.path), job.min_free)
    os.lseek(plain.fileno(), 0, os.SEEK_SET)
    with closing(Openssl(plain, job.passphrase or b"", False, os.path.basename(job.path))) as cipher:
        while True:
            data = cipher.read(_COPY_BYTES)
            if not data:
                return
            guarded.write(data)


def _check_encrypted(job: ArchiveJob, reading: BinaryIO, plain_sha256: str) -> str:
    """That decrypting the file gives the archive that was checked; returns the file's own SHA-256."""
    own = hashlib.sha256()
    while True:
        data = reading.read(_COPY_BYTES)
        if not data:
            break
        own.update(data)
    os.lseek(reading.fileno(), 0, os.SEEK_SET)
    name = os.path.basename(job.path)
    with closing(Openssl(reading, job.passphrase or b"", True, name)) as cipher:
        hashing = HashedReader(cipher)
        while hashing.read():
            pass
    if hashing.digest.hexdigest() != plain_sha256:
        raise _not_as_written(name, ["decrypting it does not give what was encrypted"])
    return own.hexdigest()


def mark_restore_failed(path: str, verification: VerificationRecord, moment: datetime) -> VerificationRecord:
    """Record that an archive was proven not to restore: from then on it does not count as verified."""
    failed = replace(verification, restore_failed=format_utc(moment), restore_tested="")
    write_sidecar(path, failed)
    return failed


def mark_restore_tested(path: str, verification: VerificationRecord, moment: datetime) -> VerificationRecord:
    """Record that a restore of an archive succeeded."""
    tested = replace(verification, restore_tested=format_utc(moment), restore_failed="")
    write_sidecar(path, tested)
    return tested


def measure_parts(path: str) -> Tuple[int, int]:
    """Bytes and number of the regular files at and below a path; what cannot be read counts as nothing here."""
    total, files = 0, 0
    if not os.path.isdir(path):
        return os.stat(path).st_size, 1
    for directory, _directories, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_size
                files += 1
            except OSError:
                continue
    return total, files
