# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Building indexes anew, and validating collections: the steps of mongo_reindex."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import MaintenanceError, SkipAction
from .._core.late_dataclass import dataclass
from .._core.lease import boot_id
from .._core.leftovers import IndexesLeft
from .._core.plan import Action, Outcome, Plan, Report, Results
from .._core.runner import Task
from .._core.units import format_size, parse_size
from .._flag.flag_file import read_note
from .._mongo.client import Connection, connect_member, open_address
from .._mongo.counting import count_collections
from .._mongo.errors import mongo_errors
from .._mongo.index_definitions import (
    SavedIndexes,
    collection_uuid,
    compare_definitions,
    ensure_indexes,
    forget_definitions,
    load_definitions,
    read_definitions,
    save_definitions,
)
from .._mongo.reindex_planning import (
    CompleteIndexes,
    RebuildIndexes,
    ReindexObservation,
    ReindexPolicy,
    SeenCollection,
    Unfinished,
    ValidateCollection,
    Work,
    count_indexes,
    instead_of_rebuild,
    plan_reindex,
    validate_command,
)
from .._mongo.running_operations import wait_for_command
from .._mongo.storage import (
    CollectionStatistics,
    checkpoint,
    choose_databases,
    list_collection_statistics,
    read_collection_statistics,
    read_database_statistics,
    require_names,
)
from .._mongo.topology import read_server
from .closed_shop import turns_visitors_away

try:
    from pymongo.errors import ConnectionFailure
except ImportError:  # the client says so
    ConnectionFailure = Exception  # type: ignore[assignment,misc]

PURPOSE = "indexes"
# Nothing is decided before the documents are counted, however many there are.
COUNT_SECONDS = 86400.0
# What a person reads of a validation: the first few sentences tell what is wrong.
SHOWN = 5


@dataclass(frozen=True)
class MadeAgain:
    """Names of indexes that a rebuild which did not end had lost."""

    names: Tuple[str, ...]


@dataclass(frozen=True)
class Rebuilt:
    """Sizes of the indexes of one collection before and after, in bytes, and of each by name."""

    namespace: str
    bytes_before: int
    bytes_after: int
    indexes: Tuple[Mapping[str, Any], ...]
    made_again: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Validated:
    """What the server found in one collection.

    Attributes:
        count_before, count_after: documents by the statistics.
        documents: as validating has counted them.
    """

    namespace: str
    valid: bool
    foreground: bool
    documents: int
    count_before: int
    count_after: int
    invalid_documents: int
    errors: Tuple[str, ...]
    warnings: Tuple[str, ...]

    @property
    def mended(self) -> bool:
        return self.foreground and self.count_before != self.count_after == self.documents


def policy_of_reindex(params: Mapping[str, Any]) -> ReindexPolicy:
    """The options as data.

    Raises:
        MaintenanceError: they make no sense together.
    """
    mode = str(params["mode"])
    if mode == "rebuild" and not params["collections"]:
        raise MaintenanceError(
            "no collection is named, and indexes are rebuilt only of those that are",
            next_step="Set collections; mongo_info tells which indexes are large and how much of them is free.",
        )
    if mode == "validate" and params["full"] and not params["foreground"]:
        raise MaintenanceError(
            "the server does not validate in full in the background",
            next_step="Set foreground: true, or leave full out.",
        )
    return ReindexPolicy(
        mode,
        parse_size(params["min_reclaimable"]),
        mode == "validate" and params["foreground"],
        mode == "validate" and params["full"],
        params["require_maintenance"],
    )


