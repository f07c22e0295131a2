# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restoring a backup into the shop's own database: the steps of mongo_restore in the mode restore."""

from __future__ import annotations

import os
import secrets
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._backup.bare_dump import look_at_source, read_backup_or_dump
from .._backup.catalogue import Backup, look_at
from .._backup.encryption import read_passphrase
from .._backup.file_comparison import CONFIG, Entries, PartChange
from .._backup.live_restore_planning import (
    CREATE,
    REPLACE,
    SAME,
    STAYS,
    CollectionChange,
    LiveObservation,
    LivePolicy,
    LiveWork,
    RestoreDatabase,
    SettleRestore,
    obstacles_of,
    plan_live_restore,
    still_connected,
)
from .._backup.manifest import TOOL, FoundCollection, differences
from .._backup.tarball import ReadBack
from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.lease import boot_id
from .._core.leftovers import Leftover, RestoreLeft
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.runner import Task, defect_text
from .._core.units import format_size, parse_size
from .._flag.flag_file import read_note
from .._mongo import restore, staging, swap
from .._mongo.application_setting import COLLECTION as SETTINGS
from .._mongo.application_setting import carry_over, same_but_for_block
from .._mongo.archive import ArchiveReader, Totals
from .._mongo.client import Connection, connect
from .._mongo.dump import SYSTEM_DATABASES, DumpSource, list_sources
from .._mongo.errors import mongo_errors
from .backup_reading import find_backup, open_backup, oplog_of
from .closed_shop import turns_visitors_away
from .live_files import PARTS, LiveFiles
from .restore_recovery import SettledRestore, describe, finish_files, load_journal, settle_restore, write_journal

PURPOSE = "restore"
# Settings are few; a collection of this size is no settings any more.
MAX_PATHS = 200  # of each part in a diff and in the result
MAX_SETTINGS_BYTES = 8 * 1024 * 1024


@dataclass
class Contents:
    """What is in an archive, read to its end.

    Attributes:
        database: the shop's in it.
        settings: by database, the raw documents of its settings, one after the other.
        parts: the files of the parts that are asked for, by name.
    """

    found: ReadBack
    reader: ArchiveReader
    database: str = ""
    settings: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    parts: Mapping[str, Entries] = field(default_factory=dict, repr=False)

    def totals(self, head: Any) -> Totals:
        return self.reader.totals.get((self.database, head.data_collection), Totals())


@dataclass(frozen=True)
class RestoredDatabase:
    """What came of a restore."""

    changes: Tuple[CollectionChange, ...]
    files: Tuple[PartChange, ...] = ()


@dataclass(frozen=True)
class Looked:
    """What was found: what the decision rests on, and what carrying it out compares with.

    Attributes:
        contents: None where there is no backup yet.
        sides: the live collections that the backup has, too, by name.
    """

    seen: LiveObservation
    contents: Optional[Contents] = None
    sides: Mapping[str, swap.Side] = field(default_factory=dict)


