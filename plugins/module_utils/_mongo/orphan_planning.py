# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What mongo_orphans is to do, decided from what was seen. Pure.

Archiving refuses as a whole where anything about it is doubtful: a relation that is wrong takes good documents for orphans,
and then mostly many of them.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timedelta
from typing import List, Mapping, Optional, Sequence, Tuple, Union

from .._core.clock import compact_utc, format_utc
from .._core.errors import InsufficientSpace, MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .._core.units import format_duration, format_size
from .orphan_archive import archive_name
from .orphans import RelationFindings
from .relations import Relation, is_business_record

MIB = 1024 * 1024
# The journal, and what the archive takes beyond its documents.
DISK_RESERVE = 128 * MIB
# What is rewritten for one document, in its collection and in each index: a page of 32 KiB, and those above it.
PAGES = 64 * 1024


@dataclass(frozen=True)
class Settle:
    """Deal with what a run that was cut off had under way in a collection."""

    collection: str


@dataclass(frozen=True)
class ArchiveOrphans:
    """Move orphans of a relation into the archive.

    Attributes:
        keys: the documents' ids, each as hexadecimal digits of its type and its value in BSON.
        run_id: under which they can be restored.
    """

    relation: Relation
    keys: Tuple[str, ...]
    run_id: str


@dataclass(frozen=True)
class PurgeArchive:
    """Remove for good what was archived before a moment, as `format_utc` writes it."""

    collection: str
    before: str


@dataclass(frozen=True)
class RestoreArchived:
    """Put back what a run archived of a collection."""

    collection: str
    run_id: str


OrphanWork = Union[Settle, ArchiveOrphans, PurgeArchive, RestoreArchived]


@dataclass(frozen=True)
class OrphanPolicy:
    """What the user asked for.

    Attributes:
        action: report, archive, purge or restore.
        min_age, grace: seconds.
        max_delete: most orphans that may be archived, or entries purged; None for any number of entries.
        max_percent: most documents of a collection, in percent.
        allowed: business records that may be archived and purged.
        restored_run: the run whose documents are restored.
        run_id: of this call's run, "" for none.
    """

    action: str
    min_age: float
    grace: float
    max_delete: Optional[int] = None
    max_percent: float = 5.0
    allowed: Tuple[str, ...] = ()
    restored_run: str = ""
    run_id: str = ""


@dataclass(frozen=True)
class RelationSeen:
    """One relation, and what archiving its orphans would take.

    Attributes:
        keys: ids of the documents to be archived, or of those whose elements are.
        orphans: documents or elements that would be archived; of more documents than max_delete, all that were found.
        bytes: of them.
        stays: how many of the others stay, by the reason.
        total: documents of the collection, counted one by one.
        reference_types, key_types: how many values of each type the field holds; of which types the keys are.
        examples: some documents and what they refer to.
        obstacle: why nothing of the collection can be archived.
        file_bytes: of the collection and its indexes; indexes: how many.
    """

    findings: RelationFindings
    keys: Tuple[str, ...] = ()
    orphans: int = 0
    bytes: int = 0
    stays: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    reference_types: Mapping[str, int] = field(default_factory=dict)
    key_types: Tuple[str, ...] = ()
    examples: Tuple[str, ...] = ()
    obstacle: str = ""
    file_bytes: int = 0
    indexes: int = 1

    @property
    def relation(self) -> Relation:
        return self.findings.relation


@dataclass(frozen=True)
class ArchiveSeen:
    """The archive of one collection.

    Attributes:
        pending: entries that a run which was cut off had under way.
        old, old_bytes: entries from before the moment in question.
        young: later ones.
        restorable, restorable_bytes: entries of the run in question that can be put back, or are there already.
        collisions: what cannot be put back, and why.
        obstacle: why nothing can be put back.
    """

    collection: str
    pending: int = 0
    old: int = 0
    old_bytes: int = 0
    young: int = 0
    restorable: int = 0
    restorable_bytes: int = 0
    collisions: Tuple[Tuple[str, str], ...] = ()
    obstacle: str = ""


@dataclass(frozen=True)
class OrphanObservation:
    """What the planner decides on.

    Attributes:
        database: its name.
        disk_free: free bytes on the primary's data file system, None when not known.
        replica_set: removing makes the files grow before it makes them free.
        purged_before: the moment by which entries of archives were counted as old or young.
    """

    database: str
    relations: Tuple[RelationSeen, ...] = ()
    archives: Tuple[ArchiveSeen, ...] = ()
    disk_free: Optional[int] = None
    replica_set: bool = False
    runs: Tuple[str, ...] = ()
    purged_before: Optional[datetime] = None


def archive_run(policy: OrphanPolicy, now: datetime) -> str:
    """The id under which what is archived now can be restored. Pure."""
    return policy.run_id or "%s.%06d-orphans" % (compact_utc(now), now.microsecond)


