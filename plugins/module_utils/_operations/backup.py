# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One verified, atomic backup: the steps of mongo_backup. It composes the backup with MongoDB and Docker."""

from __future__ import annotations

import os
import stat
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from .._backup import making, planning
from .._backup.catalogue import (
    Backup,
    archive_of,
    backup_name,
    describe_backup,
    directory_lock,
    is_leftover,
    look_at,
    read_catalogue,
)
from .._backup.compress import Prefetch, compression_engine
from .._backup.encryption import read_passphrase
from .._backup.manifest import (
    OPLOG,
    TOOL,
    CollectionRecord,
    FoundCollection,
    Manifest,
    OplogRecord,
    lost_without_bypass,
    restore_command,
)
from .._backup.planning import (
    BackupObservation,
    BackupWork,
    DumpConsistency,
    MakeBackup,
    ReleaseLock,
    RemoveLeftover,
    reusable,
)
from .._core.atomic_file import partial_name
from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError, SkipAction, from_os_error
from .._core.late_dataclass import dataclass
from .._core.lease import boot_id
from .._core.leftovers import LockLeft, PathLeft, ProcessId
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from .._core.units import format_size, parse_duration, parse_size
from .._mongo import dump, fsync_lock, oplog
from .._mongo.archive import ArchiveReader
from .._mongo.client import Connection, connect
from .._mongo.document_check import DocumentCheck, UnreadableDocument
from .backup_completeness import compare_with_database
from .backup_sources import Sources, read_entries
from .restore_recovery import refuse_half_way

MAX_NOTES = 20
_LOCK_VERDICTS = Tuple[Tuple[str, ...], Tuple[str, ...], str]


@dataclass(frozen=True)
class NamedArchive:
    """The archive that was made. Its name may differ from the planned one, by the second in which it was begun."""

    path: str


def _checked_tags(tags: Sequence[str]) -> Tuple[str, ...]:
    wrong = [tag for tag in tags if not tag.strip() or "," in tag]
    if wrong:
        raise MaintenanceError(
            "this is no tag", target=repr(wrong[0]), next_step="A tag is a word without commas, such as pre-update."
        )
    return tuple(sorted({tag.strip() for tag in tags}))