class LiveRestore(Task[Looked]):
    """Restore beside the live collections, compare, and swap."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        params = self.params
        self.policy = LivePolicy(
            parse_size(params["min_free"]),
            str(params["safety_backup"] or ""),
            params["require_maintenance"],
            params["allow_clients"],
            call.check,
        )
        self._files = LiveFiles(params, call.run.state_dir)
        if params["collections"] and not self._files.database:
            raise MaintenanceError(
                "collections are named, and the database is not among the components",
                next_step="Add database to components, or leave collections out.",
            )
        self._connected: Optional[Connection] = None

    @property
    def _connection(self) -> Connection:
        if self._connected is None:
            raise ValueError("not observed yet")
        return self._connected

    def _passphrase(self) -> Optional[bytes]:
        path = self.params["passphrase_file"]
        return read_passphrase(path) if path else None

    # --- observe -------------------------------------------------------------------------------------------------

    def observe(self) -> Looked:
        self._passphrase()  # a file that cannot be read is better known before anything is done
        now = utc_now()
        backup, passed_over = find_backup(self.params["src"], now, self.call.check)
        if backup is not None and backup.encrypted and not self.params["passphrase_file"]:
            raise MaintenanceError(
                "the backup is encrypted",
                target=backup.path,
                next_step="Set passphrase_file (backup_passphrase_file) to the file with its passphrase.",
            )
        self._connected = connection = connect(self.params)
        database = self._live_database(connection)
        notes = self._notes(connection, database)
        observation = LiveObservation(
            self.params["src"],
            backup,
            database,
            connection.address.where,
            now,
            tuple(note.id for note in notes),
            passed_over=passed_over,
        )
        return Looked(observation) if backup is None else self._look(observation, backup)

    def _live_database(self, connection: Connection) -> str:
        """It need not exist: after a disaster there is none."""
        database = str(self.params["database"] or connection.database_name)
        if not database or database in SYSTEM_DATABASES:
            raise MaintenanceError(
                "this is one of the server's own databases" if database else "the connection string names no database",
                target=database or connection.address.where,
                next_step="Set database to the shop's database.",
            )
        if connection.server.topology == "mongos":
            raise MaintenanceError(
                "a sharded cluster is not restored by renaming",
                target=connection.address.where,
                next_step="Use mongorestore, as docs/backups.md tells.",
            )
        return database

    def _notes(self, connection: Connection, database: str) -> List[Leftover]:
        boot, found = boot_id(), []
        for note in self.run.leftovers.found():
            left = note.left
            if not isinstance(left, RestoreLeft) or (left.address, left.database) != (
                connection.address.where,
                database,
            ):
                continue
            if not note.is_abandoned(boot):
                raise MaintenanceError(
                    "another restore of this database is at work",
                    target=database,
                    next_step="Wait for its end, then run again.",
                )
            found.append(note)
        return found

    def _look(self, observation: LiveObservation, backup: Backup) -> Looked:
        """Everything that the decision needs, of the archive and of the live side."""
        connection, database = self._connection, observation.database
        contents = self._read_through(backup)
        contents.database = self._database_in(contents.reader, database, backup)
        self._refuse_damage(backup, contents)
        heads = staging.heads_of(contents.reader, contents.database)
        listed = {source.name: source for source in list_sources(connection, database)}
        # What an earlier restore has set aside is no collection of the shop's, there and in the backup.
        aside, packed = swap.unswapped(list(listed)), swap.unswapped(list(heads))
        sources = {name: source for name, source in listed.items() if name not in aside}
        wanted = self._wanted(sorted(set(heads) - set(packed)), backup) if self._files.database else []
        sides = {name: staging.look_at_side(connection, database, sources[name]) for name in wanted if name in sources}
        changes = []
        for name in sorted({*sources, *wanted}):
            if name not in wanted:
                documents = _count(connection, database, sources[name])
                changes.append(CollectionChange(name, sources[name].type, STAYS, documents))
                continue
            head, side = heads[name], sides.get(name)
            totals = contents.totals(head)
            same = side is not None and self._is_same(database, contents, sources[name], side)
            change = SAME if same else REPLACE if side is not None else CREATE
            now = side.documents if side is not None else None
            changes.append(CollectionChange(name, head.type, change, now, totals.documents, totals.bytes))
        clients = staging.other_clients(connection)
        note = read_note(self.run.state_dir)
        safety = self.policy.safety_backup
        observation = replace(
            observation,
            changes=tuple(changes),
            free=staging.free_for_data(connection, database),
            clients=None if clients is None else tuple(clients),
            in_maintenance=turns_visitors_away(self.run.state_dir, note, connection.client[database]),
            maintenance_since=note.since if note is not None else "",
            maintenance_owner=note.owner if note is not None else "",
            safety=look_at(safety) if safety and os.path.lexists(safety) else None,
            skipped=tuple(_skipped(contents, packed, aside if not observation.leftovers else [])),
            files=self._files.compare(contents.parts),
            absent=tuple((name, reason) for name, reason in self._absent(contents)),
            unasked=tuple(
                name
                for name in (*PARTS, *CONFIG)
                if name in contents.found.components and name not in self._files.names
            ),
        )
        return Looked(observation, contents, sides)

    def _absent(self, contents: Contents) -> List[Tuple[str, str]]:
        """Parts that are asked for and that the backup does not hold, with the reason where it knows one."""
        manifest = contents.found.manifest
        known = dict(manifest.lacking) if manifest is not None else {}
        return [(name, known.get(name, "")) for name in self._files.names if name not in contents.parts]

    def _is_same(self, database: str, contents: Contents, source: DumpSource, side: swap.Side) -> bool:
        name = source.name
        head = staging.heads_of(contents.reader, contents.database)[name]
        totals = contents.totals(head)
        if name != SETTINGS or side.kind != swap.COLLECTION:
            return staging.is_live_same(self._connection, database, source, side, head, totals)
        # But for the maintenance block, which stays as it is now.
        if not staging.is_same(replace(side, documents=totals.documents, sha256=totals.sha256), head, totals):
            return False
        with mongo_errors("cannot read the settings", "%s.%s" % (database, name)):
            live = b"".join(self._connection.client[database][name].find_raw_batches({}))
        return same_but_for_block(contents.settings.get(contents.database, b""), live)

    def _read_through(self, backup: Backup) -> Contents:
        settings: Dict[str, bytes] = {}

        def read_dump(stream: Any) -> ArchiveReader:
            reader = ArchiveReader(stream, backup.name)
            for batch in reader.batches():
                if batch.collection == SETTINGS and len(settings.get(batch.db, b"")) < MAX_SETTINGS_BYTES:
                    settings[batch.db] = settings.get(batch.db, b"") + batch.data
            return reader

        listing = self._files.listing()
        with open_backup(backup, self._passphrase()) as stream:
            found = read_backup_or_dump(backup, stream, read_dump, listing)
        if found.dump is None:
            raise MaintenanceError(
                "there is no database dump in it", target=backup.path, next_step="Choose another backup."
            )
        return Contents(found, found.dump, settings=settings, parts=listing.parts)

    def _database_in(self, reader: ArchiveReader, live: str, backup: Backup) -> str:
        names = restore.databases(reader)
        wanted = str(self.params["from_database"] or live)
        if wanted not in names:
            raise MaintenanceError(
                "the backup does not hold the database %s, but %s" % (wanted, ", ".join(names) or "none"),
                target=backup.path,
                next_step="If one of them is the shop's under another name, set from_database to it.",
            )
        return wanted

    def _refuse_damage(self, backup: Backup, contents: Contents) -> None:
        """The checksums were right: what else says that it is not as it was written."""
        manifest, problems = contents.found.manifest, []
        if manifest is not None:
            names = {head.data_collection for head in restore.data_heads(contents.reader) if head.type != "view"}
            collections = {
                name: FoundCollection(totals.documents, totals.bytes, totals.sha256)
                for (database, name), totals in contents.reader.totals.items()
                if database and name in names
            }
            collections.update(oplog_of(contents.reader))
            problems = differences(manifest, collections, contents.found.found_components())
        elif contents.reader.prelude.tool_version == TOOL and not backup.bare:
            problems = ["the manifest is missing"]
        heads = staging.heads_of(contents.reader, contents.database).values()
        if not any(contents.totals(head).documents for head in heads):
            problems.append("there is not one document in it")
        if problems:
            raise MaintenanceError(
                "the backup is not fit to be restored: %s" % "; ".join(problems[:5]),
                target=backup.path,
                next_step="Nothing was changed. Choose another backup.",
            )

    def _wanted(self, names: Sequence[str], backup: Backup) -> List[str]:
        asked = [str(name) for name in self.params["collections"] or []]
        missing = [name for name in asked if name not in names]
        if missing:
            raise MaintenanceError(
                "the backup does not hold the collections %s" % ", ".join(missing),
                target=backup.path,
                next_step="It holds: %s." % (", ".join(names) or "none"),
            )
        return asked or list(names)

    # --- plan ----------------------------------------------------------------------------------------------------

    def plan(self, observation: Looked, now: datetime) -> Plan[LiveWork]:
        return plan_live_restore(observation.seen, self.policy)

    # --- act -----------------------------------------------------------------------------------------------------

    def _settle(self, action: Action[SettleRestore], observation: Looked) -> Outcome:
        notes = [note for note in self.run.leftovers.found() if note.id == action.work.id]
        if not notes or not isinstance(notes[0].left, RestoreLeft):
            raise SkipAction("it is settled already")
        path = notes[0].left.journal
        try:
            settled = settle_restore(self._connection, path, load_journal(path), *self._engine)
        except FileNotFoundError:
            self.run.leftovers.done(action.work.id)
            raise SkipAction("it had not begun") from None
        except Exception as error:
            # Whoever reads this does not open the shop.
            raise _again(_known(error), unsettled=True) from error
        self.run.leftovers.done(action.work.id)
        text = describe(settled, observation.seen.database)
        return Outcome(note=text, warnings=(text,) if settled.kept else ())

    def _restore(self, action: Action[RestoreDatabase], observation: Looked) -> Outcome:
        names, seen, backup = action.work.collections, observation.seen, observation.seen.backup
        if backup is None:
            raise ValueError("there is no backup to restore")
        if seen.leftovers:
            # What was half way is settled: the live side is another one than it was.
            observation = self._look(replace(seen, leftovers=()), backup)
            seen = observation.seen
            names = tuple(change.name for change in seen.differing)
            if not names and not seen.differing_files:
                raise SkipAction("everything is as in the backup")
            for obstacle in obstacles_of(seen, self.policy):
                raise obstacle
        contents = observation.contents
        if contents is None:
            raise ValueError("the backup was not read")
        now = look_at_source(backup.path)
        if now is None or now.id != backup.id:
            raise MaintenanceError("the backup was replaced meanwhile", target=backup.path, next_step="Run again.")
        heads = staging.heads_of(contents.reader, contents.database)
        swaps = tuple(
            swap.Swap(number, name, observation.sides.get(name, swap.Side()), swap.Side(heads[name].type))
            for number, name in enumerate(names)
        )
        token = secrets.token_hex(4)
        journal = swap.Journal(token, seen.database, swaps=swaps, files=self._files.swap_places(seen.files, token))
        path = os.path.join(self.run.state_dir, "restore-%s.json" % journal.token)
        note = self.run.leftovers.register(self._left(path, seen))
        warnings: List[str] = []
        try:
            write_journal(path, journal)
            self._stage_and_swap(path, journal, seen, contents, warnings)
        except Exception as error:
            raise self._put_back(note, path, _known(error)) from error
        try:
            finish_files(path, load_journal(path), *self._engine)
        except Exception as error:
            text = (
                "The database is the restored one, and files are not yet: they are by the next call, or the next run."
            )
            raise _again(_known(error), text, unsettled=True) from error
        try:
            settle_restore(self._connection, path, load_journal(path), *self._engine)
            self.run.leftovers.done(note)
        except MaintenanceError as error:
            # The new set counts; what is left of the old one takes space and harms nobody.
            warnings.append("what stood there before could not be removed, and the next run clears it away: %s" % error)
        documents = sum(change.then or 0 for change in seen.differing)
        files = sum(part.files for part in seen.files)
        size = sum(change.bytes for change in seen.differing) + sum(part.bytes for part in seen.differing_files)
        detail = RestoredDatabase(seen.changes, seen.files)
        done = "%d documents%s identical" % (documents, " and %d files" % files if files else "")
        return Outcome(size, done, detail, tuple(warnings))

    handlers = {SettleRestore: _settle, RestoreDatabase: _restore}

    def _left(self, path: str, observation: LiveObservation) -> RestoreLeft:
        return RestoreLeft(
            path,
            observation.address,
            observation.database,
            self.params["env_file"] or "",
            self.params["env_from"],
            self.params["docker_host"] or "",
            self.params["tls_files"],
            PURPOSE,
        )

    def _stage_and_swap(
        self, path: str, journal: swap.Journal, seen: LiveObservation, contents: Contents, warnings: List[str]
    ) -> None:
        """Up to the moment at which the new set is the valid one."""
        connection, database, backup = self._connection, journal.database, seen.backup
        if backup is None:
            raise ValueError("there is no backup to restore")

        def read_dump(stream: Any) -> ArchiveReader:
            reader = ArchiveReader(stream, backup.name)
            staging.stage(connection, contents.database, journal, reader)
            return reader

        sink = self._files.unpacker(journal, seen.files, contents.parts)
        with open_backup(backup, self._passphrase()) as stream:
            reader = read_backup_or_dump(backup, stream, read_dump, sink).dump
        journal, wrong = staging.prove(connection, contents.database, journal, reader)
        for key, totals in contents.reader.totals.items():
            if key not in reader.totals or reader.totals[key].sha256 != totals.sha256:
                wrong.append("%s.%s is another one than when the backup was looked at" % key)
        wrong += self._files.prove(journal, seen.files, contents.parts)
        if wrong:
            raise MaintenanceError(
                "what was restored is not as the backup says: %s" % "; ".join(wrong[:5]),
                target=backup.path,
                next_step="Nothing of the shop's was changed. Choose another backup.",
            )
        journal = staging.copy_timeseries(connection, journal)
        journal = self._carry_setting_over(journal, warnings)
        clients = staging.other_clients(connection)
        if clients and not self.policy.allow_clients:
            raise still_connected(tuple(clients), connection.address.where)
        self._require_safety(seen)
        steps = swap.steps_forward(journal, staging.list_live(connection, database), staging.same_view)
        journal = replace(journal, phase=swap.SWAPPING)
        write_journal(path, journal)
        staging.carry_out(connection, database, steps)
        self._files.put_in_place(journal)
        wrong = staging.new_set_stands(journal, staging.list_live(connection, database))
        if wrong:
            raise MaintenanceError(
                "the restored collections did not take their places: %s" % "; ".join(wrong[:5]), target=database
            )
        written = staging.written_meanwhile(connection, journal) + self._files.written_meanwhile(journal)
        if written:
            raise MaintenanceError(
                "documents or files were written while the backup was restored beside them, and would be lost: %s"
                % ", ".join(written[:5]),
                target=database,
                next_step="Something still writes to them: stop it, make another safety backup, then run again.",
            )
        write_journal(path, replace(journal, phase=swap.COMMITTED))

    @property
    def _engine(self) -> Tuple[str, int]:
        return str(self.params["docker_host"] or ""), int(self.params["docker_timeout"])

    def _require_safety(self, seen: LiveObservation) -> None:
        """What is live now is still safe, however long the restore beside it has taken."""
        if seen.safety is None:
            return
        now = look_at(seen.safety.path)
        if now is None or not now.verified or now.id != seen.safety.id:
            raise MaintenanceError(
                "the safety backup is not any more what it was",
                target=seen.safety.path,
                next_step="Find out what removes or changes it, make another one, then run again.",
            )

    def _carry_setting_over(self, journal: swap.Journal, warnings: List[str]) -> swap.Journal:
        swaps = []
        for entry in journal.swaps:
            if entry.name == SETTINGS and entry.new.kind == swap.COLLECTION:
                name = journal.beside(entry, "new")
                problem = carry_over(self._connection.client[journal.database], name)
                warnings += [problem] if problem else []
                read = restore.read_collection(self._connection, journal.database, name)
                entry = replace(entry, new=replace(entry.new, documents=read.documents, sha256=read.sha256))
            swaps.append(entry)
        return replace(journal, swaps=tuple(swaps))

    def _put_back(self, note: str, path: str, error: MaintenanceError) -> MaintenanceError:
        """Undo what was done; gives the error to tell."""
        try:
            settled = settle_restore(self._connection, path, load_journal(path), *self._engine)
        except FileNotFoundError:
            settled = SettledRestore(False, [])
        except Exception as second:
            text = "The database could not be put in order yet (%s): it is by the next call, or the next run."
            return _again(error, text % _known(second), unsettled=True)
        self.run.leftovers.done(note)
        state = "The database is the restored one." if settled.committed else "The database is as it was before."
        return _again(error, state)

    # --- report --------------------------------------------------------------------------------------------------

    def diff(self, observation: Looked, plan: Plan[LiveWork]) -> Optional[Dict[str, Any]]:
        before, after = [], []
        for change in observation.seen.changes:
            line = "%s.%s: %%s\n" % (observation.seen.database, change.name)
            before.append(line % change)
            replaced = change.change in (CREATE, REPLACE)
            after.append(line % (replace(change, now=change.then) if replaced else change))
        for part in observation.seen.files:
            for path in (*part.replace, *part.create)[:MAX_PATHS]:
                line = "%s/%s: %%s\n" % (part.place, path)
                before.append(line % ("as it is now" if path in part.replace else "none"))
                after.append(line % "as in the backup")
        return {"before": "".join(before), "after": "".join(after)}

    def report(self, observation: Looked, plan: Plan[LiveWork], results: Results[LiveWork, Looked]) -> Report:
        seen = observation.seen
        done = next(iter(results.details(RestoredDatabase)), None)
        if done is not None:
            seen = replace(seen, changes=done.changes, files=done.files)
        differing, backup = seen.differing, seen.backup
        stays = [change.name for change in seen.changes if change.change == STAYS]
        name = backup.name if backup is not None else "the backup that is there by then"
        documents = sum(change.then or 0 for change in differing)
        summary: Dict[str, Any] = {
            "path": backup.path if backup is not None else seen.source,
            "database": seen.database,
            "restored": done is not None,
            "collections": len(differing),
            "documents": documents,
            "documents_before": sum(change.now or 0 for change in differing),
            "documents_live": seen.live_documents,
            "bytes": sum(change.bytes for change in differing) + sum(part.bytes for part in seen.differing_files),
            "collections_same": sum(change.change == SAME for change in seen.changes),
            "collections_staying": len(stays),
            "files": sum(part.files for part in seen.files),
            "files_replaced": sum(len(part.replace) for part in seen.files),
            "files_staying": sum(len(part.stays) for part in seen.files),
            "safety_backup": self.policy.safety_backup,
            "maintenance_owner": seen.maintenance_owner,
            "age_hours": round(backup.age_seconds(seen.at) / 3600.0, 2) if backup is not None else None,
        }
        wanted = any(isinstance(action.work, RestoreDatabase) for action in plan.actions)
        if results.check and wanted:
            headline = "would restore %d collections with %d documents (now %d) from %s" % (
                len(differing),
                documents,
                summary["documents_before"],
                name,
            )
        elif done is not None:
            headline = "restored %d collections with %d documents (%s) from %s, compared and swapped in" % (
                len(differing),
                documents,
                format_size(summary["bytes"]),
                name,
            )
        elif wanted and not any(isinstance(result.action.work, RestoreDatabase) for result in results.skipped):
            headline = "%s was not restored: see the error" % name
        else:
            headline = "%s is as in %s already" % (seen.database, name)
        if seen.differing_files and (done is not None or results.check):
            told = ["%d of %s" % (part.files, part.name) for part in seen.differing_files]
            headline += "; files: %s" % ", ".join(told)
        if summary["files_staying"]:
            headline += "; %d files that it does not hold stay" % summary["files_staying"]
        if stays:
            headline += "; %d collections that it does not restore stay" % len(stays)
        values = {
            "collections": [_told(change) for change in seen.changes],
            "staying": stays,
            "files": [_told_part(part) for part in seen.files],
        }
        return Report(headline, changed=bool(results.effective), summary=summary, values=values)

    def close(self) -> None:
        self._files.close()
        if self._connected is not None:
            self._connected.close()


def _known(error: Exception) -> MaintenanceError:
    """An error that can say more than its text, also where nobody foresaw it."""
    return error if isinstance(error, MaintenanceError) else MaintenanceError(defect_text(error))


def _again(error: MaintenanceError, first: str = "", **details: Any) -> MaintenanceError:
    """The same error with more to tell, `first` before what is to be done next."""
    return type(error)(
        error.what,
        target=error.target,
        code=error.code,
        next_step=("%s %s" % (first, error.next_step)).strip(),
        details=dict(error.details, **details),
    )


def _told(change: CollectionChange) -> Mapping[str, Any]:
    return {
        "name": change.name,
        "type": change.kind,
        "change": change.change,
        "documents_now": change.now,
        "documents_then": change.now if change.change == STAYS else change.then,
    }


def _told_part(part: PartChange) -> Mapping[str, Any]:
    return {
        "name": part.name,
        "place": part.place,
        "files_created": part.created_files,
        "files_replaced": len(part.replace),
        "files_same": part.same,
        "files_staying": len(part.stays),
        "staying": list(part.stays[:MAX_PATHS]),
        "replaced": list(part.replace[:MAX_PATHS]),
    }


def _count(connection: Connection, database: str, source: DumpSource) -> int:
    """Documents, counted and not estimated; 0 of a view."""
    if source.type == swap.VIEW:
        return 0
    with mongo_errors("cannot count the documents", "%s.%s" % (database, source.name)):
        return int(connection.client[database][source.data].count_documents({}))


def _skipped(contents: Contents, packed: Sequence[str], aside: Sequence[str]) -> List[str]:
    """What is in the archive and not restored, and what is beside the shop's own collections and stays, a sentence each.

    Args:
        packed, aside: names of what earlier restores have set aside, in the archive and in the live database.
    """
    lines = []
    if packed:
        text = "What an earlier restore had set aside is in the backup, too, and is not restored: %s."
        lines.append(text % ", ".join(packed[:5]))
    if aside:
        text = "Collections that an earlier restore has set aside are in the database and stay: %s. Look at them, then drop them."
        lines.append(text % ", ".join(aside[:5]))
    others = sorted(set(restore.databases(contents.reader)) - {contents.database})
    if others:
        lines.append("Other databases in the backup are not restored: %s." % ", ".join(others))
    kinds = {restore.kind_of_collection(*key) for key, totals in contents.reader.totals.items() if totals.documents}
    if kinds & {restore.USERS, restore.ROLES}:
        lines.append("Users and roles in the backup are not restored: those of the server stay as they are.")
    if any(found.count for found in oplog_of(contents.reader).values()):
        manifest = contents.found.manifest
        what = "they were when each was read" if manifest is None else "they were at the moment of the dump"
        lines.append("The oplog in the backup is not replayed: the collections are restored as %s." % what)
    return lines