def plan_orphans(observation: OrphanObservation, policy: OrphanPolicy, now: datetime) -> Plan[OrphanWork]:
    """What to do. Pure.

    Raises:
        MaintenanceError: something about it is doubtful; its details show what would have been done.
    """
    if policy.action == "purge":
        return _plan_purge(observation, policy, now)
    if policy.action == "restore":
        return _plan_restore(observation, policy)
    plan: Plan[OrphanWork] = Plan()
    if policy.action == "archive":
        _plan_archive(observation, policy, now, plan)
    return plan


def is_forbidden(collection: str, policy: OrphanPolicy) -> bool:
    """Whether a collection holds business records that the user has not named. Pure."""
    return is_business_record(collection) and collection not in policy.allowed


def _plan_archive(observation: OrphanObservation, policy: OrphanPolicy, now: datetime, plan: Plan[OrphanWork]) -> None:
    concerned: List[RelationSeen] = []
    for archive in observation.archives:
        if archive.pending:
            plan.actions.append(
                Action(
                    "settle",
                    "%s.%s" % (observation.database, archive_name(archive.collection)),
                    "a run was cut off that had %s under way" % entries(archive.pending),
                    Settle(archive.collection),
                )
            )
    for seen in observation.relations:
        relation, findings = seen.relation, seen.findings
        name = "%s.%s" % (observation.database, relation.name)
        if relation.action != "archive":
            continue
        if is_forbidden(relation.collection, policy):
            plan.kept.append(
                Kept(name, "business records are only reported: allow_business_records does not name the collection")
            )
            if findings.orphans:
                plan.warnings.append(
                    "%s: %d orphans are reported and not archived, as they are business records: name %s in"
                    " allow_business_records to archive them all the same."
                    % (relation.name, findings.orphans, relation.collection)
                )
            continue
        if not findings.judged and findings.reason == "there is no collection %s" % relation.collection:
            plan.kept.append(Kept(name, findings.reason))
            continue
        concerned.append(seen)
        if findings.too_young:
            plan.kept.append(Kept(name, "%d orphans in documents younger than min_age" % findings.too_young))
        if findings.malformed:
            plan.kept.append(Kept(name, "%d malformed references, whose writer has to be mended" % findings.malformed))
        plan.kept.extend(Kept(name, "%d documents: %s" % (seen.stays[why], why)) for why in sorted(seen.stays))
        if seen.keys:
            plan.actions.append(
                Action(
                    "archive",
                    name,
                    "%d orphan%s in %d of %d documents, to %s"
                    % (
                        seen.orphans,
                        "" if seen.orphans == 1 else "s",
                        len(seen.keys),
                        seen.total,
                        archive_name(relation.collection),
                    ),
                    ArchiveOrphans(relation, seen.keys, archive_run(policy, now)),
                    seen.bytes,
                )
            )
    _refuse_doubtful(observation, concerned, policy, plan)


def doubt(seen: RelationSeen, policy: OrphanPolicy) -> str:
    """Why a relation's orphans are not archived at all; "" when nothing speaks against it. Pure."""
    findings = seen.findings
    if not findings.judged:
        return findings.reason or "it cannot be judged"
    if seen.obstacle:
        return seen.obstacle
    if findings.incomparable and not findings.references:
        return "no form of an id matches any type there: no value of the field can be equal to any key"
    return doubtful_share(seen, policy)


def doubtful_share(seen: RelationSeen, policy: OrphanPolicy) -> str:
    """That too many documents are orphans for the relation to be right; "" when they are not. Pure."""
    findings = seen.findings
    holders = findings.documents + findings.too_young
    if holders and holders * 100.0 > policy.max_percent * seen.total:
        return (
            "%d of %d documents (%.1f %%) are orphans or hold some, more than max_percent (%g): a wrong relation looks like this"
            % (
                holders,
                seen.total,
                100.0 * holders / max(1, seen.total),
                policy.max_percent,
            )
        )
    return ""


def describe_types(seen: RelationSeen) -> str:
    """Counts, types and examples, for a person who is to see what is wrong. Pure."""
    relation = seen.relation
    held = ", ".join("%s %d" % (kind, seen.reference_types[kind]) for kind in sorted(seen.reference_types))
    text = "%s holds %s; %s.%s is %s" % (
        relation.name,
        held or "nothing",
        relation.references,
        relation.key,
        ", ".join(seen.key_types) or "of no type that can be referred to",
    )
    return "%s; for example %s" % (text, ", ".join(seen.examples)) if seen.examples else text


def growth(seen: RelationSeen) -> int:
    """By how many bytes a collection's files may grow while documents are removed from it: to twice their size at most
    (measured on 6.0.27). Pure."""
    return min(seen.file_bytes, seen.bytes + len(seen.keys) * (1 + seen.indexes) * PAGES)


