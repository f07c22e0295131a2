#!/usr/bin/python
# -*- coding: utf-8 -*-

# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One verified, atomic backup of database, uploads, invoices and configuration."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_backup
short_description: Make one verified, atomic backup of a MiniEcom shop
version_added: 0.1.0
description:
  - Writes one archive C(YYYYmmdd_HHMMSS.tar.gz) (the host's local time) that holds the database, the directories and files
    named in O(include), and a manifest, in the layout of the shop's own backups. The shop's C(restore.sh), and plain C(tar xzf) followed by
    C(mongorestore --archive --gzip), restore it.
  - The database is read in raw batches and written in mongodump's archive format with all options and indexes; no MongoDB tool is
    needed on the host.
  - The archive is written under a temporary name, read back from its first byte to its last (checksums, counts taken from the bytes
    written, every document parsed), and only then given its name. A run killed at any moment leaves no half backup under a name of a
    backup; what it does leave is removed by the next call.
  - That it was verified is recorded in a hidden file beside the archive, C(.NAME.verified.json). The record counts only while size and modification
    time of the archive are unchanged. M(miniecom.maintenance.backup_info), M(miniecom.maintenance.backup_prune) and O(fresh_within) rely on it.
  - Only one backup at a time is written to a directory.
options:
  database:
    description:
      - Database to back up. By default the one named in the connection string.
      - A database that does not exist or holds no documents is refused, so that a misspelt name never gives a valid, empty backup.
    type: str
  dest:
    description:
      - Directory that the archive is written to. Made with mode 0700 if it is missing and its parent exists.
    type: path
    required: true
  include:
    description: Directories and files to back up beside the database.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name inside the archive. The shop's names are C(uploads), C(invoices), C(labels), C(.env) and C(docker-compose.yml).
        type: str
        required: true
      path:
        description: Directory or file. On the host, or inside O(include[].container) if that is given.
        type: str
        required: true
      container:
        description:
          - Name or id of a container, running or stopped, that O(include[].path) is read from, for data that lies in a container's writable
            layer and on no volume.
        type: str
      optional:
        description:
          - Whether it may be missing. Then its absence is a warning and stands in the manifest. Otherwise the backup fails before anything is
            written. What is there but cannot be read is an error in any case, and so is an engine that does not answer.
        type: bool
        default: false
  fresh_within:
    description:
      - A verified backup of the same database that is younger than this is reused, and nothing is written, if it holds everything in O(include) from
        the same places, was checked as thoroughly as O(check) asks (or restored successfully), is encrypted if O(passphrase_file) is given, and is
        as consistent as O(consistency) asks where that is V(snapshot) or V(locked).
      - V(0) always makes a new one.
    type: str
    default: 20h
  compression:
    description:
      - V(fast) uses the Python package isal if it is installed (several times faster than zlib at the same size) and zlib level 1 otherwise.
      - V(small) uses zlib level 6. V(none) stores without compression, in a file that is still a tar.gz.
    type: str
    choices: [fast, small, none]
    default: fast
  passphrase_file:
    description:
      - Encrypt the archive with the passphrase in the first line of this file on the host. The result is C(YYYYmmdd_HHMMSS.tar.gz.enc),
        as C(openssl enc -aes-256-cbc -pbkdf2) makes it; the program openssl is needed.
      - The unencrypted archive exists only in a file without a name, which vanishes with the process. Twice the space is needed meanwhile.
    type: path
  consistency:
    description:
      - V(auto) reads everything as of one moment (V(snapshot)) on a replica set or sharded cluster of MongoDB 5.0 or newer, and V(none)
        elsewhere. When the server gives the snapshot up because the dump takes longer than its history window, V(auto) starts again with V(none).
      - V(locked) locks the server against writes (fsyncLock) while the database is read, at most for O(lock_timeout). Writers wait; readers do not.
      - V(none) reads collections one after the other while the application goes on writing. Each document is read once, but two documents may
        have the same key of another unique index, when the key moved from one to the other meanwhile; only a restore finds that out, so test one with
        M(miniecom.maintenance.mongo_restore).
      - With any of them a collection that is renamed, dropped or replaced before it was read to its end, or renamed later, fails the backup; one that
        is dropped after it was read, or is new, is a warning.
      - The manifest states which one it was.
    type: str
    choices: [auto, snapshot, locked, none]
    default: auto
  lock_timeout:
    description:
      - How long the server may stay locked with O(consistency=locked). When the time is over it is unlocked, whatever becomes of this
        module, and the backup fails.
    type: str
    default: 2m
  min_free:
    description:
      - How much must stay free on the file system of O(dest), checked before and while the archive is written. MongoDB stops when its own
        file system is full.
    type: str
    default: 256MiB
  check:
    description:
      - How the archive is checked when it is read back. V(documents) decodes every document to its last field. V(checksums) leaves that out and checks
        lengths, counts and checksums.
    type: str
    choices: [documents, checksums]
    default: documents
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.mongo
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
seealso:
  - module: miniecom.maintenance.mongo_restore
  - module: miniecom.maintenance.backup_info
  - module: miniecom.maintenance.backup_prune
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Back up the shop, unless a verified backup of the last 20 hours exists
  miniecom.maintenance.mongo_backup:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
    dest: /opt/miniecom/storage/backups
    include:
      - {name: uploads, path: /opt/miniecom/backend/uploads, optional: true}
      - {name: invoices, path: /opt/miniecom/backend/storage/invoices, optional: true}
      - {name: labels, path: /opt/miniecom/backend/storage/labels, optional: true}
      - {name: .env, path: /opt/miniecom/.env}
      - {name: docker-compose.yml, path: /opt/miniecom/docker-compose.yml}
  register: backup

- name: Back up uploads that lie in the API container's writable layer, too
  miniecom.maintenance.mongo_backup:
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017
    dest: /opt/miniecom/storage/backups
    include:
      - {name: uploads, path: /app/uploads, container: miniecom_api}

- name: Make an encrypted backup now, with writers waiting for at most a minute
  miniecom.maintenance.mongo_backup:
    env_file: /opt/miniecom/.env
    dest: /srv/backups
    fresh_within: "0"
    consistency: locked
    lock_timeout: 1m
    passphrase_file: /root/backup.passphrase

- name: See what a backup would need
  miniecom.maintenance.mongo_backup:
    env_file: /opt/miniecom/.env
    dest: /srv/backups
  check_mode: true
  register: would
"""

RETURN = r"""
plan:
  description: What was planned, in order; the same in check mode and in a real run.
  returned: always
  type: list
  elements: dict
  sample:
    - action: back_up
      target: /srv/backups/20261124_020000.tar.gz
      reason: there is no verified backup yet
      bytes: 41943040
      predicted: true
kept:
  description: The backup that was reused, if one was.
  returned: always
  type: list
  elements: dict
actions:
  description: What was done.
  returned: when not in check mode
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
summary:
  description: The few numbers.
  returned: always
  type: dict
  contains:
    headline: {description: One sentence., type: str}
    path: {description: The archive., type: str}
    reused: {description: Whether an earlier backup was good enough., type: bool}
    verified: {description: Whether the archive was read back and found whole., type: bool}
    bytes: {description: Size of the archive; in check mode the size expected., type: int}
    bytes_documents: {description: Raw size of the documents in it., type: int}
    bytes_files: {description: Size of the files in it., type: int}
    documents: {description: How many documents., type: int}
    collections: {description: How many collections and views., type: int}
    components: {description: What else is in it., type: list, elements: str}
    missing: {description: "Optional entries of O(include) that were not there.", type: list, elements: str}
    age_hours: {description: Age of its data., type: float}
    consistency: {description: "V(snapshot), V(locked) or V(none).", type: str}
    seconds: {description: Duration., type: float}
insufficient_space:
  description: Whether it failed for want of room on the file system of O(dest), so that making room and trying again may help.
  returned: when it did
  type: bool
path:
  description: The archive that was made or reused.
  returned: when there is one
  type: str
backup:
  description: The backup as M(miniecom.maintenance.backup_info) describes it.
  returned: when there is one
  type: dict
"""

import os
import stat
import time
from dataclasses import replace
from datetime import datetime
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ..module_utils._backup import making, planning
from ..module_utils._backup.catalogue import (
    Backup,
    backup_name,
    describe,
    directory_lock,
    is_leftover,
    look_at,
    read_catalogue,
)
from ..module_utils._backup.compress import engine
from ..module_utils._backup.encryption import read_passphrase
from ..module_utils._backup.manifest import TOOL, CollectionRecord, Found, Manifest
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.atomic_file import partial_name
from ..module_utils._core.clock import format_utc, utc_now
from ..module_utils._core.errors import InsufficientSpace, MaintenanceError, SkipAction
from ..module_utils._core.lease import boot_id
from ..module_utils._core.leftovers import LockLeft, PathLeft, ProcessId
from ..module_utils._core.legacy_plan import Action, ActionResult, Outcome, Plan
from ..module_utils._core.legacy_runner import Task, run
from ..module_utils._core.units import format_size, parse_duration, parse_size
from ..module_utils._docker.client import DOCKER_ARGUMENTS
from ..module_utils._mongo import dump, fsync_lock
from ..module_utils._mongo.archive import ArchiveReader
from ..module_utils._mongo.client import MONGO_ARGUMENTS, Connection, connect
from ..module_utils._mongo.document_check import DocumentCheck
from ..module_utils._operations.backup_sources import Sources, read_entries

MAX_NOTES = 20

SPEC = (
    ArgumentSpec(
        {
            "database": {"type": "str"},
            "dest": {"type": "path", "required": True},
            "include": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "path": {"type": "str", "required": True},
                    "container": {"type": "str"},
                    "optional": {"type": "bool", "default": False},
                },
            },
            "fresh_within": {"type": "str", "default": "20h"},
            "compression": {"type": "str", "choices": ["fast", "small", "none"], "default": "fast"},
            # The path of a file is no secret; what is in it never leaves this process.
            "passphrase_file": {"type": "path", "no_log": False},
            "consistency": {"type": "str", "choices": ["auto", "snapshot", "locked", "none"], "default": "auto"},
            "lock_timeout": {"type": "str", "default": "2m"},
            "min_free": {"type": "str", "default": "256MiB"},
            "check": {"type": "str", "choices": ["documents", "checksums"], "default": "documents"},
        }
    )
    + MONGO_ARGUMENTS
    + DOCKER_ARGUMENTS
    + RUN_ARGUMENTS
)


class MongoBackup(Task[planning.Observation]):
    """One backup, or none when a fresh one is there."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._opened: Optional[Connection] = None
        self._sources: List[dump.Source] = []
        self._included = Sources([], None, 0)
        self._made: Optional[making.Made] = None
        self._insufficient_space = False
        self._consistency = dump.Consistency("none", "")
        self._wanted: Mapping[str, str] = {}

    # --- observe -------------------------------------------------------------------------------------------------

    def observe(self) -> planning.Observation:
        params = self.params
        self._included = Sources(read_entries(params["include"]), params["docker_host"], params["docker_timeout"])
        dest = params["dest"]
        self._wishes = planning.Wishes(
            dest,
            parse_duration(params["fresh_within"]),
            params["fresh_within"],
            parse_size(params["min_free"]),
            bool(params["passphrase_file"]),
            consistency=params["consistency"],
            check=params["check"],
        )
        self._lock_seconds = parse_duration(params["lock_timeout"])
        self._passphrase = read_passphrase(params["passphrase_file"]) if params["passphrase_file"] else None
        parent = dest if os.path.lexists(dest) else os.path.dirname(os.path.abspath(dest))
        if not os.path.isdir(parent):
            raise MaintenanceError(
                "there is no directory for the backup",
                target=dest,
                code="ENOTDIR",
                next_step="Make it, or set dest to a directory that exists.",
            )
        self._included.refuse_recursion(dest)
        self._opened = connection = connect(params)
        self._wishes = replace(self._wishes, address=connection.address.where)
        database = connection.require_database(params["database"])
        if database in dump.SYSTEM_DATABASES:
            raise MaintenanceError(
                "this is one of the server's own databases",
                target=database,
                next_step="Set database to the shop's database.",
            )
        self._consistency = dump.choose_consistency(params["consistency"], connection.server)
        observation = planning.Observation(
            database, connection.address.where, read_catalogue(dest, missing_ok=True), self._consistency.mode
        )
        observation.locked_leftovers = self._locks_left_behind(connection)
        observation.included = [self._included.look_at(entry, False) for entry in self._included.entries]
        self._wanted = planning.wanted_components(observation.included)
        if planning.reusable(observation.catalogue, database, self._wanted, self._wishes, utc_now())[0] is None:
            # Only a new backup needs to know how much there is.
            self._sources = dump.list_sources(connection, database)
            observation.collections = len([source for source in self._sources if source.type != "view"])
            observation.documents = sum(source.documents for source in self._sources) or self._any_document(database)
            observation.bytes_documents = sum(source.bytes for source in self._sources)
            observation.included = [self._included.look_at(entry, True) for entry in self._included.entries]
            status = os.statvfs(parent)
            observation.free = status.f_bavail * status.f_frsize
        return observation

    def _any_document(self, database: str) -> int:
        """1 when the statistics say nothing but there is a document: they may be forbidden, or stale after a crash."""
        for source in self._sources:
            if source.type != "view" and dump.has_documents(self._connection, database, source):
                return 1
        return 0

    def _locks_left_behind(self, connection: Connection) -> List[str]:
        """Notes of killed runs about a lock on this server that may stand still."""
        boot = boot_id()
        notes = [
            note
            for note in self.run.leftovers.found()
            if isinstance(note.left, LockLeft)
            and note.left.address == connection.address.where
            and note.is_abandoned(boot)
        ]
        found = []
        for note in notes:
            verdict = fsync_lock.judge_lock(connection, note, boot)
            if verdict == fsync_lock.LEFT:
                found.append(note.id)
            elif verdict == fsync_lock.GONE and not self.module.check_mode:
                # A note that outlives its lock would one day cost somebody else's.
                self.run.leftovers.done(note.id)
            elif verdict == fsync_lock.UNKNOWN:
                self.module.warn(fsync_lock.UNKNOWN_TEXT % connection.address.where)
        return found

    # --- plan ----------------------------------------------------------------------------------------------------

    def plan(self, observation: planning.Observation, now: datetime) -> Plan:
        self._now = now
        return planning.plan_backup(observation, self._wishes, now)

    # --- act -----------------------------------------------------------------------------------------------------

    def act(self, action: Action) -> Outcome:
        if action.action == "release_lock":
            return self._release_lock(action)
        dest = self.params["dest"]
        if not os.path.isdir(dest):
            try:
                os.mkdir(dest, 0o700)
            except OSError as error:
                raise MaintenanceError(
                    "cannot make the directory for the backup",
                    target=dest,
                    code=error.errno,
                    next_step=error.strerror or "",
                ) from error
        with directory_lock(dest) as free:
            if not free:
                raise MaintenanceError(
                    "another backup is being written to this directory, or old ones are being removed from it",
                    target=dest,
                    next_step="Wait until it has ended and run again.",
                )
            if action.action == "remove_leftover":
                return self._remove_leftover(action)
            return self._back_up(action)

    def _release_lock(self, action: Action) -> Outcome:
        released = fsync_lock.unlock(self._connection)
        for leftover in action.data["leftovers"]:
            self.run.leftovers.done(str(leftover))
        if not released:
            raise SkipAction("the server is not locked any more")
        return Outcome(note="one lock released")

    def _remove_leftover(self, action: Action) -> Outcome:
        path = str(action.data["path"])
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            raise SkipAction("it is gone already") from None
        if action.data.get("sidecar"):
            if os.path.lexists(os.path.join(os.path.dirname(path), os.path.basename(path)[1 : -len(".verified.json")])):
                raise SkipAction("its archive is there now")
        elif not is_leftover(path) or not stat.S_ISREG(status.st_mode):
            raise SkipAction("it is no longer the leftover it was")
        try:
            os.unlink(path)
        except OSError as error:
            raise MaintenanceError(
                "cannot remove the leftover", target=path, code=error.errno, next_step=error.strerror or ""
            ) from error
        for note in self.run.leftovers.found():
            if isinstance(note.left, PathLeft) and note.left.path == path:
                self.run.leftovers.done(note.id)
        return Outcome(bytes=status.st_size)

    def _back_up(self, action: Action) -> Outcome:
        # Another call may have made the wanted backup while this one waited for its turn.
        other, _why = planning.reusable(
            read_catalogue(self.params["dest"]), self._database, self._wanted, self._wishes, self._now
        )
        if other is not None:
            raise SkipAction("a verified backup has been made meanwhile: %s" % other.name)
        try:
            made = self._make(action.target, self._consistency)
        except dump.SnapshotExpired as error:
            if not self._consistency.fallback:
                raise
            self.module.warn("%s Starting again without a snapshot." % error)
            note = "the server gave the snapshot up: collections were read one after the other while the application went on writing"
            made = self._make(action.target, dump.Consistency("none", note))
        self._made = made
        notes = made.manifest.notes
        for note in notes[:MAX_NOTES]:
            self.module.warn(note)
        if len(notes) > MAX_NOTES:
            self.module.warn("%d more notes stand in the manifest of the backup." % (len(notes) - MAX_NOTES))
        return Outcome(
            bytes=made.verification.size,
            note="%d documents in %d collections" % (made.manifest.documents, len(made.manifest.collections)),
        )

    @property
    def _connection(self) -> Connection:
        """The connection that observe() opened."""
        if self._opened is None:
            raise ValueError("not observed yet")
        return self._opened

    @property
    def _database(self) -> str:
        return str(self.params["database"] or self._connection.database_name)

    def _make(self, path: str, consistency: dump.Consistency) -> making.Made:
        connection = self._connection
        started = utc_now()
        while os.path.lexists(path):
            # Two in one second; the name holds no more.
            time.sleep(0.2)
            path = os.path.join(self.params["dest"], backup_name(utc_now(), self._wishes.encrypted))
        manifest = Manifest(
            os.path.basename(path),
            format_utc(started),
            self._database,
            address=connection.address.where,
            server_version=connection.server.version,
            topology=connection.server.topology,
            consistency=consistency.mode,
            consistency_note=consistency.note,
            compression="%s (%s)" % (self.params["compression"], engine()),
            tool=TOOL,
        )
        parts = []
        for entry in self._included.entries:
            seen = self._included.look_at(entry, False)
            if seen.problem and entry.optional:
                manifest.missing.append({"name": entry.name, "source": entry.source, "reason": seen.problem})
            else:
                open_tar = self._included.open_tar(entry) if entry.container else None
                parts.append(making.Part(entry.name, entry.source, open_tar))
        job = making.Job(
            path,
            manifest,
            lambda write: self._write_dump(write, consistency, manifest),
            self._read_dump,
            parts,
            self.params["compression"],
            self._wishes.min_free,
            self._passphrase,
            self.params["check"],
        )
        partial = partial_name(path)
        # For the run that takes a dead one over; on its own the next backup clears it away.
        note = self.run.leftovers.register(PathLeft(partial)) if self.run.run_id else ""
        try:
            made = making.make(job)
        except InsufficientSpace:
            self._insufficient_space = True
            raise
        finally:
            if note and not os.path.lexists(partial):
                self.run.leftovers.done(note)
        self._path = path
        return made

    def _write_dump(
        self, write: Callable[[bytes], Any], consistency: dump.Consistency, manifest: Manifest
    ) -> Sequence[CollectionRecord]:
        connection = self._connection
        lock: Optional[fsync_lock.WriteLock] = None
        leftover = ""
        if consistency.mode == "locked":

            def register(keeper: ProcessId) -> str:
                nonlocal leftover
                leftover = self.run.leftovers.register(
                    LockLeft(connection.address.where, self.params["env_file"] or "", keeper)
                )
                return self.run.leftovers.path_of(leftover)

            lock = fsync_lock.WriteLock(connection.address, self._lock_seconds, register)
        try:
            if lock is not None:
                lock.acquire()
            # Listed again: under the lock, and as close to the reading as can be.
            sources = dump.list_sources(connection, self._database)
            writer, result = dump.dump_database(
                connection, self._database, sources, write, consistency, TOOL, lock.check if lock else (lambda: None)
            )
        finally:
            if lock is not None:
                lock.release()
                if leftover:
                    self.run.leftovers.done(leftover)
        manifest.notes += result.notes
        records = []
        for source in sources:
            data = source.data if source.type != "view" else source.name
            totals = writer.totals[(self._database, data)]
            records.append(
                CollectionRecord(
                    source.name, source.type, data, totals.documents, totals.bytes, totals.sha256, list(source.indexes)
                )
            )
        if not any(record.documents for record in records):
            raise MaintenanceError(
                "not one document was read",
                target=self._database,
                next_step="Check the name of the database and this user's rights.",
            )
        return records

    def _read_dump(self, stream: Any) -> Mapping[str, Found]:
        checker = DocumentCheck() if self.params["check"] == "documents" else None
        try:
            reader = ArchiveReader(stream, "the backup", checker.check if checker else None)
            totals = reader.read_all()
            if checker is not None:
                try:
                    checker.finish()
                except ValueError as error:
                    raise MaintenanceError(
                        "a document does not parse (%s)" % error,
                        target=self._database,
                        next_step="Run validate on the collections; check: checksums would accept it.",
                    ) from error
        finally:
            if checker is not None:
                checker.close()
        views = {entry.collection for entry in reader.prelude.collections if entry.type == "view"}
        return {
            name: Found(found.documents, found.bytes, found.sha256)
            for (_database, name), found in totals.items()
            if name not in views
        }

    # --- verify, report ------------------------------------------------------------------------------------------

    def verify(self, observation: planning.Observation, plan: Plan, results: List[ActionResult]) -> None:
        if self._made is None:
            return
        backup = look_at(self._path)
        if backup is None or not backup.verified:
            raise MaintenanceError(
                "the backup is not where it was put, or has changed since",
                target=self._path,
                next_step="Does something else tidy up there?",
            )

    def _result(self, plan: Plan) -> Optional[Backup]:
        if self._made is not None:
            return look_at(self._path)
        for kept in plan.kept:
            return look_at(kept.target)
        return None

    def summary(
        self, observation: planning.Observation, plan: Plan, results: Optional[List[ActionResult]]
    ) -> Dict[str, Any]:
        backup = self._result(plan)
        now = utc_now()
        values: Dict[str, Any] = {
            "reused": bool(plan.kept),
            "missing": [entry.name for entry in observation.included if entry.problem],
            "consistency": self._consistency.mode,
        }
        planned = [action for action in plan.actions if action.action == "back_up"]
        if backup is not None and backup.verification is not None:
            record = backup.verification
            values.update(
                path=backup.path,
                verified=True,
                bytes=backup.size,
                bytes_documents=record.bytes_documents,
                bytes_files=record.bytes_files,
                documents=record.documents,
                collections=record.collections,
                components=list(record.components),
                age_hours=round(backup.age_seconds(now) / 3600.0, 2),
                consistency=record.consistency,
            )
            if plan.kept:
                values["headline"] = "reused the verified backup %s (%.1f h old, %s)" % (
                    backup.name,
                    values["age_hours"],
                    format_size(backup.size),
                )
                if results is None:
                    values["headline"] = "would have " + values["headline"]
            else:
                values["headline"] = "backed up %d documents in %d collections and %s of files to %s (%s), verified" % (
                    record.documents,
                    record.collections,
                    format_size(record.bytes_files),
                    backup.name,
                    format_size(backup.size),
                )
            return values
        size = sum(action.bytes for action in planned)
        values.update(
            path=planned[0].target if planned else "",
            verified=False,
            bytes=size if results is None else 0,
            bytes_documents=observation.bytes_documents,
            bytes_files=sum(entry.bytes for entry in observation.included),
            documents=observation.documents,
            collections=observation.collections,
            components=[entry.name for entry in observation.included if not entry.problem],
            age_hours=None,
        )
        values["headline"] = "no backup was made"
        if results is None:
            values["headline"] = "would back up about %d documents in %d collections and %s of files, about %s" % (
                observation.documents,
                observation.collections,
                format_size(values["bytes_files"]),
                format_size(size),
            )
        return values

    def extra(
        self, observation: planning.Observation, plan: Plan, results: Optional[List[ActionResult]]
    ) -> Dict[str, Any]:
        backup = self._result(plan)
        values: Dict[str, Any] = {"insufficient_space": True} if self._insufficient_space else {}
        if backup is not None:
            values.update(backup=describe(backup, utc_now()), path=backup.path)
        return values

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._included.close()


def main() -> None:
    run(MongoBackup, SPEC)


if __name__ == "__main__":
    main()
