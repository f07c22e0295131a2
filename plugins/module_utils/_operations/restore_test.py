# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proving that a backup restores: the steps of mongo_restore. It composes the backup with MongoDB and Docker."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._backup import making
from .._backup.bare_dump import look_at_source, read_backup_or_dump
from .._backup.catalogue import Backup, VerificationRecord, look_at, write_sidecar
from .._backup.compress import DamagedBackup, Prefetch
from .._backup.encryption import read_passphrase
from .._backup.manifest import TOOL, FoundCollection, Manifest, differences, lost_without_bypass
from .._backup.restore_planning import (
    ClearLeftover,
    RestoreObservation,
    RestoreTest,
    RestoreWork,
    ServerOrigin,
    plan_restore_test,
)
from .._backup.tarball import ReadBack
from .._backup.unpacking import Unpacker
from .._core.arguments import ArgumentSpec
from .._core.call import Call
from .._core.clock import format_utc, parse_utc, utc_now
from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.late_dataclass import dataclass
from .._core.lease import boot_id
from .._core.leftovers import ContainerLeft, PathLeft, ProcessLeft
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.runner import Task
from .._core.units import format_duration, format_size, parse_size
from .._mongo import assertions, restore, throwaway
from .._mongo.address import resolve
from .._mongo.archive import ArchiveError, ArchiveReader
from .._mongo.client import Connection
from . import leftovers
from .backup_completeness import lacking_of_archive
from .backup_reading import OpenedBackup, find_backup, open_backup, oplog_of
from .throwaway_server import PURPOSE, ContainerServer, Origins

# What restores a backup into a throwaway server takes.
RESTORE_TEST_ARGUMENTS = ArgumentSpec(
    {
        "assertions": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str"},
                "that": {"type": "str"},
                "collection": {"type": "str"},
                "filter": {"type": "dict", "default": {}},
                "min": {"type": "int", "default": 1},
                "max": {"type": "int"},
                "severity": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
            },
            "required_one_of": [("that", "collection")],
            "mutually_exclusive": [("that", "collection")],
        },
        "samples": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "collection": {"type": "str", "required": True},
                "pipeline": {"type": "list", "elements": "dict", "default": []},
            },
        },
        # The path of a file is no secret; what is in it never leaves this process.
        "passphrase_file": {"type": "path", "no_log": False},
        "mongod_program": {"type": "path"},
        "work_dir": {"type": "path"},
        "min_free": {"type": "str", "default": "256MiB"},
    },
    required_one_of=[("uri", "env_file", "mongod_program")],
)

PREFIX = "restore-test-"
# What speaks against the archive; everything else may be the surroundings.
PROOFS = (ArchiveError, restore.RefusedBackup)


@dataclass(frozen=True)
class TestOutcome:
    """What a restore test has shown.

    Attributes:
        differences: what is not as the backup says, a sentence each.
        documents, collections, indexes, bytes, files: what was restored and compared; bytes of raw documents.
        manifest: whether the backup has one of ours to compare with.
        invalid_documents: how many of the documents do not pass their collection's validator.
        invalid_in: the collections that they are in.
        lacking: what it lacks of the files that its database names, as (name of the part, reason).
        warned: assertions that do not hold and only warn, a sentence each.
        database: the shop's in it; "" where nobody knows.
        oplog_entries: how many were read and compared with the manifest, and not replayed.
        seconds_start, seconds_restore, seconds_compare: how long the throwaway server took to start, the database to be
            restored with its indexes, and everything to be compared.
    """

    differences: Tuple[str, ...]
    server_version: str = ""
    documents: int = 0
    collections: int = 0
    indexes: int = 0
    bytes: int = 0
    files: int = 0
    manifest: bool = False
    backup_version: str = ""
    invalid_documents: int = 0
    invalid_in: Tuple[str, ...] = ()
    lacking: Tuple[Tuple[str, str], ...] = ()
    warned: Tuple[str, ...] = ()
    seconds_start: float = 0.0
    seconds_restore: float = 0.0
    seconds_compare: float = 0.0
    database: str = ""
    oplog_entries: int = 0


@dataclass(frozen=True)
class ServerPlace:
    """Where a throwaway server works.

    Attributes:
        reached: the same directory by a path that is short enough for a socket.
        token: in the names of all that belongs to this test.
    """

    directory: str
    reached: str
    token: str


