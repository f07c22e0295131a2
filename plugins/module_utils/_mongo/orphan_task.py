# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of mongo_orphans: find, archive, purge and restore documents whose reference points nowhere."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any, List, Mapping, Optional, Sequence, Set, Tuple

from .._core.call import Call
from .._core.clock import parse_utc, utc_now
from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import FAILED, Action, Outcome, Plan, Report, Results
from .._core.runner import Task
from .._core.units import format_duration, parse_duration
from .client import Connection, connect
from .compaction import CHECKPOINT_SECONDS
from .errors import mongo_errors
from .orphan_archive import CLAIM_SECONDS, ENTRIES, FORMAT, Archive, archive_name, safe_writes
from .orphan_judgement import AgeRule
from .orphan_observation import Observer, key_of, shown_key
from .orphan_originals import Originals
from .orphan_planning import (
    ArchiveOrphans,
    ArchiveSeen,
    OrphanObservation,
    OrphanPolicy,
    OrphanWork,
    PurgeArchive,
    RelationSeen,
    RestoreArchived,
    Settle,
    entries,
    plan_orphans,
)
from .orphan_removal import Archiver, LagGate, settle_pending
from .orphan_search import every_half_minute, orphan_report
from .orphans import OrphanFinder, suspicion
from .relations import SHOP_RELATIONS, Relation, expand_relations, parse_relation
from .removals import note_removal
from .storage import read_database_statistics
from .topology import read_snapshot_window


@dataclass(frozen=True)
class Observed(OrphanObservation):
    """Beside what the planner decides on, what the report and the steps need.

    Attributes:
        warnings: sentences for the user.
        cutoff: documents made later are too young.
        window: seconds for which the server keeps what was removed for snapshots.
        run_known: the run whose documents are restored is one of this host.
    """

    warnings: Tuple[str, ...] = ()
    cutoff: datetime = field(default_factory=utc_now)
    window: float = 0.0
    run_known: bool = False


@dataclass(frozen=True)
class Done:
    """What one action came to, in documents, elements or entries.

    Attributes:
        stayed: how many stayed, by the reason.
    """

    archived: int = 0
    purged: int = 0
    restored: int = 0
    there: int = 0
    stayed: Mapping[str, int] = field(default_factory=dict)
    collisions: Tuple[Tuple[str, str], ...] = ()


def orphan_policy(params: Mapping[str, Any], run_id: str) -> OrphanPolicy:
    """The options as data.

    Raises:
        MaintenanceError: an option's value makes no sense.
    """
    if not 0 <= params["max_percent"] <= 100:
        raise MaintenanceError(
            "max_percent is a share, from 0 to 100",
            target=str(params["max_percent"]),
            next_step="Write 5 for 5 percent.",
        )
    if params["max_delete"] is not None and params["max_delete"] < 0:
        raise MaintenanceError(
            "max_delete is a number of orphans", target=str(params["max_delete"]), next_step="Write 0 or more."
        )
    return OrphanPolicy(
        params["action"],
        parse_duration(min_age_of(params)),
        parse_duration(params["grace"]),
        params["max_delete"],
        params["max_percent"],
        tuple(params["allow_business_records"]),
        params["archive_run"] or "",
        run_id,
    )


def min_age_of(params: Mapping[str, Any]) -> str:
    """The option min_age, or what it is by default: a report may tell of what archiving leaves alone for now."""
    return str(params["min_age"] or ("7d" if params["action"] == "archive" else "1h"))


def cutoff_of(text: str, seconds: float, option: str = "min_age") -> datetime:
    """The moment so many seconds ago.

    Raises:
        MaintenanceError: there was none.
    """
    try:
        return utc_now() - timedelta(seconds=seconds)
    except OverflowError:
        raise MaintenanceError(
            "that is longer ago than there are dates", target=repr(text), next_step="Give a shorter %s." % option
        ) from None


def relations_of(params: Mapping[str, Any]) -> List[Relation]:
    """The relations that were named, else the shop's own.

    Raises:
        MaintenanceError: one makes no sense.
    """
    if params["relations"] is None:
        return list(SHOP_RELATIONS)
    return [parse_relation(entry, params["action"]) for entry in params["relations"]]