class MongoReindex(Task[ReindexObservation]):
    """Rebuild or validate, on the connected member."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.policy = policy_of_reindex(self.params)
        self._connections: Dict[str, Connection] = {}

    # --- observe -------------------------------------------------------------------------------------------------

    def observe(self) -> ReindexObservation:
        connection = self._looking()
        databases = choose_databases(connection, self.params["databases"])
        unfinished = self._unfinished(connection)
        warnings: List[str] = []
        # Free bytes are counted at checkpoints, and validating in the background reads the last one. Check mode writes nothing.
        if not self.call.check:
            warnings = [text for text in [checkpoint(connection)] if text]
        statistics: List[CollectionStatistics] = []
        for database in databases:
            statistics += list_collection_statistics(connection, database, self.params["collections"])
        require_names(statistics, self.params["collections"], databases)
        disk = read_database_statistics(connection, databases[0])
        return ReindexObservation(
            connection.server,
            connection.address.where,
            tuple(self._seen(connection, statistics)),
            tuple(unfinished),
            self._closed(connection, databases[0]),
            disk.filesystem_free if disk.filesystem_bytes else None,
            tuple(warnings),
        )

    def _seen(self, connection: Connection, statistics: List[CollectionStatistics]) -> List[SeenCollection]:
        counts = count_collections(connection, statistics, COUNT_SECONDS) if self.policy.foreground else {}
        seen = []
        for entry in statistics:
            count = counts.get(entry.namespace)
            seen.append(
                SeenCollection(
                    entry,
                    len(entry.indexes),
                    count.fast if count else entry.documents,
                    count.counted if count and count.wrong else None,
                )
            )
        return seen

    def _closed(self, connection: Connection, database: str) -> bool:
        if not (self.policy.keeps_waiting and self.policy.require_maintenance):
            return False
        application = connection.client[connection.database_name or database]
        return turns_visitors_away(self.run.state_dir, read_note(self.run.state_dir), application)

    def _unfinished(self, connection: Connection) -> List[Unfinished]:
        """Rebuilds that did not end; one that the server still works on is waited for."""
        boot, found = boot_id(), []
        for note in self.run.leftovers.found():
            if not isinstance(note.left, IndexesLeft):
                continue
            try:
                saved = load_definitions(note.left.journal)
            except FileNotFoundError:
                continue  # killed before anything was done
            uuid = collection_uuid(connection, saved.database, saved.collection)
            same = uuid == saved.uuid
            if not same and saved.address != connection.address.where:
                continue  # another server's
            if not note.is_abandoned(boot):
                raise MaintenanceError(
                    "another rebuild of its indexes is at work",
                    target=saved.namespace,
                    next_step="Wait for its end, then run again.",
                )
            missing: Tuple[str, ...] = ()
            if same:
                # While it works the server lists all of them, also those that it has not yet made.
                wait_for_command(connection, "reIndex", saved.database, saved.collection, self.run.renew)
                definitions = read_definitions(connection, saved.database, saved.collection)
                missing = compare_definitions(saved.definitions, definitions).missing
            found.append(Unfinished(note.id, saved.database, saved.collection, note.left.journal, missing, same))
        return found

    def plan(self, observation: ReindexObservation, now: datetime) -> Plan[Work]:
        return plan_reindex(observation, self.policy)

    # --- act -----------------------------------------------------------------------------------------------------

    def _complete(self, action: Action[CompleteIndexes], observation: ReindexObservation) -> Outcome:
        work = action.work
        notes = [note for note in self.run.leftovers.found() if note.id == work.note]
        if not notes or not isinstance(notes[0].left, IndexesLeft):
            raise SkipAction("it is completed already")
        try:
            saved = load_definitions(notes[0].left.journal)
        except FileNotFoundError:
            self.run.leftovers.done(work.note)
            raise SkipAction("it is completed already") from None
        made = ensure_indexes(self._looking(), saved)
        forget_definitions(notes[0].left.journal)
        self.run.leftovers.done(work.note)
        return Outcome(
            note="%s made again" % count_indexes(len(made)) if made else "all were there", detail=MadeAgain(tuple(made))
        )

    def _rebuild(self, action: Action[RebuildIndexes], observation: ReindexObservation) -> Outcome:
        work, connection = action.work, self._looking()
        namespace = "%s.%s" % (work.database, work.collection)
        self._recheck(work.database)
        before = read_collection_statistics(connection, work.database, work.collection)
        definitions = read_definitions(connection, work.database, work.collection)
        uuid = collection_uuid(connection, work.database, work.collection)
        if not uuid or not definitions:
            raise SkipAction("the collection is gone")
        saved = SavedIndexes(
            connection.address.where, work.database, work.collection, uuid, format_utc(utc_now()), definitions
        )
        path = save_definitions(self.run.state_dir, saved)
        note = self.run.leftovers.register(self._left(path, work.database))
        failure: Optional[MaintenanceError] = None
        try:
            with mongo_errors("cannot rebuild the indexes of the collection", namespace):
                self._working().client[work.database].command({"reIndex": work.collection, "comment": self._comment()})
        except MaintenanceError as error:
            failure = error
            if isinstance(error.__cause__, ConnectionFailure):
                self._wait(work, path, error)
                failure = None
        # Whatever became of it: what is missing is made again, before anything else is said.
        made = ensure_indexes(connection, saved)
        forget_definitions(path)
        self.run.leftovers.done(note)
        self.run.renew()
        if failure is not None:
            raise failure
        # So that the sizes are those of the new files; without the privilege they may be a minute old.
        checkpoint(connection)
        after = read_collection_statistics(connection, work.database, work.collection)
        detail = rebuilt_of(before, after, tuple(made))
        text = "%s were lost on the way, and are made again: %s" % (count_indexes(len(made)), ", ".join(made))
        return Outcome(max(0, detail.bytes_before - detail.bytes_after), text if made else "", detail)

    def _wait(self, work: RebuildIndexes, path: str, error: MaintenanceError) -> None:
        """After a dropped connection the server goes on: wait until it has finished, or is really lost."""
        try:
            wait_for_command(self._looking(), "reIndex", work.database, work.collection, self.run.renew)
        except MaintenanceError:
            raise MaintenanceError(
                "the server was lost while it rebuilt the indexes, and has not answered for a minute",
                target="%s.%s" % (work.database, work.collection),
                code=error.code,
                next_step="Start mongod again. The collection may have lost indexes, their definitions are kept in %s: run"
                " mongo_reindex for it again, which makes them again; the next run on this host does so as well."
                % path,
            ) from error

    def _recheck(self, database: str) -> None:
        """What the plan rests on, of this moment."""
        if self.policy.mode == "rebuild" and read_server(self._looking()).topology != "standalone":
            raise SkipAction("the server is a member of a replica set by now")
        if self.policy.keeps_waiting and self.policy.require_maintenance:
            if not self._closed(self._looking(), database):
                raise SkipAction("maintenance was ended meanwhile")

    def _validate(self, action: Action[ValidateCollection], observation: ReindexObservation) -> Outcome:
        work, connection = action.work, self._looking()
        namespace = "%s.%s" % (work.database, work.collection)
        self._recheck(work.database)
        command = validate_command(work, self._comment())
        before = read_collection_statistics(connection, work.database, work.name)
        with mongo_errors("cannot validate the collection", namespace):
            answer = self._working().client[work.database].command(command)
        after = read_collection_statistics(connection, work.database, work.name)
        self.run.renew()
        return validation_outcome(namespace, work.foreground, answer, before.documents, after.documents)

    handlers = {CompleteIndexes: _complete, RebuildIndexes: _rebuild, ValidateCollection: _validate}

    # --- report --------------------------------------------------------------------------------------------------

    def report(
        self, observation: ReindexObservation, plan: Plan[Work], results: Results[Work, ReindexObservation]
    ) -> Report:
        rebuilt, validated = results.details(Rebuilt), results.details(Validated)
        done = [action.work for action in results.effective]
        completed = [work for work in done if isinstance(work, CompleteIndexes)]
        made = sum(len(entry.names) for entry in results.details(MadeAgain))
        if results.check:
            made = sum(len(entry.missing) for entry in observation.unfinished if entry.same_collection)
            mended = [seen for seen in observation.collections if self.policy.foreground and seen.mends]
            changed = made > 0 or bool(mended) or any(isinstance(work, RebuildIndexes) for work in done)
            count_mended = len(mended)
        else:
            count_mended = sum(entry.mended for entry in validated)
            changed = made > 0 or bool(rebuilt) or count_mended > 0
        invalid = [entry for entry in validated if not entry.valid]
        freed = sum(entry.bytes_before - entry.bytes_after for entry in rebuilt)
        return Report(
            reindex_headline(self.policy, observation, results, freed, made, len(invalid), count_mended),
            changed=changed,
            summary={
                "bytes": results.bytes,
                "collections_rebuilt": sum(isinstance(work, RebuildIndexes) for work in done),
                "collections_validated": sum(isinstance(work, ValidateCollection) for work in done),
                "collections_invalid": len(invalid),
                "collections_kept": len(plan.kept),
                "collections_completed": len(completed),
                "indexes_made_again": made,
                "counts_mended": count_mended,
            },
            values={
                "collections": [asdict(entry) for entry in rebuilt],
                "validations": [asdict(entry) for entry in validated],
                "instead": instead_of_rebuild(observation) if self.policy.mode == "rebuild" else [],
            },
            record={"invalid": [entry.namespace for entry in invalid]} if invalid else {},
            warnings=validation_warnings(validated),
            failure=invalid_failure(invalid),
        )

    # --- connections ---------------------------------------------------------------------------------------------

    def _comment(self) -> str:
        return "miniecom.maintenance %s" % (self.run.run_id or "mongo_reindex")

    def _left(self, path: str, database: str) -> IndexesLeft:
        return IndexesLeft(
            path,
            self._looking().address.where,
            database,
            self.params["env_file"] or "",
            self.params["env_from"],
            self.params["docker_host"] or "",
            self.params["tls_files"],
            PURPOSE,
        )

    def _looking(self) -> Connection:
        if "looking" not in self._connections:
            self._connections["looking"] = connect_member(self.params)
        return self._connections["looking"]

    def _working(self) -> Connection:
        """For the command itself: nothing may cut it off, as the server then leaves the collection without indexes."""
        if "working" not in self._connections:
            timeout = float(self.params.get("connect_timeout") or 5)
            self._connections["working"] = open_address(
                self._looking().address, timeout, socketTimeoutMS=None, timeoutMS=None
            )
        return self._connections["working"]

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


def rebuilt_of(before: CollectionStatistics, after: CollectionStatistics, made: Tuple[str, ...]) -> Rebuilt:
    """Sizes before and after. Pure."""
    sizes = {file.name: file.bytes for file in after.indexes}
    indexes = tuple(
        {"name": file.name, "bytes_before": file.bytes, "bytes_after": sizes.get(file.name, 0)}
        for file in before.indexes
    )
    return Rebuilt(
        before.namespace,
        sum(file.bytes for file in before.indexes),
        sum(file.bytes for file in after.indexes),
        indexes,
        made,
    )


def validation_outcome(
    namespace: str, foreground: bool, answer: Mapping[str, Any], count_before: int, count_after: int
) -> Outcome:
    """A validate answer as data. Pure. What it quotes of keys and documents is left out."""
    found = Validated(
        namespace,
        bool(answer.get("valid")),
        foreground,
        int(answer.get("nrecords", 0)),
        count_before,
        count_after,
        int(answer.get("nInvalidDocuments", 0)),
        tuple(str(text)[:300] for text in list(answer.get("errors") or [])[:SHOWN]),
        tuple(str(text)[:300] for text in list(answer.get("warnings") or [])[:SHOWN]),
    )
    words = ["valid" if found.valid else "NOT valid", "%d documents" % found.documents]
    if found.mended:
        words.append("count mended, %d before" % found.count_before)
    return Outcome(note=", ".join(words), detail=found)


def validation_warnings(validated: List[Validated]) -> List[str]:
    """What the server warns of, a sentence for each collection, and counts that are still wrong. Pure."""
    sentences = [
        "%s: %s" % (entry.namespace, "; ".join(entry.warnings)) for entry in validated if entry.valid and entry.warnings
    ]
    for entry in validated:
        if entry.foreground and entry.count_after and not entry.documents:
            sentences.append(
                "%s is empty, and its statistics say %d documents: validating mends that only once it holds a document again."
                % (entry.namespace, entry.count_after)
            )
    return sentences


def invalid_failure(invalid: List[Validated]) -> Optional[MaintenanceError]:
    """What was found wrong; None where nothing was. Pure."""
    if not invalid:
        return None
    return MaintenanceError(
        "not valid: %s"
        % "; ".join("%s (%s)" % (entry.namespace, "; ".join(entry.errors) or "no reason given") for entry in invalid),
        target="%d collection%s" % (len(invalid), "" if len(invalid) == 1 else "s"),
        next_step="Make a backup of what can still be read and keep the last good one. Where only indexes are at fault, rebuild them"
        " (mode: rebuild); a member of a replica set is synced anew from the others; else restore. Nothing here ever repairs data.",
    )


def reindex_headline(
    policy: ReindexPolicy,
    observation: ReindexObservation,
    results: Results[Work, ReindexObservation],
    freed: int,
    made: int,
    invalid: int,
    mended: int,
) -> str:
    """One sentence for a person. Pure."""
    done = [action.work for action in results.effective]
    parts = []
    completed = sum(isinstance(work, CompleteIndexes) for work in done)
    if completed:
        parts.append(
            "%s %s that a rebuild had lost" % (results.words("made again", "would make again"), count_indexes(made))
            if made
            else results.words("closed a rebuild that did not end", "would close a rebuild that did not end")
        )
    if policy.mode == "validate":
        number = sum(isinstance(work, ValidateCollection) for work in done)
        text = "%s %d collection%s in the %s" % (
            results.words("validated", "would validate"),
            number,
            "" if number == 1 else "s",
            "foreground" if policy.foreground else "background",
        )
        if not results.check:
            text += ": %s" % ("%d NOT valid" % invalid if invalid else "all valid")
        if mended:
            text += ", %s %d count%s" % (results.words("mended", "would mend"), mended, "" if mended == 1 else "s")
        return "; ".join([*parts, text])
    number = sum(isinstance(work, RebuildIndexes) for work in done)
    if number:
        text = "%s the indexes of %d collection%s" % (
            results.words("rebuilt", "would rebuild"),
            number,
            "" if number == 1 else "s",
        )
        if not results.check:
            text += ", %s smaller" % format_size(freed) if freed >= 0 else ", %s larger" % format_size(-freed)
    elif observation.server.topology != "standalone":
        text = "rebuilt nothing: reIndex works on a standalone only; compaction shrinks indexes as well, see instead"
    else:
        text = results.words("rebuilt nothing", "would rebuild nothing")
        text += ": worth it from %s of free space in a collection's indexes on" % format_size(policy.min_reclaimable)
    return "; ".join([*parts, text])