class MongoRestore(Task[RestoreObservation]):
    """Restore into a throwaway server and compare."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.work_dir = str(self.params["work_dir"] or self.run.state_dir)
        self.min_free = parse_size(self.params["min_free"])
        self.assertions, self.samples = assertions.prepare(self.params["assertions"], self.params["samples"])
        self._origins = Origins(self.params)

    def _passphrase(self) -> Optional[bytes]:
        path = self.params["passphrase_file"]
        return read_passphrase(path) if path else None

    # --- observe -------------------------------------------------------------------------------------------------

    def observe(self) -> RestoreObservation:
        self._passphrase()  # a file that cannot be read is better known before anything is done
        now = utc_now()
        backup, passed_over = find_backup(self.params["src"], now, self.call.check)
        origin = self._origins.find(self.params["mongod_program"])
        existing = os.path.abspath(self.work_dir)
        while not os.path.isdir(existing):
            existing = os.path.dirname(existing)
        status = os.statvfs(existing)
        boot = boot_id()
        notes = [
            note for note in self.run.leftovers.found() if note.left.purpose == PURPOSE and note.is_abandoned(boot)
        ]
        return RestoreObservation(
            self.params["src"],
            backup,
            origin,
            status.f_bavail * status.f_frsize,
            now,
            tuple(leftovers.in_order(notes)),
            self._database(),
            passed_over,
        )

    def _database(self) -> str:
        """The database that the connection string names; it is asked for only to tell one of several."""
        try:
            return resolve(self.params).database
        except MaintenanceError:
            return ""

    # --- plan ----------------------------------------------------------------------------------------------------

    def plan(self, observation: RestoreObservation, now: datetime) -> Plan[RestoreWork]:
        return plan_restore_test(observation, self.work_dir, self.min_free, bool(self.params["passphrase_file"]))

    # --- act -----------------------------------------------------------------------------------------------------

    def _clear_leftover(self, action: Action[ClearLeftover], observation: RestoreObservation) -> Outcome:
        [note] = [note for note in observation.leftovers if note.id == action.work.id]
        try:
            leftovers.clear(note, self.run.state_dir, self.params["docker_timeout"])
        except leftovers.NothingLeft:
            self.run.leftovers.done(note.id)
            raise SkipAction("it is gone already") from None
        self.run.leftovers.done(note.id)
        return Outcome()

    def _test(self, action: Action[RestoreTest], observation: RestoreObservation) -> Outcome:
        backup = look_at_source(action.work.path)
        if backup is None:
            raise MaintenanceError(
                "the backup is gone",
                target=action.target,
                next_step="Something removes backups: look for the shop's own jobs.",
            )
        try:
            tested, warnings = self._restore_and_compare(backup, action.work.origin, observation.database)
        except MaintenanceError as error:
            if not _is_proof(error, backup):
                raise
            return Outcome(detail=TestOutcome((str(error),)), failure=error, warnings=record_failure(backup))
        if tested.differences:
            failure = MaintenanceError(
                "the backup does not restore as it was: %s%s"
                % ("; ".join(tested.differences[:5]), " ..." if len(tested.differences) > 5 else ""),
                target=backup.path,
                next_step="Do not rely on it: make a new backup, and test that.",
            )
            return Outcome(detail=tested, failure=failure, warnings=record_failure(backup))
        return Outcome(tested.bytes, "%d documents identical" % tested.documents, tested, warnings)

    handlers = {ClearLeftover: _clear_leftover, RestoreTest: _test}

    def _restore_and_compare(
        self, backup: Backup, origin: ServerOrigin, database: str
    ) -> Tuple[TestOutcome, Tuple[str, ...]]:
        """Restore into a server of this moment; also gives what could not be recorded of it."""
        token = secrets.token_hex(6)
        directory = os.path.join(os.path.abspath(self.work_dir), PREFIX + token)
        # The path of a socket is short; a long directory is reached through a link in the directory for temporary files.
        reached = directory
        if not throwaway.socket_fits(directory):
            reached = os.path.join(tempfile.gettempdir(), "miniecom-" + PREFIX + token)
        register = self.run.leftovers.register
        notes = [register(PathLeft(path, PURPOSE)) for path in dict.fromkeys([directory, reached])]
        server: Any = None
        try:
            try:
                os.makedirs(self.work_dir, mode=0o700, exist_ok=True)
                os.mkdir(directory, 0o700)
                if reached != directory:
                    os.symlink(directory, reached)
            except OSError as error:
                raise from_os_error("cannot make the work directory", error, target=directory) from error
            server, note = self._server(origin, directory, reached, token)
            notes.append(note)
            begun = time.monotonic()
            with server.start() as connection:
                place = ServerPlace(directory, reached, token)
                return self._prove(backup, connection, database, time.monotonic() - begun, place)
        finally:
            if server is not None:
                server.stop()
            shutil.rmtree(directory, ignore_errors=True)
            if reached != directory and os.path.islink(reached):
                os.unlink(reached)
            if not os.path.lexists(directory):
                for note in notes:
                    self.run.leftovers.done(note)

    def _prove(
        self, backup: Backup, connection: Connection, named: str, seconds_start: float, place: ServerPlace
    ) -> Tuple[TestOutcome, Tuple[str, ...]]:
        """What is done while the server runs."""
        return self._compare(backup, connection, named, seconds_start)

    def _server(self, origin: ServerOrigin, directory: str, reached: str, token: str) -> Tuple[Any, str]:
        register = self.run.leftovers.register
        if origin.image:
            docker = self._origins.engine()
            name = "miniecom-%s%s" % (PREFIX, token)
            note = register(ContainerLeft(name, docker.docker_host, PURPOSE))
            return ContainerServer(docker, origin, name, reached), note
        note = register(ProcessLeft(directory, purpose=PURPOSE))
        return throwaway.ThrowawayServer(origin.program, reached), note

    def _compare(
        self,
        backup: Backup,
        connection: Connection,
        named: str,
        seconds_start: float,
        sink: Optional[Unpacker] = None,
    ) -> Tuple[TestOutcome, Tuple[str, ...]]:
        """Restore and compare; also gives what could not be restored or recorded.

        Args:
            named: the shop's database by the connection string.
            seconds_start: how long the server took to start.
            sink: takes files of the backup.
        """
        begun = time.monotonic()
        found, notes = self._read(backup, connection, sink)
        restored = time.monotonic()
        reader: Optional[ArchiveReader] = found.dump
        if reader is None:
            return TestOutcome(("there is no database dump in it",), connection.server.version), ()
        compared = restore.compare_restored(connection, reader)
        manifest = found.manifest
        problems = list(compared.differences)
        if manifest is not None:
            collections = {
                name: FoundCollection(item.documents, item.bytes, item.sha256)
                for (_database, name), item in compared.collections.items()
            }
            collections.update(oplog_of(reader))
            problems += differences(manifest, collections, found.found_components())
            problems += _index_names(manifest, reader)
        elif not backup.bare and (
            reader.prelude.tool_version == TOOL or (backup.record is not None and not _fits(backup))
        ):
            problems.append("the manifest is missing, without which nobody knows what else must be in it")
        database = manifest.database if manifest is not None else _database(reader, named)
        if self.assertions and not database:
            raise MaintenanceError(
                "the backup holds several databases (%s), and nothing says which one the assertions are about"
                % ", ".join(restore.databases(reader)),
                target=backup.path,
                next_step="Give uri or env_file with the shop's database.",
            )
        heads = restore.data_heads(reader)
        files = {name: component.files for name, component in found.components.items()}
        started = parse_utc(manifest.started) if manifest is not None else backup.date.astimezone()
        counts = {
            head.collection: compared.collections[(head.db, head.data_collection)].documents
            for head in heads
            if head.db == database and (head.db, head.data_collection) in compared.collections
        }
        facts = assertions.BackupFacts(started, counts, files)
        failed, warned = assertions.check_assertions(connection, database, self.assertions, self.samples, facts)
        problems += failed
        documents = sum(item.documents for item in compared.collections.values())
        if not documents and not problems:
            problems = ["there is not one document in it"]
        lacking = lacking_of_archive(connection, database, files)
        lacking.update(manifest.lacking if manifest is not None else {})
        tested = TestOutcome(
            tuple(dict.fromkeys(problems)),
            connection.server.version,
            documents,
            len(compared.collections),
            sum(len(restore.metadata_of(head).get("indexes") or []) for head in heads),
            sum(item.bytes for item in compared.collections.values()),
            sum(component.files for component in found.components.values()),
            manifest is not None,
            reader.prelude.server_version,
            sum(compared.invalid.values()),
            tuple(sorted(compared.invalid)),
            tuple(sorted(lacking.items())),
            tuple(warned),
            seconds_start,
            restored - begun,
            time.monotonic() - restored,
            database,
            sum(found.count for found in oplog_of(reader).values()),
        )
        if not problems:
            notes += record_success(backup, manifest, database, found, tested)
        return tested, notes

    def _read(
        self, backup: Backup, connection: Connection, sink: Optional[Unpacker]
    ) -> Tuple[ReadBack, Tuple[str, ...]]:
        """Read the backup to its end, restoring as it comes; also gives what could not be restored here."""
        notes: List[str] = []

        def read_dump(stream: Any) -> ArchiveReader:
            # Unpacked by a thread of its own, while the server inserts.
            with closing(Prefetch(stream, 2)) as ahead:
                reader = ArchiveReader(ahead, backup.name)
                try:
                    notes.extend(restore.restore_archive(connection, reader))
                except DamagedBackup as error:
                    raise error.at("noticed while %s was read" % (reader.reading or "its head")) from error
            return reader

        try:
            with open_backup(backup, self._passphrase()) as stream:
                found = read_backup_or_dump(backup, stream, read_dump, sink)
                _require_recorded_bytes(backup, stream)
                return found, tuple(notes)
        except ChangedArchive:
            raise
        except MaintenanceError as error:
            # What comes out of a decryption is garbage with a wrong passphrase, too; other bytes than were recorded
            # are not.
            known = not backup.encrypted or backup.verification is None or _is_recorded(backup)
            if known or isinstance(error, PROOFS):
                raise
            raise ChangedArchive(error.what, target=error.target, code=error.code, next_step=error.next_step) from error

    # --- report --------------------------------------------------------------------------------------------------

    def report(
        self,
        observation: RestoreObservation,
        plan: Plan[RestoreWork],
        results: Results[RestoreWork, RestoreObservation],
    ) -> Report:
        backup = observation.backup
        tested = next(iter(results.details(TestOutcome)), None)
        summary = _numbers(tested)
        summary["path"] = backup.path if backup is not None else observation.source
        summary["restored"] = tested is not None and not tested.differences
        summary["age_hours"] = round(backup.age_seconds(observation.at) / 3600.0, 2) if backup is not None else None
        name = backup.name if backup is not None else "the backup that this run would make"
        if results.check:
            headline = "would restore %s into a throwaway mongod (%s) and compare" % (name, observation.origin)
        elif tested is None:
            headline = "%s could not be tested: see the error" % name
        elif tested.differences:
            headline = "%s does not restore: %s" % (name, tested.differences[0])
        else:
            headline = "%s restores in %s: %d documents in %d collections with %d indexes (%s) came back identical" % (
                name,
                format_duration(tested.seconds_restore),
                tested.documents,
                tested.collections,
                tested.indexes,
                format_size(tested.bytes),
            )
        warnings = []
        if tested is not None and tested.oplog_entries:
            headline += "; the oplog in it (%d) was read and not replayed" % tested.oplog_entries
        if tested is not None and tested.invalid_documents:
            headline += ", %d of them only with --bypassDocumentValidation" % tested.invalid_documents
            warnings.append(lost_without_bypass(tested.invalid_documents, tested.invalid_in, summary["path"]))
        if tested is not None and tested.lacking:
            text = "; ".join("%s: %s" % pair for pair in tested.lacking)
            headline += "; WARNING: " + text
            warnings.append("a shop restored from %s would be without files: %s" % (name, text))
        if tested is not None and tested.warned:
            headline += "; WARNING: " + "; ".join(tested.warned)
            warnings += ["%s: %s" % (summary["path"], text) for text in tested.warned]
        summary["lacking"] = dict(tested.lacking) if tested is not None else {}
        return Report(
            headline,
            # A restore test leaves everything as it was; only clearing away what a killed one left is a change.
            changed=any(isinstance(action.work, ClearLeftover) for action in results.effective),
            summary=summary,
            values={
                "differences": list(tested.differences) if tested is not None else [],
                "doubts": list(tested.warned) if tested is not None else [],
            },
            warnings=warnings,
        )

    def close(self) -> None:
        self._origins.close()


class ChangedArchive(MaintenanceError):
    """An archive holds other bytes than when it was recorded, though its size and its time are those of then."""


def _require_recorded_bytes(backup: Backup, stream: OpenedBackup) -> None:
    """Not every byte of a file is one of what it holds: of those in the heads of gzip, none is in any of its checksums."""
    if backup.verification is None:
        return
    try:
        changed = stream.sha256() != backup.verification.sha256
    except OSError as error:
        raise from_os_error("cannot read the backup", error, target=backup.path) from error
    if changed:
        raise ChangedArchive(
            "the archive holds other bytes than when it was verified, though all that can be read out of it is whole",
            target=backup.path,
            next_step="Something changes what is stored: check the disk and the memory of this host, and make a new backup.",
        )


_COUNTS = ("documents", "invalid_documents", "collections", "indexes", "bytes", "files", "oplog_entries")
_SECONDS = ("seconds_start", "seconds_restore", "seconds_compare")


def _numbers(tested: Optional[TestOutcome]) -> Dict[str, Any]:
    values: Mapping[str, Any] = (tested or TestOutcome(())).__dict__
    known = ("manifest", "server_version", "backup_version") if tested is not None and tested.backup_version else ()
    numbers = {key: values[key] for key in (*_COUNTS, *known)}
    if tested is not None:
        numbers.update((key, round(values[key], 2)) for key in _SECONDS)
    return dict(numbers, differences=len(values["differences"]))


# --- what was proven is recorded beside the archive ----------------------------------------------------------------------


def _is_proof(error: MaintenanceError, backup: Backup) -> bool:
    """Whether an error speaks against the archive, and not against the surroundings."""
    if isinstance(error, (*PROOFS, ChangedArchive)):
        return True
    return isinstance(error, DamagedBackup) and not backup.encrypted


def record_success(
    backup: Backup, manifest: Optional[Manifest], database: str, found: ReadBack, tested: TestOutcome
) -> Tuple[str, ...]:
    """Note beside the archive that it restores; that this is not possible is a warning only, which is returned."""
    now = utc_now()
    if backup.bare:
        return ()  # nothing looks for a record beside it
    try:
        if backup.record is not None:
            if not _fits(backup):
                return (
                    "%s restores, but it is not the archive that its record was made of: it stays unverified"
                    % backup.path,
                )
            record = replace(
                backup.record,
                mtime_ns=backup.mtime_ns,
                lacking=tested.lacking,
                restore_seconds=round(tested.seconds_restore, 1),
            )
            making.mark_restore_tested(backup.path, record, now)
            return ()
        verification = VerificationRecord(
            backup.size,
            backup.mtime_ns,
            _sha256(backup.path),
            manifest.started if manifest is not None else format_utc(backup.date),
            format_utc(now),
            database,
            manifest.address if manifest is not None else "",
            tuple(sorted(found.components)),
            manifest.consistency if manifest is not None else "",
            tested.collections,
            tested.documents,
            tested.bytes,
            sum(component.bytes for component in found.components.values()),
            format_utc(now),
            sources=tuple((item.name, item.source) for item in manifest.components) if manifest else (),
            empty=tuple(sorted(name for name, component in found.components.items() if not component.files)),
            invalid_documents=tested.invalid_documents,
            lacking=tested.lacking,
            restore_seconds=round(tested.seconds_restore, 1),
        )
        write_sidecar(backup.path, verification)
    except OSError as error:
        return ("cannot record the restore test beside %s: %s" % (backup.path, error.strerror),)
    return ()


def record_failure(backup: Backup) -> Tuple[str, ...]:
    """Take away that the archive counts as verified; that this is not possible is a warning, which is returned."""
    now = look_at(backup.path)
    if now is None or now.id != backup.id:
        return ()  # another archive stands there by now
    if now.record is None or now.stale:
        return ()  # it does not count anyway
    try:
        making.mark_restore_failed(now.path, now.record, utc_now())
    except OSError as error:
        return (
            "cannot record beside %s that it does not restore (%s): it still counts as verified"
            % (now.path, error.strerror),
        )
    return ()


def _fits(backup: Backup) -> bool:
    """Whether the archive is the one that its record was made of."""
    return backup.verification is not None or _is_recorded(backup)


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for data in iter(lambda: handle.read(1024 * 1024), b""):
            digest.update(data)
    return digest.hexdigest()


def _is_recorded(backup: Backup) -> bool:
    """Whether the archive has the size and the bytes that its record tells, whatever its time."""
    record = backup.record
    return record is not None and record.size == backup.size and record.sha256 == _sha256(backup.path)


def _database(reader: ArchiveReader, named: str) -> str:
    """The shop's database among those of an archive without our manifest; "" where nobody can tell."""
    found = restore.databases(reader)
    if named in found:
        return named
    return found[0] if len(found) == 1 else ""


def _index_names(manifest: Manifest, reader: ArchiveReader) -> List[str]:
    """Where the archive's head does not name the indexes that the manifest names."""
    lines = []
    heads = {head.collection: head for head in restore.data_heads(reader)}
    for record in manifest.collections:
        head = heads.get(record.name)
        names = (
            [index.get("name") for index in json.loads(head.metadata).get("indexes") or []] if head is not None else []
        )
        if sorted(map(str, names)) != sorted(record.indexes):
            lines.append(
                "%s.%s: the indexes in the archive are not those of the manifest" % (manifest.database, record.name)
            )
    return lines
