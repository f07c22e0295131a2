#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prove that a backup restores."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mongo_restore
short_description: Prove that a backup of a MiniEcom shop restores
version_added: 0.1.0
description:
  - Restores the database of a backup into a throwaway mongod and compares what the server then gives back with what the backup says (document
    counts, the SHA-256 over all raw documents, collection options, indexes), and the files in the backup with its manifest.
  - The throwaway mongod keeps everything in a directory of its own, listens on one socket in it and on no network, and is gone afterwards.
    A run that is killed takes its server process with it; its directory, or its container, is removed by the next call or the next run.
  - Where the shop's MongoDB runs as a process of the host, the throwaway server is that process's own program. Where it runs in a container,
    it is a container of the same image without network. The shop's own server is neither written to nor read from.
  - Reads backups of M(miniecom.maintenance.mongo_backup), and those of the shop's own scripts, which have no such manifest and are compared
    with their own content.
  - That a restore succeeded is recorded beside the archive and shown by M(miniecom.maintenance.backup_info). An archive that had no
    record counts as verified from then on. Where a record stands that the archive does not fit any more, a new one is made only if size and SHA-256 of
    the archive are still those of the record.
  - That the archive does not restore (damage, differences, documents or indexes that the server refuses, an assertion that does not
    hold) is recorded, too. It then no longer counts as verified, so that M(miniecom.maintenance.mongo_backup) does not reuse it and
    M(miniecom.maintenance.backup_prune) does not rely on it, until a restore of it succeeds. What speaks against the surroundings and not
    against the archive (no space, a mongod that does not start, a wrong passphrase) changes no record.
  - This version only tests restores. To restore for real unpack the archive and run C(mongorestore --archive --gzip) or the shop's C(restore.sh).
options:
  src:
    description: The archive, or a directory of which the newest backup by name is taken that is not dated in the future.
    type: path
    required: true
  mode:
    description: V(verify) proves that the backup restores.
    type: str
    choices: [verify]
    default: verify
  server:
    description: V(throwaway) restores into a server made for the purpose.
    type: str
    choices: [throwaway]
    default: throwaway
  assertions:
    description:
      - What must hold of the restored database beside that.
    type: list
    elements: dict
    default: []
    suboptions:
      collection:
        description: Collection to count in.
        type: str
        required: true
      filter:
        description: Filter of MongoDB's query language, extended JSON allowed. By default all documents count.
        type: dict
        default: {}
      min:
        description: At least this many documents must match.
        type: int
        default: 1
      max:
        description: At most this many documents may match.
        type: int
  passphrase_file:
    description: File on the host with the passphrase of an encrypted backup in its first line.
    type: path
  mongod_program:
    description:
      - Program to start the throwaway server from. By default that of the mongod which listens at O(address), or at the address in the connection string.
    type: path
  work_dir:
    description:
      - Directory in which the throwaway server's own directory is made; needs about 1.3 times the raw size of the documents and 400 MB.
      - By default O(state_dir).
    type: path
  min_free:
    description: How much must stay free there.
    type: str
    default: 256MiB
  uri:
    description: Connection string of the shop's server; only its hosts are used, to find the program.
    type: str
  env_file:
    description: The shop's environment file, from which the connection string is read. One of this, O(uri) and O(mongod_program) is needed.
    type: path
  address:
    description: V(HOST:PORT) that replaces the hosts of the connection string.
    type: str
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.docker
  - miniecom.maintenance.run
requirements:
  - pymongo >= 4.10.1 on the host
seealso:
  - module: miniecom.maintenance.mongo_backup
  - module: miniecom.maintenance.backup_info
author:
  - miniecom.maintenance contributors (@miniecom)
"""

EXAMPLES = r"""
- name: Prove that the newest backup restores
  miniecom.maintenance.mongo_restore:
    src: /opt/miniecom/storage/backups
    env_file: /opt/miniecom/.env
    address: 127.0.0.1:27017

- name: Test one encrypted backup, and that there are orders of this year in it
  miniecom.maintenance.mongo_restore:
    src: /srv/backups/20261124_020000.tar.gz.enc
    passphrase_file: /root/backup.passphrase
    env_file: /opt/miniecom/.env
    work_dir: /srv/scratch
    assertions:
      - collection: orders
        filter: {createdAt: {$gt: {$date: "2026-01-01T00:00:00Z"}}}
      - collection: users
        filter: {role: admin}
        min: 1