def _refuse_doubtful(
    observation: OrphanObservation, concerned: Sequence[RelationSeen], policy: OrphanPolicy, plan: Plan[OrphanWork]
) -> None:
    details = dict(plan.as_dict(), relations=[seen.findings.as_dict() for seen in observation.relations])
    doubts = [(seen, doubt(seen, policy)) for seen in concerned]
    doubts = [(seen, why) for seen, why in doubts if why]
    if doubts:
        raise MaintenanceError(
            "nothing was archived: %s"
            % "; ".join("%s: %s (%s)" % (seen.relation.name, why, describe_types(seen)) for seen, why in doubts),
            target=observation.database,
            next_step="Correct the relation, or take the action archive from it.%s"
            % (
                " If it is right all the same, raise max_percent."
                if any(why == doubtful_share(seen, policy) for seen, why in doubts)
                else ""
            ),
            details=details,
        )
    orphans = sum(seen.orphans for seen in concerned)
    if policy.max_delete is None:
        raise MaintenanceError(
            "archiving needs max_delete, the most orphans that may go",
            target=observation.database,
            next_step="%d would go now. Look at the report, then set it." % orphans,
            details=details,
        )
    if orphans > policy.max_delete:
        raise MaintenanceError(
            "%d orphans would be archived, more than max_delete (%d)" % (orphans, policy.max_delete),
            target=observation.database,
            next_step="Nothing was changed. Look at the relations, then raise max_delete or name fewer of them.",
            details=details,
        )
    archiving = [seen for seen in concerned if seen.keys]
    needed = DISK_RESERVE + sum(2 * seen.bytes for seen in archiving)
    needed += sum(growth(seen) for seen in archiving) if observation.replica_set else 0
    if archiving and observation.disk_free is not None and observation.disk_free < needed:
        raise InsufficientSpace(
            "archiving may take %s on the server's disk, and %s are free"
            % (format_size(needed), format_size(observation.disk_free)),
            target=observation.database,
            next_step="%sMake room, or archive fewer at a time."
            % ("On a replica set files grow before what was removed comes free. " if observation.replica_set else ""),
            details=details,
        )


def _plan_purge(observation: OrphanObservation, policy: OrphanPolicy, now: datetime) -> Plan[OrphanWork]:
    plan: Plan[OrphanWork] = Plan()
    # What has grown old since it was counted is in no plan.
    before = format_utc(observation.purged_before or now - timedelta(seconds=policy.grace))
    for seen in observation.archives:
        name = "%s.%s" % (observation.database, archive_name(seen.collection))
        if is_forbidden(seen.collection, policy):
            plan.kept.append(Kept(name, "business records: allow_business_records does not name %s" % seen.collection))
            continue
        if seen.pending:
            plan.kept.append(
                Kept(name, "%s of a run that was cut off: archive or restore again" % entries(seen.pending))
            )
        if seen.young:
            plan.kept.append(Kept(name, "%s archived within %s" % (entries(seen.young), format_duration(policy.grace))))
        if seen.old:
            plan.actions.append(
                Action(
                    "purge",
                    name,
                    "%s archived more than %s ago" % (entries(seen.old), format_duration(policy.grace)),
                    PurgeArchive(seen.collection, before),
                    seen.old_bytes,
                )
            )
    count = sum(seen.old for seen in observation.archives if not is_forbidden(seen.collection, policy))
    if policy.max_delete is not None and count > policy.max_delete:
        raise MaintenanceError(
            "%s of archives would be removed, more than max_delete (%d)" % (entries(count), policy.max_delete),
            target=observation.database,
            next_step="Nothing was removed. Look at the plan, then raise max_delete.",
            details=plan.as_dict(),
        )
    return plan


def _plan_restore(observation: OrphanObservation, policy: OrphanPolicy) -> Plan[OrphanWork]:
    plan: Plan[OrphanWork] = Plan()
    for seen in observation.archives:
        name = "%s.%s" % (observation.database, seen.collection)
        if seen.obstacle:
            plan.kept.append(Kept(name, seen.obstacle))
            plan.warnings.append("%s: nothing is put back: %s." % (name, seen.obstacle))
            continue
        plan.kept.extend(Kept("%s %s" % (name, target), why) for target, why in seen.collisions)
        if seen.collisions:
            plan.warnings.append(
                "%s: %d cannot be put back without overwriting what is there (such as %s: %s); they stay in %s."
                % (name, len(seen.collisions), *seen.collisions[0], archive_name(seen.collection))
            )
        if seen.restorable:
            plan.actions.append(
                Action(
                    "restore",
                    name,
                    "%s archived by %s" % (entries(seen.restorable), policy.restored_run),
                    RestoreArchived(seen.collection, policy.restored_run),
                    seen.restorable_bytes,
                )
            )
    return plan


def entries(count: int) -> str:
    """So many entries of an archive, in words. Pure."""
    return "%d entr%s" % (count, "y" if count == 1 else "ies")