class MongoOrphans(Task[Observed]):
    """Report, archive, purge or restore, as the option `action` says."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.policy = orphan_policy(self.params, self.run.run_id or "")
        self._connection: Optional[Connection] = None
        self._progress = every_half_minute(self.run.renew)

    def observe(self) -> Observed:
        # What makes no sense is told before a server is asked.
        looking = self.policy.action in ("report", "archive")
        relations = relations_of(self.params) if looking else []
        cutoff = cutoff_of(min_age_of(self.params), self.policy.min_age)
        connection = self._connected()
        name = connection.require_database(self.params["database"])
        database = connection.client[name]
        if self.policy.action in ("archive", "purge", "restore") and connection.server.topology == "mongos":
            raise MaintenanceError(
                "documents of a sharded cluster are only reported",
                target=connection.address.where,
                next_step="Leave action at report.",
            )
        with mongo_errors("cannot list the collections", name):
            collections = {str(entry["name"]): dict(entry) for entry in database.list_collections()}
        observer = Observer(connection, name, collections, self._progress)
        seen = Observed(
            name,
            replica_set=connection.server.topology == "replica set",
            cutoff=cutoff,
            window=read_snapshot_window(connection) if connection.server.topology == "replica set" else 0.0,
        )
        if looking:
            return self._look_for_orphans(connection, observer, seen, relations)
        archived = observer.archived_collections([entry["collection"] for entry in self.params["relations"] or []])
        if self.policy.action == "purge":
            before = cutoff_of(self.params["grace"], self.policy.grace, "grace").replace(microsecond=0)
            ages = tuple(observer.look_at_age(one, before) for one in archived)
            return replace(seen, archives=ages, purged_before=before)
        found = tuple(observer.look_at_run(one, self.policy.restored_run) for one in archived)
        runs = sorted({run for one in archived for run in observer.runs(one)}, reverse=True)
        known = bool(runs) and self.policy.restored_run in runs
        known = known or os.path.exists(self.run.state.events_path(self.policy.restored_run))
        return replace(seen, archives=found, runs=tuple(runs), run_known=known)

    def _look_for_orphans(
        self, connection: Connection, observer: Observer, seen: Observed, relations: Sequence[Relation]
    ) -> Observed:
        database = connection.client[seen.database]
        own = self.params["relations"] is not None
        limit = self.policy.max_delete or 0
        archiving = self.policy.action == "archive"
        finder = OrphanFinder(
            database,
            seen.cutoff,
            max(0, self.params["samples"]),
            self._progress,
            limit + 1 if archiving else 0,
            lambda: self.call.tmpdir,
        )
        policy = self._ages(seen)
        looked: List[RelationSeen] = []
        for relation in expand_relations(relations, sorted(finder.collections)):
            findings = finder.find(relation)
            if archiving and relation.action == "archive":
                looked.append(observer.look_at(findings, finder, policy, limit))
            else:
                looked.append(RelationSeen(findings))
        warnings = [text for text in (suspicion(one.findings) for one in looked) if text]
        if own:
            # The shop's own list names collections that a shop may not use; a list that somebody wrote should be right.
            warnings += [
                "%s is not judged: %s" % (one.relation.name, one.findings.reason)
                for one in looked
                if not one.findings.judged
            ]
        if not archiving and any(relation.action == "archive" for relation in relations):
            warnings.append("Relations that say archive are only reported, as action is report.")
        seen = replace(seen, relations=tuple(looked), warnings=tuple(warnings))
        if not archiving:
            return seen
        disk = read_database_statistics(connection, seen.database)
        concerned = sorted({one.relation.collection for one in looked if one.relation.action == "archive"})
        return replace(
            seen,
            archives=tuple(ArchiveSeen(collection, observer.pending(collection)) for collection in concerned),
            disk_free=disk.filesystem_free if disk.filesystem_bytes else None,
        )

    def plan(self, observation: Observed, now: datetime) -> Plan[OrphanWork]:
        return plan_orphans(observation, self.policy, now)

    def _settle(self, action: Action[Settle], observation: Observed) -> Outcome:
        self._note_removal(observation, action.work.collection)
        runs: Set[str] = set()
        counts = settle_pending(
            self._database(observation), action.work.collection, self._ages(observation), told=runs.add
        )
        words = {
            "dropped": "copies dropped of what is in place",
            "left": "left alone: a run was about to remove what they hold less than %s ago"
            % format_duration(CLAIM_SECONDS),
            "put_back": "put back",
            "archived": "archived",
        }
        note = ", ".join("%d %s" % (counts[key], words[key]) for key in words if counts.get(key))
        if runs:
            # Not under this run: whoever wants them back has to know.
            note += "; %s gives them back" % ", ".join("undo_run=%s" % run_id for run_id in sorted(runs))
        done = Done(
            archived=counts.get("archived", 0), restored=counts.get("put_back", 0), there=counts.get("dropped", 0)
        )
        return Outcome(note=note, detail=done)

    def _archive(self, action: Action[ArchiveOrphans], observation: Observed) -> Outcome:
        work = action.work
        archiver = Archiver(
            self._database(observation),
            work.relation,
            self._ages(observation),
            work.run_id,
            utc_now(),
            self._gate(),
            lambda: self._note_removal(observation, work.relation.collection),
            lambda step: self._progress(),
        )
        failure: Optional[MaintenanceError] = None
        try:
            archiver.archive([key_of(text) for text in work.keys])
        except MaintenanceError as error:
            failure = error
        moved = archiver.moved
        notes = ["%d archived" % moved.orphans] if failure or moved.stayed else []
        notes += ["%d stayed: %s" % (moved.stayed[why], why) for why in sorted(moved.stayed)]
        if moved.paused >= 1:
            notes.append("waited %s for members that lagged" % format_duration(moved.paused))
        return Outcome(
            moved.bytes,
            "; ".join(notes),
            Done(archived=moved.orphans, stayed=dict(moved.stayed)),
            failure=failure,
        )

    def _purge(self, action: Action[PurgeArchive], observation: Observed) -> Outcome:
        name = archive_name(action.work.collection)
        namespace = "%s.%s" % (observation.database, name)
        held = self._database(observation).get_collection(name, write_concern=safe_writes())
        before = parse_utc(action.work.before)
        # What was taken over by a later run, or is under way, stays: the removal itself asks for it.
        old = {"format": FORMAT, "pending": {"$exists": False}, "archived_at": {"$lt": before}}
        gate, purged = self._gate(), 0
        failure: Optional[MaintenanceError] = None
        try:
            with mongo_errors("cannot purge the archive", namespace):
                while True:
                    found = held.find(dict(old, kind={"$ne": "part"}), {"_id": 1}).limit(ENTRIES)
                    ids = [entry["_id"] for entry in found]
                    if not ids:
                        break
                    gate.wait()
                    self._note_removal(observation, action.work.collection, archive_too=True)
                    purged += held.delete_many(dict(old, _id={"$in": ids})).deleted_count
                    self._progress()
                self._purge_parts(held, before)
        except MaintenanceError as error:
            failure = error
        note = "%s removed" % entries(purged)
        return Outcome(action.bytes if purged else 0, note, Done(purged=purged), failure=failure)

    def _purge_parts(self, held: Any, before: datetime) -> None:
        """Parts of entries that are gone."""
        query = {"format": FORMAT, "kind": "part", "archived_at": {"$lt": before}}
        for entry in held.distinct("entry", query):
            if held.find_one({"_id": entry}, {"_id": 1}) is None:
                held.delete_many(dict(query, entry=entry))

    def _restore(self, action: Action[RestoreArchived], observation: Observed) -> Outcome:
        database = self._database(observation)
        archive, originals = Archive(database, action.work.collection), Originals(database, action.work.collection)
        gate, done, size = self._gate(), Done(), 0
        standing: Set[str] = set()
        failure: Optional[MaintenanceError] = None
        try:
            progress = True
            while progress:
                # What was taken from a list, or from a document, before the rest of it comes back after that.
                progress, done = False, replace(done, collisions=())
                for batch in archive.read({"run_id": action.work.run_id}):
                    gate.wait()
                    answers = [(entry, originals.put_back(entry)) for entry in batch]
                    back = [entry for entry, answer in answers if answer == "restored"]
                    there = [entry for entry, answer in answers if answer == "there"]
                    stay = [(shown_key(entry.key), why) for entry, why in answers if why not in ("restored", "there")]
                    archive.drop(back)
                    archive.drop(there, unless_claimed=True)
                    size += sum(len(entry.payload) for entry in back)
                    standing.update(entry.id for entry in there)
                    progress = progress or bool(back)
                    done = replace(
                        done,
                        restored=done.restored + len(back),
                        there=len(standing),
                        collisions=(*done.collisions, *stay),
                    )
                    self._progress()
                progress = progress and bool(done.collisions)
        except MaintenanceError as error:
            failure = error
        notes = ["%d put back" % done.restored]
        if done.there:
            notes.append("%d were there already" % done.there)
        reasons = Counter(why for _key, why in done.collisions)
        notes += ["%d stay in the archive: %s" % (reasons[why], why) for why in sorted(reasons)]
        return Outcome(size, ", ".join(notes), done, failure=failure)

    handlers = {Settle: _settle, ArchiveOrphans: _archive, PurgeArchive: _purge, RestoreArchived: _restore}

    def report(self, observation: Observed, plan: Plan[OrphanWork], results: Results[OrphanWork, Observed]) -> Report:
        if self.policy.action in ("report", "archive"):
            report = orphan_report([seen.findings for seen in observation.relations], list(observation.warnings))
            return report if self.policy.action == "report" else self._archive_report(observation, results, report)
        done = results.details(Done)
        if self.policy.action == "purge":
            count = sum(one.purged for one in done)
            if results.check:
                named = {action.work.collection for action in plan.actions if isinstance(action.work, PurgeArchive)}
                count = sum(seen.old for seen in observation.archives if seen.collection in named)
            return Report(
                "%s %s of archives" % (results.words("purged", "would purge"), entries(count)),
                count > 0,
                {"entries_purged": count},
            )
        count = sum(one.restored for one in done)
        if results.check:
            count = sum(seen.restorable for seen in observation.archives)
        tried = {action.work.collection for action in results.effective if isinstance(action.work, RestoreArchived)}
        collisions = [
            ("%s %s" % (seen.collection, key), why)
            for seen in observation.archives
            if results.check or seen.collection not in tried
            for key, why in seen.collisions
        ]
        for result in results.done:
            if isinstance(result.detail, Done) and isinstance(result.action.work, RestoreArchived):
                name = result.action.work.collection
                collisions += [("%s %s" % (name, key), why) for key, why in result.detail.collisions]
        headline = "%s %d of what %s archived" % (
            results.words("put back", "would put back"),
            count,
            self.policy.restored_run,
        )
        if collisions:
            headline += ", %d cannot be put back" % len(collisions)
        warnings = []
        if not plan.actions and not plan.kept:
            headline = "nothing is archived under %s (any more)" % self.policy.restored_run
            if not observation.run_known:
                latest = ", ".join(observation.runs) or "none"
                warnings.append(
                    "No run of this host has the id %s. Runs with archives: %s." % (self.policy.restored_run, latest)
                )
        return Report(
            headline,
            count > 0 or any(one.there for one in done),
            {"restored": count, "collisions": len(collisions)},
            values={
                "archived_runs": list(observation.runs),
                "run_known": observation.run_known,
                "collisions": [{"target": target, "reason": why} for target, why in collisions],
            },
            warnings=warnings,
        )

    def _archive_report(self, observation: Observed, results: Results[OrphanWork, Observed], report: Report) -> Report:
        done = results.details(Done)
        count = sum(one.archived for one in done)
        works = [action.work for action in results.planned if isinstance(action.work, ArchiveOrphans)]
        if results.check:
            # Business records that nobody named have orphans, too; the plan leaves them where they are.
            planned = {work.relation for work in works}
            count = sum(seen.orphans for seen in observation.relations if seen.relation in planned)
        changed = (
            bool(results.planned) if results.check else any(one.archived or one.restored or one.there for one in done)
        )
        report.headline = "%s %d of %s" % (results.words("archived", "would archive"), count, report.headline)
        report.changed = changed
        report.summary["archived"] = count
        own = [result for result in results.all if isinstance(result.action.work, ArchiveOrphans)]
        # Where it failed, part of it may be out of its collection, too.
        told = any(one.status == FAILED or (isinstance(one.detail, Done) and one.detail.archived) for one in own)
        report.values["archive_run"] = works[0].run_id if told else ""
        if told:
            report.record["archive_run"] = works[0].run_id
            report.headline += "; undo_run=%s gives them back" % works[0].run_id
        if works and observation.replica_set:
            report.warnings.append(
                "The files grow before what was removed comes free: %s is compacted only when %s have passed since."
                % (
                    ", ".join(sorted({work.relation.collection for work in works})),
                    format_duration(observation.window + CHECKPOINT_SECONDS),
                )
            )
        return report

    def _ages(self, observation: Observed) -> AgeRule:
        return AgeRule(observation.cutoff, self.policy.min_age == 0)

    def _gate(self) -> LagGate:
        return LagGate(self._connected(), parse_duration(self.params["max_lag"]), progress=self._progress)

    def _note_removal(self, observation: Observed, collection: str, archive_too: bool = False) -> None:
        name = archive_name(collection) if archive_too else collection
        note_removal(self.run.state_dir, "%s.%s" % (observation.database, name), utc_now())

    def _database(self, observation: Observed) -> Any:
        return self._connected().client[observation.database]

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self.params)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