- name: Test a backup on another machine
  miniecom.maintenance.mongo_restore:
    src: /mnt/offsite
    mongod_program: /usr/bin/mongod
"""

RETURN = r"""
plan:
  description: What was planned; the same in check mode.
  returned: always
  type: list
  elements: dict
kept:
  description: What was looked at and left alone, with a reason.
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
differences:
  description: What is not as the backup says, a sentence each; empty when it restores.
  returned: always
  type: list
  elements: str
summary:
  description: The few numbers.
  returned: always
  type: dict
  contains:
    headline: {description: One sentence., type: str}
    path: {description: The archive., type: str}
    restored: {description: Whether it was restored and nothing differs., type: bool}
    documents: {description: How many documents were restored and compared., type: int}
    collections: {description: How many collections., type: int}
    indexes: {description: How many indexes., type: int}
    bytes: {description: Raw size of the documents., type: int}
    files: {description: How many files of the backup were checked., type: int}
    manifest: {description: Whether the backup has a manifest of ours to compare with., type: bool}
    server_version: {description: Version of the throwaway server., type: str}
    backup_version: {description: Version of the server that was backed up., type: str}
    age_hours: {description: Age of the backup's data., type: float}
    differences: {description: How many differences., type: int}
    seconds: {description: Duration., type: float}
"""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple

from ..module_utils._backup import making
from ..module_utils._backup.catalogue import Backup, Verification, look_at, read_catalogue, write_sidecar
from ..module_utils._backup.compress import DamagedBackup, Prefetch
from ..module_utils._backup.encryption import Openssl, read_passphrase
from ..module_utils._backup.manifest import TOOL, Found, Manifest, differences
from ..module_utils._backup.restore_planning import RestoreObservation, plan_restore_test
from ..module_utils._backup.tarball import ReadBack, read_backup
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.clock import format_utc, utc_now
from ..module_utils._core.errors import MaintenanceError, SkipAction
from ..module_utils._core.lease import boot_id
from ..module_utils._core.leftovers import ContainerLeft, Leftover, PathLeft, ProcessLeft
from ..module_utils._core.legacy_plan import Action, ActionResult, Outcome, Plan
from ..module_utils._core.legacy_runner import Task, run
from ..module_utils._core.units import format_size, parse_size
from ..module_utils._docker.client import DOCKER_ARGUMENTS
from ..module_utils._mongo import restore, throwaway
from ..module_utils._mongo.archive import ArchiveError, ArchiveReader
from ..module_utils._mongo.client import Connection
from ..module_utils._operations import leftovers
from ..module_utils._operations.throwaway_server import PURPOSE, ContainerServer, Origin, Origins

PREFIX = "restore-test-"
# What speaks against the archive; everything else may be the surroundings.
PROOFS = (ArchiveError, restore.RefusedBackup)

SPEC = (
    ArgumentSpec(
        {
            "src": {"type": "path", "required": True},
            "mode": {"type": "str", "choices": ["verify"], "default": "verify"},
            "server": {"type": "str", "choices": ["throwaway"], "default": "throwaway"},
            "assertions": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "collection": {"type": "str", "required": True},
                    "filter": {"type": "dict", "default": {}},
                    "min": {"type": "int", "default": 1},
                    "max": {"type": "int"},
                },
            },
            # The path of a file is no secret; what is in it never leaves this process.
            "passphrase_file": {"type": "path", "no_log": False},
            "mongod_program": {"type": "path"},
            "work_dir": {"type": "path"},
            "min_free": {"type": "str", "default": "256MiB"},
            "uri": {"type": "str", "no_log": True},
            "env_file": {"type": "path"},
            "address": {"type": "str"},
        },
        required_one_of=[("uri", "env_file", "mongod_program")],
        mutually_exclusive=[("uri", "env_file")],
    )
    + DOCKER_ARGUMENTS
    + RUN_ARGUMENTS
)


class MongoRestore(Task[RestoreObservation]):
    """Restore into a throwaway server and compare."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._origins = Origins(self.params)
        self._differences: List[str] = []
        self._numbers: Dict[str, Any] = {}
        self._origin = Origin("")
        self._reading = False
        self._work_dir = self.params["work_dir"] or self.run.state_dir

    # --- observe -------------------------------------------------------------------------------------------------

    def observe(self) -> RestoreObservation:
        params = self.params
        self._min_free = parse_size(params["min_free"])
        self._passphrase = read_passphrase(params["passphrase_file"]) if params["passphrase_file"] else None
        backup = self._find_backup(params["src"])
        self._origin = self._origins.find(params["mongod_program"])
        existing = os.path.abspath(self._work_dir)
        while not os.path.isdir(existing):
            existing = os.path.dirname(existing)
        status = os.statvfs(existing)
        boot = boot_id()
        left_behind = [
            note for note in self.run.leftovers.found() if note.left.purpose == PURPOSE and note.is_abandoned(boot)
        ]
        return RestoreObservation(
            params["src"], backup, self._origin.text, status.f_bavail * status.f_frsize, leftovers.in_order(left_behind)
        )

    def _find_backup(self, src: str) -> Optional[Backup]:
        if os.path.isdir(src) or (self.module.check_mode and not os.path.lexists(src)):
            found = read_catalogue(src, missing_ok=True)
            newest = found.newest(utc_now())
            if newest is not None:
                return newest
            if self.module.check_mode:
                return None  # a real run would have made one before
            raise MaintenanceError(
                "there is no backup in this directory%s"
                % (" but such as are dated in the future" if found.backups else ""),
                target=src,
                next_step="Make one with mongo_backup first.",
            )
        backup = look_at(src)
        if backup is None:
            raise MaintenanceError(
                "this is no backup: it is missing, no regular file, or not named YYYYmmdd_HHMMSS.tar.gz",
                target=src,
                next_step="Correct src, or rename the file to the time it was made.",
            )
        return backup

    # --- plan ----------------------------------------------------------------------------------------------------

    def plan(self, observation: RestoreObservation, now: datetime) -> Plan:
        return plan_restore_test(observation, self._work_dir, self._min_free, self._passphrase is not None)

    # --- act -----------------------------------------------------------------------------------------------------

    def act(self, action: Action) -> Outcome:
        if action.action == "remove_leftover":
            return self._remove_leftover(action.data["note"])
        backup = look_at(action.data["path"])
        if backup is None:
            raise MaintenanceError(
                "the backup is gone",
                target=action.target,
                next_step="Something removes backups: look for the shop's own jobs.",
            )
        try:
            self._test(backup)
        except MaintenanceError as error:
            if self._is_proof(error, backup):
                self._record_failure(backup)
            raise
        if self._differences:
            self._record_failure(backup)
            raise MaintenanceError(
                "the backup does not restore as it was: %s%s"
                % ("; ".join(self._differences[:5]), " ..." if len(self._differences) > 5 else ""),
                target=backup.path,
                next_step="Do not rely on it: make a new backup, and test that.",
            )
        return Outcome(bytes=self._numbers["bytes"], note="%d documents identical" % self._numbers["documents"])

    def _remove_leftover(self, note: Leftover) -> Outcome:
        try:
            leftovers.clear(note, self.run.state_dir, self.params["docker_timeout"])
        except leftovers.NothingLeft:
            self.run.leftovers.done(note.id)
            raise SkipAction("it is gone already") from None
        self.run.leftovers.done(note.id)
        return Outcome()

    def _test(self, backup: Backup) -> None:
        token = secrets.token_hex(6)
        directory = os.path.join(os.path.abspath(self._work_dir), PREFIX + token)
        # The path of a socket is short; a long directory is reached through a link in the directory for temporary files.
        reached = directory
        if not throwaway.socket_fits(directory):
            reached = os.path.join(tempfile.gettempdir(), "miniecom-" + PREFIX + token)
        register = self.run.leftovers.register
        notes = [register(PathLeft(path, PURPOSE)) for path in dict.fromkeys([directory, reached])]
        server: Any = None
        try:
            try:
                os.makedirs(self._work_dir, mode=0o700, exist_ok=True)
                os.mkdir(directory, 0o700)
                if reached != directory:
                    os.symlink(directory, reached)
            except OSError as error:
                raise MaintenanceError(
                    "cannot make the work directory", target=directory, code=error.errno, next_step=error.strerror or ""
                ) from error
            server, note = self._server(directory, reached, token)
            notes.append(note)
            with server.start() as connection:
                self._restore_and_compare(backup, connection)
        finally:
            if server is not None:
                server.stop()
            shutil.rmtree(directory, ignore_errors=True)
            if reached != directory and os.path.islink(reached):
                os.unlink(reached)
            if not os.path.lexists(directory):
                for note in notes:
                    self.run.leftovers.done(note)

    def _server(self, directory: str, reached: str, token: str) -> Tuple[Any, str]:
        register = self.run.leftovers.register
        if self._origin.image:
            docker = self._origins.engine()
            name = "miniecom-%s%s" % (PREFIX, token)
            note = register(ContainerLeft(name, docker.docker_host, PURPOSE))
            return ContainerServer(docker, self._origin, name, reached), note
        note = register(ProcessLeft(directory, purpose=PURPOSE))
        return throwaway.ThrowawayServer(self._origin.program, reached), note

    def _restore_and_compare(self, backup: Backup, connection: Connection) -> None:
        self._reading = True
        found = self._read(backup, connection)
        self._reading = False
        reader: Optional[ArchiveReader] = found.dump
        if reader is None:
            self._differences = ["there is no database dump in it"]
            self._numbers = {"documents": 0, "bytes": 0, "server_version": connection.server.version}
            return
        compared = restore.compare(connection, reader)
        problems = list(compared.differences)
        manifest = found.manifest
        if manifest is not None:
            collections = {
                name: Found(item.documents, item.bytes, item.sha256) for name, item in compared.collections.items()
            }
            problems += differences(manifest, collections, found.found_components())
            problems += _index_names(manifest, reader)
        elif reader.prelude.tool_version == TOOL or (backup.record is not None and not self._fits(backup)):
            problems.append("the manifest is missing, without which nobody knows what else must be in it")
        database = manifest.database if manifest is not None else _database(reader)
        problems += restore.check_assertions(
            connection,
            database,
            [
                restore.Assertion(entry["collection"], entry["filter"] or {}, entry["min"], entry["max"])
                for entry in self.params["assertions"]
            ],
        )
        self._differences = list(dict.fromkeys(problems))
        heads = reader.prelude.collections
        self._numbers = {
            "documents": sum(item.documents for item in compared.collections.values()),
            "collections": len(compared.collections),
            "indexes": sum(len(restore.metadata_of(head).get("indexes") or []) for head in heads),
            "bytes": sum(item.bytes for item in compared.collections.values()),
            "files": sum(component.files for component in found.components.values()),
            "manifest": manifest is not None,
            "server_version": connection.server.version,
            "backup_version": reader.prelude.server_version,
        }
        if not self._numbers["documents"] and not self._differences:
            self._differences = ["there is not one document in it"]
        if not self._differences:
            self._record(backup, manifest, database, found)

    def _read(self, backup: Backup, connection: Connection) -> ReadBack:
        def read_dump(stream: Any) -> ArchiveReader:
            reader = ArchiveReader(stream, backup.name)
            restore.restore_archive(connection, reader)
            return reader

        try:
            descriptor = os.open(backup.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise MaintenanceError(
                "cannot read the backup",
                target=backup.path,
                code=error.errno,
                next_step="Run as its owner or as root (become: true).",
            ) from error
        with os.fdopen(descriptor, "rb", 0) as handle:
            if not backup.encrypted:
                with closing(Prefetch(handle)) as ahead:
                    return read_backup(ahead, backup.name, read_dump)
            with closing(Openssl(handle, self._passphrase or b"", True, backup.name)) as cipher, closing(
                Prefetch(cipher)
            ) as ahead:
                return read_backup(ahead, backup.name, read_dump)

    def _record(self, backup: Backup, manifest: Optional[Manifest], database: str, found: ReadBack) -> None:
        """Note beside the archive that it restores; that this is not possible is a warning only."""
        now = utc_now()
        try:
            if backup.record is not None:
                if self._fits(backup):
                    record = replace(backup.record, mtime_ns=backup.mtime_ns)
                    making.mark_restore_tested(backup.path, record, now)
                else:
                    self.module.warn(
                        "%s restores, but it is not the archive that its record was made of: it stays unverified"
                        % backup.path
                    )
                return
            numbers = self._numbers
            verification = Verification(
                backup.size,
                backup.mtime_ns,
                _sha256(backup.path),
                manifest.started if manifest is not None else format_utc(backup.date.astimezone()),
                format_utc(now),
                database,
                manifest.address if manifest is not None else "",
                tuple(sorted(found.components)),
                manifest.consistency if manifest is not None else "",
                numbers["collections"],
                numbers["documents"],
                numbers["bytes"],
                sum(component.bytes for component in found.components.values()),
                format_utc(now),
                sources=tuple((item.name, item.source) for item in manifest.components) if manifest else (),
            )
            write_sidecar(backup.path, verification)
        except OSError as error:
            self.module.warn("cannot record the restore test beside %s: %s" % (backup.path, error.strerror))

    def _fits(self, backup: Backup) -> bool:
        """Whether the archive is the one that its record was made of."""
        return backup.verification is not None or _is_recorded(backup)

    def _is_proof(self, error: MaintenanceError, backup: Backup) -> bool:
        """Whether an error speaks against the archive, and not against the surroundings."""
        if isinstance(error, PROOFS) or (isinstance(error, DamagedBackup) and not backup.encrypted):
            return True
        # What comes out of a decryption is garbage with a wrong passphrase, too; other bytes than were recorded are not.
        return self._reading and backup.encrypted and backup.verification is not None and not _is_recorded(backup)

    def _record_failure(self, backup: Backup) -> None:
        """Take away that the archive counts as verified; that this is not possible is told."""
        now = look_at(backup.path)
        if now is None or (now.inode, now.size, now.mtime_ns) != (backup.inode, backup.size, backup.mtime_ns):
            return  # another archive stands there by now
        if now.record is None or now.stale:
            return  # it does not count anyway
        try:
            making.mark_restore_failed(now.path, now.record, utc_now())
        except OSError as error:
            self.module.warn(
                "cannot record beside %s that it does not restore (%s): it still counts as verified"
                % (now.path, error.strerror)
            )

    # --- report --------------------------------------------------------------------------------------------------

    def changed(self, observation: RestoreObservation, plan: Plan, results: Optional[List[ActionResult]]) -> bool:
        # A restore test leaves everything as it was; only clearing away what a killed one left is a change.
        if results is None:
            return any(action.action == "remove_leftover" for action in plan.actions)
        return any(result.status == "done" and result.action.action == "remove_leftover" for result in results)

    def summary(
        self, observation: RestoreObservation, plan: Plan, results: Optional[List[ActionResult]]
    ) -> Dict[str, Any]:
        backup = observation.backup
        values: Dict[str, Any] = {
            "path": backup.path if backup is not None else observation.source,
            "restored": bool(self._numbers) and not self._differences,
            "documents": 0,
            "collections": 0,
            "indexes": 0,
            "bytes": 0,
            "files": 0,
            "age_hours": round(backup.age_seconds(utc_now()) / 3600.0, 2) if backup is not None else None,
            "differences": len(self._differences),
        }
        values.update(self._numbers)
        name = backup.name if backup is not None else "the backup that this run would make"
        if results is None:
            values["headline"] = "would restore %s into a throwaway mongod (%s) and compare" % (
                name,
                observation.server,
            )
        elif values["restored"]:
            values["headline"] = (
                "%s restores: %d documents in %d collections with %d indexes (%s) came back identical"
                % (
                    name,
                    values["documents"],
                    values["collections"],
                    values["indexes"],
                    format_size(values["bytes"]),
                )
            )
        else:
            values["headline"] = "%s does not restore: %s" % (
                name,
                self._differences[0] if self._differences else "see the error",
            )
        return values

    def extra(
        self, observation: RestoreObservation, plan: Plan, results: Optional[List[ActionResult]]
    ) -> Dict[str, Any]:
        return {"differences": list(self._differences)}

    def close(self) -> None:
        self._origins.close()


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


def _database(reader: ArchiveReader) -> str:
    names = [head.db for head in reader.prelude.collections]
    return names[0] if names else ""


def _index_names(manifest: Manifest, reader: ArchiveReader) -> List[str]:
    """Where the archive's head does not name the indexes that the manifest names."""
    lines = []
    heads = {head.collection: head for head in reader.prelude.collections}
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


def main() -> None:
    run(MongoRestore, SPEC)


if __name__ == "__main__":
    main()