class MongoBackup(Task[BackupObservation]):
    """One backup, or none when a fresh one is there."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        params = self.params
        self.policy = planning.BackupPolicy(
            params["dest"],
            parse_duration(params["fresh_within"]),
            params["fresh_within"],
            parse_size(params["min_free"]),
            bool(params["passphrase_file"]),
            params["consistency"],
            params["check"],
            _checked_tags(params["tags"]),
        )
        self.lock_seconds = parse_duration(params["lock_timeout"])
        self._sources = Sources(read_entries(params["include"]), params["docker_host"], params["docker_timeout"])
        self._connected: Optional[Connection] = None

    @property
    def _connection(self) -> Connection:
        """The connection that observe() opened."""
        if self._connected is None:
            raise ValueError("not observed yet")
        return self._connected

    def _passphrase(self) -> Optional[bytes]:
        path = self.params["passphrase_file"]
        return read_passphrase(path) if path else None

    # --- observe -------------------------------------------------------------------------------------------------

    def observe(self) -> BackupObservation:
        dest = self.policy.dest
        self._passphrase()  # a file that cannot be read is better known before anything is done
        parent = dest if os.path.lexists(dest) else os.path.dirname(os.path.abspath(dest))
        if not os.path.isdir(parent):
            raise MaintenanceError(
                "there is no directory for the backup",
                target=dest,
                code="ENOTDIR",
                next_step="Make it, or set dest to a directory that exists.",
            )
        self._sources.refuse_recursion(dest)
        self._connected = connection = connect(self.params)
        database = connection.require_database(self.params["database"])
        if database in dump.SYSTEM_DATABASES:
            raise MaintenanceError(
                "this is one of the server's own databases",
                target=database,
                next_step="Set database to the shop's database.",
            )
        refuse_half_way(self.run.leftovers.found(), connection.address.where, database)
        consistency = dump.choose_consistency(self.params["consistency"], connection.server)
        if consistency.mode == "oplog":
            oplog.require_readable(connection)
        left, gone, unknown = self._locks_left_behind(connection)
        included, unknown_lacks = [], []
        for entry in self._sources.entries:
            seen = self._sources.look_at(entry, False)
            seen, why = compare_with_database(self._sources, connection, database, entry, seen)
            included.append(seen)
            unknown_lacks += [why] if why else []
        observation = BackupObservation(
            database,
            connection.address.where,
            read_catalogue(dest, missing_ok=True),
            utc_now(),
            DumpConsistency(consistency.mode, consistency.note, consistency.fallback),
            included=tuple(included),
            locks_left=left,
            locks_gone=gone,
            unknown_lock=unknown,
            unknown_lacks=tuple(unknown_lacks),
        )
        wanted = planning.wanted_components(observation.included)
        address, lacking = observation.address, observation.lacking
        if reusable(observation.catalogue, database, address, wanted, lacking, self.policy, observation.at)[0]:
            return observation
        # Only a new backup needs to know how much there is.
        sources = dump.list_sources(connection, database)
        status = os.statvfs(parent)
        # The statistics may be forbidden, or wrong since a crash: whether there is anything at all is looked at.
        documents = 0
        if _any_document(connection, database, sources):
            documents = max(sum(source.documents for source in sources), 1)
        return replace(
            observation,
            collections=len([source for source in sources if source.type != "view"]),
            documents=documents,
            bytes_documents=sum(source.bytes for source in sources),
            included=tuple(
                replace(self._sources.look_at(entry, True), lacking=seen.lacking)
                for entry, seen in zip(self._sources.entries, included)
            ),
            free=status.f_bavail * status.f_frsize,
        )

    def _locks_left_behind(self, connection: Connection) -> _LOCK_VERDICTS:
        """Notes of killed runs about a lock on this server: what still stands, what is gone, and what nobody knows."""
        boot = boot_id()
        left: List[str] = []
        gone: List[str] = []
        unknown = ""
        for note in self.run.leftovers.found():
            about_this = isinstance(note.left, LockLeft) and note.left.address == connection.address.where
            if not about_this or not note.is_abandoned(boot):
                continue
            verdict = fsync_lock.judge_lock(connection, note, boot)
            if verdict == fsync_lock.LEFT:
                left.append(note.id)
            elif verdict == fsync_lock.GONE:
                gone.append(note.id)
            elif verdict == fsync_lock.UNKNOWN:
                unknown = fsync_lock.UNKNOWN_TEXT % connection.address.where
        return tuple(left), tuple(gone), unknown

    # --- plan ----------------------------------------------------------------------------------------------------

    def plan(self, observation: BackupObservation, now: datetime) -> Plan[BackupWork]:
        return planning.plan_backup(observation, self.policy, now)

    # --- act -----------------------------------------------------------------------------------------------------

    def _release_lock(self, action: Action[ReleaseLock], observation: BackupObservation) -> Outcome:
        released = fsync_lock.unlock(self._connection)
        for note in action.work.notes:
            self.run.leftovers.done(note)
        if not released:
            raise SkipAction("the server is not locked any more")
        return Outcome(note="one lock released")

    def _remove_leftover(self, action: Action[RemoveLeftover], observation: BackupObservation) -> Outcome:
        path = action.work.path
        with self._alone():
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                raise SkipAction("it is gone already") from None
            if action.work.record:
                if os.path.lexists(archive_of(path)):
                    raise SkipAction("its archive is there now")
            elif not is_leftover(path) or not stat.S_ISREG(status.st_mode):
                raise SkipAction("it is no longer the leftover it was")
            try:
                os.unlink(path)
            except OSError as error:
                raise from_os_error("cannot remove the leftover", error, target=path) from error
        for note in self.run.leftovers.found():
            if isinstance(note.left, PathLeft) and note.left.path == path:
                self.run.leftovers.done(note.id)
        return Outcome(status.st_size)

    def _back_up(self, action: Action[MakeBackup], observation: BackupObservation) -> Outcome:
        work = action.work
        with self._alone():
            # Another call may have made the wanted backup while this one waited for its turn.
            found = read_catalogue(self.policy.dest)
            other, _why = reusable(
                found, work.database, observation.address, work.wanted, work.lacking, self.policy, utc_now()
            )
            if other is not None:
                raise SkipAction("a verified backup has been made meanwhile: %s" % other.name)
            warnings: List[str] = []
            try:
                made, path = self._make_steadily(work, warnings)
            except MaintenanceError as error:
                if not warnings:
                    raise
                return Outcome(failure=error, warnings=tuple(warnings))
        notes = made.manifest.notes
        warnings += notes[:MAX_NOTES]
        if len(notes) > MAX_NOTES:
            warnings.append("%d more notes stand in the manifest of the backup." % (len(notes) - MAX_NOTES))
        text = "%d documents in %d collections" % (made.manifest.documents, len(made.manifest.collections))
        return Outcome(made.verification.size, text, NamedArchive(path), tuple(warnings))

    handlers = {ReleaseLock: _release_lock, RemoveLeftover: _remove_leftover, MakeBackup: _back_up}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The directory, made if need be, with nobody else writing backups to it or removing them."""
        dest = self.policy.dest
        if not os.path.isdir(dest):
            try:
                os.mkdir(dest, 0o700)
            except OSError as error:
                raise from_os_error("cannot make the directory for the backup", error, target=dest) from error
        with directory_lock(dest) as free:
            if not free:
                raise MaintenanceError(
                    "another backup is being written to this directory, or old ones are being removed from it",
                    target=dest,
                    next_step="Wait until it has ended and run again.",
                )
            yield

    def _make_steadily(self, work: MakeBackup, warnings: List[str]) -> Tuple[making.WrittenArchive, str]:
        """Make the archive, from the beginning once more where the database did not keep still; also gives its path.

        Args:
            warnings: gets why it was begun anew.
        """
        consistency, last_attempt = work.consistency, False
        while True:
            try:
                return self._make(work, consistency)
            except dump.CollectionsMoved as error:
                if last_attempt:
                    raise
                last_attempt = True
                code = " (code %s)" % error.code if error.code else ""
                warnings.append("%s: %s%s. The dump was begun anew." % (error.target, error.what, code))
            except dump.SnapshotExpired as error:
                if not consistency.fallback:
                    raise
                warnings.append("%s Starting again without a snapshot." % error)
                note = "the server gave the snapshot up: collections were read one after the other while the application went on writing"
                consistency = DumpConsistency("none", note)

    def _make(self, work: MakeBackup, consistency: DumpConsistency) -> Tuple[making.WrittenArchive, str]:
        """Make the archive; also gives its path."""
        connection = self._connection
        started, path = utc_now(), work.path
        while os.path.lexists(path):
            # Two in one second; the name holds no more.
            time.sleep(0.2)
            path = os.path.join(self.policy.dest, backup_name(utc_now(), self.policy.encrypted))
        manifest = Manifest(
            os.path.basename(path),
            format_utc(started),
            work.database,
            address=connection.address.where,
            server_version=connection.server.version,
            topology=connection.server.topology,
            consistency=consistency.mode,
            consistency_note=consistency.note,
            compression="%s (%s)" % (self.params["compression"], compression_engine()),
            tool=TOOL,
            lacking=dict(work.lacking),
        )
        parts = []
        for entry in self._sources.entries:
            seen = self._sources.look_at(entry, False)
            if seen.problem and entry.optional:
                manifest.missing.append({"name": entry.name, "source": entry.source, "reason": seen.problem})
            else:
                open_tar = self._sources.open_tar(entry) if entry.container else None
                parts.append(making.ArchivePart(entry.name, entry.source, open_tar))
        job = making.ArchiveJob(
            path,
            manifest,
            lambda write: self._write_dump(write, consistency, manifest),
            self._read_dump,
            parts,
            self.params["compression"],
            self.policy.min_free,
            self._passphrase(),
            self.policy.check,
            self.policy.tags,
        )
        partial = partial_name(path)
        # For the run that takes a dead one over; on its own the next backup clears it away.
        note = self.run.leftovers.register(PathLeft(partial)) if self.run.run_id else ""
        try:
            return making.make(job), path
        finally:
            if note and not os.path.lexists(partial):
                self.run.leftovers.done(note)

    def _write_dump(
        self, write: Callable[[bytes], Any], consistency: DumpConsistency, manifest: Manifest
    ) -> Sequence[CollectionRecord]:
        connection, database = self._connection, manifest.database
        how = dump.Consistency(consistency.mode, consistency.note, consistency.fallback)
        with self._checking() as check, self._locked(connection, consistency.mode == "locked") as check_alive:
            # Listed again: under the lock, and as close to the reading as can be.
            sources = dump.list_sources(connection, database)
            writing = dump.Writing(write, check_alive, check)
            writer, result = dump.dump_database(connection, database, sources, writing, how, TOOL)
        manifest.notes += result.notes
        if result.window is not None:
            entries = writer.totals[oplog.OPLOG_HEAD]
            manifest.oplog = OplogRecord(
                oplog.timestamp_text(result.window.moment),
                oplog.timestamp_text(result.window.end),
                entries.documents,
                entries.bytes,
                entries.sha256,
            )
        records = []
        for source in sources:
            data = source.data if source.type != "view" else source.name
            totals = writer.totals[(database, data)]
            # When nobody waits any more: it reads the collection once again.
            invalid = dump.count_invalid(connection, database, source.name, source.validator)
            if invalid is None:
                text = "%s.%s: how many documents do not pass its validator could not be counted"
                manifest.notes.append(text % (database, source.name))
            records.append(
                CollectionRecord(
                    source.name,
                    source.type,
                    data,
                    totals.documents,
                    totals.bytes,
                    totals.sha256,
                    list(source.indexes),
                    invalid or 0,
                )
            )
        if not any(record.documents for record in records):
            raise MaintenanceError(
                "not one document was read",
                target=database,
                next_step="Check the name of the database and this user's rights.",
            )
        return records

    @contextmanager
    def _locked(self, connection: Connection, wanted: bool) -> Iterator[Callable[[], None]]:
        """Keep writers out, if that is wanted; gives a function that raises when the lock has run out."""
        if not wanted:
            yield lambda: None
            return
        notes: List[str] = []

        def register(keeper: ProcessId) -> str:
            left = LockLeft(
                connection.address.where,
                self.params["env_file"] or "",
                self.params["env_from"],
                self.params["docker_host"] or "",
                keeper,
                tls_files=self.params["tls_files"],
            )
            notes.append(self.run.leftovers.register(left))
            return self.run.leftovers.path_of(notes[-1])

        lock = fsync_lock.WriteLock(connection.address, self.lock_seconds, register)

        def release() -> None:
            try:
                lock.release()
            except fsync_lock.KeeperKilled:
                fsync_lock.unlock(connection)
                drop_notes()
                raise
            drop_notes()

        def drop_notes() -> None:
            for note in notes:
                self.run.leftovers.done(note)

        lock.acquire()
        try:
            yield lock.check
        except MaintenanceError as error:
            try:
                release()
            except MaintenanceError as ended:
                if isinstance(error, fsync_lock.LockEnded):
                    raise
                raise MaintenanceError(
                    "%s; %s" % (error.what, ended.what),
                    target=error.target,
                    code=error.code,
                    next_step=ended.next_step,
                    details=error.details,
                ) from error
            raise
        except BaseException:
            release()
            raise
        release()

    @contextmanager
    def _checking(self) -> Iterator[Callable[[bytes, str], Any]]:
        """Gives what has documents parsed while others are read; at its end all of them have been.

        What is read back from the archive is compared with these documents by the archive's checksums.
        """
        if self.policy.check != "documents":
            yield lambda data, where: None
            return
        checker = DocumentCheck()
        try:
            yield checker.check
            checker.finish()
        except UnreadableDocument as error:
            raise MaintenanceError(
                "a document does not parse (%s)" % error,
                target=error.where,
                next_step="Run validate on the collection; check: checksums would accept it.",
            ) from error
        finally:
            checker.close()

    def _read_dump(self, stream: Any) -> Mapping[str, FoundCollection]:
        # Unpacked by a thread of its own, beside the one that compares.
        with closing(Prefetch(stream, 2)) as ahead:
            # The archive's own checksums were made with the SHA-256 that the manifest has, of the same bytes in one go.
            reader = ArchiveReader(ahead, "the backup", hashed=False)
            totals = reader.read_all()
        views = {entry.collection for entry in reader.prelude.collections if entry.type == "view"}
        return {
            OPLOG if head == oplog.OPLOG_HEAD else head[1]: FoundCollection(found.documents, found.bytes, found.sha256)
            for head, found in totals.items()
            if head == oplog.OPLOG_HEAD or head[1] not in views
        }

    # --- verify, report ------------------------------------------------------------------------------------------

    def verify(
        self, observation: BackupObservation, plan: Plan[BackupWork], results: Results[BackupWork, BackupObservation]
    ) -> Verification[BackupObservation]:
        made = next(iter(results.details(NamedArchive)), None)
        if made is None:
            return Verification()
        after = replace(observation, at=utc_now(), catalogue=read_catalogue(self.policy.dest))
        backup = look_at(made.path)
        failure = None
        if backup is None or not backup.verified:
            failure = MaintenanceError(
                "the backup is not where it was put, or has changed since",
                target=made.path,
                next_step="Does something else tidy up there?",
            )
        return Verification(after, failure)

    def report(
        self, observation: BackupObservation, plan: Plan[BackupWork], results: Results[BackupWork, BackupObservation]
    ) -> Report:
        seen = results.after or observation
        wanted = [made.path for made in results.details(NamedArchive)] or [kept.target for kept in plan.kept]
        backup = next((found for found in seen.catalogue.backups if found.path in wanted), None)
        if backup is not None and backup.verified:
            headline, summary = _summary_of(backup, seen, reused=bool(plan.kept), would=results.check)
        else:
            headline, summary = _summary_without(observation, plan, results.check)
        summary["reused"] = bool(plan.kept)
        summary["missing"] = [entry.name for entry in observation.included if entry.problem]
        lacking = dict(observation.lacking)
        if lacking:
            # The table shows the headline, and no warnings.
            headline += "; WARNING: " + "; ".join("%s: %s" % pair for pair in sorted(lacking.items()))
        summary["lacking"] = lacking
        values: Dict[str, Any] = {}
        warnings = []
        if backup is not None:
            values = {"backup": describe_backup(backup, seen.at), "path": backup.path}
            if backup.verification is not None and backup.verification.invalid_documents:
                warnings.append(lost_without_bypass(backup.verification.invalid_documents, (), backup.path))
        return Report(headline, changed=bool(results.effective), summary=summary, values=values, warnings=warnings)

    def remember(
        self, observation: BackupObservation, plan: Plan[BackupWork], results: Results[BackupWork, BackupObservation]
    ) -> None:
        # A note that outlives its lock would one day cost somebody else's.
        for note in observation.locks_gone:
            self.run.leftovers.done(note)

    def close(self) -> None:
        if self._connected is not None:
            self._connected.close()
        self._sources.close()


def _any_document(connection: Connection, database: str, sources: Sequence[dump.DumpSource]) -> bool:
    """Whether there is one document; those that seem to have the most are asked first."""
    likely = sorted(sources, key=lambda source: -source.documents)
    return any(source.type != "view" and dump.has_documents(connection, database, source) for source in likely)


def _summary_of(backup: Backup, seen: BackupObservation, *, reused: bool, would: bool) -> Tuple[str, Dict[str, Any]]:
    """Headline and numbers of a backup that was made or is reused."""
    record = backup.verification
    if record is None:
        raise ValueError("not verified")
    age = round(backup.age_seconds(seen.at) / 3600.0, 2)
    numbers: Dict[str, Any] = {
        "path": backup.path,
        "restore_command": restore_command(backup.path),
        "verified": True,
        "bytes": backup.size,
        "bytes_documents": record.bytes_documents,
        "bytes_files": record.bytes_files,
        "documents": record.documents,
        "invalid_documents": record.invalid_documents,
        "collections": record.collections,
        "components": list(record.components),
        "age_hours": age,
        "consistency": record.consistency,
    }
    if reused:
        headline = "%sreused the verified backup %s (%.1f h old, %s)" % (
            "would have " if would else "",
            backup.name,
            age,
            format_size(backup.size),
        )
        return headline, numbers
    headline = "backed up %d documents in %d collections and %s of files to %s (%s), verified, consistency %s" % (
        record.documents,
        record.collections,
        format_size(record.bytes_files),
        backup.name,
        format_size(backup.size),
        record.consistency,
    )
    return headline, numbers


def _summary_without(observation: BackupObservation, plan: Plan[BackupWork], check: bool) -> Tuple[str, Dict[str, Any]]:
    """Headline and numbers where there is none: in check mode, or because it failed."""
    planned = [action for action in plan.actions if isinstance(action.work, MakeBackup)]
    size = sum(action.bytes for action in planned)
    numbers: Dict[str, Any] = {
        "path": planned[0].target if planned else "",
        "verified": False,
        "bytes": size if check else 0,
        "bytes_documents": observation.bytes_documents,
        "bytes_files": sum(entry.bytes for entry in observation.included),
        "documents": observation.documents,
        "invalid_documents": 0,
        "collections": observation.collections,
        "components": [entry.name for entry in observation.included if not entry.problem],
        "age_hours": None,
        "consistency": observation.consistency.mode,
    }
    if not check:
        return "no backup was made", numbers
    headline = "would back up about %d documents in %d collections and %s of files, about %s, consistency %s" % (
        observation.documents,
        observation.collections,
        format_size(numbers["bytes_files"]),
        format_size(size),
        observation.consistency.mode,
    )
    return headline, numbers
