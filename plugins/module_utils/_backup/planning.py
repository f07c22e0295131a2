# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether to back up, and with how much space. Pure: an observation and options in, a plan out."""

from __future__ import annotations

import os
from dataclasses import field
from datetime import datetime
from typing import Mapping, Optional, Sequence, Tuple, Union

from .._core.errors import InsufficientSpace, MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .._core.units import format_duration, format_size
from .catalogue import Backup, Catalogue, backup_name

# Raw BSON of a shop shrinks to about half (measured: 0.46 to 0.49); some more, for data that shrinks less.
DEFAULT_RATIO = 0.6
MARGIN = 1.1
# What a backup that is to be reused must have where it matters; one with an oplog is a snapshot, too.
_AS_CONSISTENT = {"snapshot": ("snapshot", "oplog"), "oplog": ("oplog",), "locked": ("locked",)}
LACKING_STEP = (
    "A shop restored from this would be without them: see whether this is where the application writes (UPLOAD_DIR,"
    " STORAGE_PATH), and whether what is to be mounted there is."
)


@dataclass(frozen=True)
class Included:
    """One directory or file to back up beside the database, as found.

    Attributes:
        problem: why it cannot be read; "" when it can.
        optional: a problem is noted and does not stand in the way.
        bytes, files: as found now.
        lacking: what it lacks of that which the application or its database says to be there; "" when nothing is known to be.
    """

    name: str
    source: str
    bytes: int = 0
    files: int = 0
    optional: bool = False
    problem: str = ""
    lacking: str = ""


@dataclass(frozen=True)
class BackupPolicy:
    """The options that decide.

    Attributes:
        fresh_within: in seconds, with the text that it was given as.
        min_free: bytes.
        consistency: as asked for; only snapshot, oplog and locked demand something of a backup that is to be reused.
        check: documents or checksums.
        tags: what a backup that is to be reused must be tagged with.
    """

    dest: str
    fresh_within: float
    fresh_within_text: str
    min_free: int
    encrypted: bool = False
    consistency: str = "auto"
    check: str = "checksums"
    tags: Tuple[str, ...] = ()


@dataclass(frozen=True)
class DumpConsistency:
    """How the dump is to be read: snapshot, oplog, locked or none, what that means for the reader of the manifest, and whether it
    may begin again without a snapshot."""

    mode: str = "none"
    note: str = ""
    fallback: bool = False


@dataclass(frozen=True)
class BackupObservation:
    """What was found. Sizes in bytes.

    Attributes:
        address: the server to be backed up; "" for any.
        at: when it was observed.
        collections, documents, bytes_documents, free: 0 where an earlier backup will do, and nobody looked.
        locks_left: ids of the notes about a lock that a killed run has left on the server.
        locks_gone: of those about one that cannot stand any more.
        unknown_lock: what to say of a lock that may be anybody's; "" when there is none.
        unknown_lacks: what to say of entries of which nobody could find out whether they lack anything.
    """

    database: str
    address: str
    catalogue: Catalogue
    at: datetime
    consistency: DumpConsistency = DumpConsistency()
    collections: int = 0
    documents: int = 0
    bytes_documents: int = 0
    included: Tuple[Included, ...] = ()
    free: int = 0
    locks_left: Tuple[str, ...] = ()
    locks_gone: Tuple[str, ...] = ()
    unknown_lock: str = ""
    unknown_lacks: Tuple[str, ...] = ()

    @property
    def lacking(self) -> Mapping[str, str]:
        """What a backup made now would lack, by the name of the entry."""
        return {entry.name: entry.lacking for entry in self.included if entry.lacking}


@dataclass(frozen=True)
class RemoveLeftover:
    """Remove what a killed run has left in the directory: a partial archive, or the record of a backup that is gone."""

    path: str
    record: bool = False


@dataclass(frozen=True)
class ReleaseLock:
    """Release the one lock that notes of these ids are about."""

    notes: Tuple[str, ...]


@dataclass(frozen=True)
class MakeBackup:
    """Make this archive.

    Attributes:
        wanted: what must be in one that somebody else makes meanwhile, so that it will do: sources by name.
        lacking: what it will lack, by the name of the entry; for its manifest and record.
    """

    path: str
    database: str
    consistency: DumpConsistency
    wanted: Mapping[str, str]
    lacking: Mapping[str, str] = field(default_factory=dict)


BackupWork = Union[RemoveLeftover, ReleaseLock, MakeBackup]


def wanted_components(included: Sequence[Included]) -> Mapping[str, str]:
    """What must be in a backup beside the database: sources by name."""
    return {entry.name: entry.source for entry in included if not (entry.optional and entry.problem)}


def reusable(
    catalogue: Catalogue,
    database: str,
    address: str,
    wanted: Mapping[str, str],
    lacking: Mapping[str, str],
    policy: BackupPolicy,
    now: datetime,
) -> Tuple[Optional[Backup], str]:
    """The verified backup that makes a new one unnecessary, and if there is none why not.

    Args:
        address: of the server; "" for any.
        wanted: where each component that must be in it comes from, by its name.
        lacking: what a new one would lack as well.
    """
    if policy.fresh_within <= 0:
        return None, "fresh_within is 0"
    why = "there is no verified backup yet"
    for backup in reversed(catalogue.backups):
        record = backup.verification
        if record is None:
            if backup.stale:
                why = "%s has changed since it was verified" % backup.name
            elif backup.restore_failed:
                why = "%s was proven not to restore" % backup.name
            continue
        age = backup.age_seconds(now)
        if age > policy.fresh_within:
            return None, "the newest verified backup %s is %s old, more than %s" % (
                backup.name,
                format_duration(age),
                policy.fresh_within_text,
            )
        missing = sorted(set(wanted) - set(record.components))
        known = dict(record.sources)
        healed = [name for name, _why in record.lacking if name in wanted and name not in lacking]
        moved = sorted(name for name in wanted if known.get(name) != wanted[name])
        if record.database != database:
            why = "%s is of another database (%s)" % (backup.name, record.database)
        elif record.address and address and record.address != address:
            why = "%s is of another server (%s)" % (backup.name, record.address)
        elif healed:
            why = "%s lacks files of %s, which are there now" % (backup.name, ", ".join(healed))
        elif missing:
            why = "%s holds no %s" % (backup.name, ", ".join(missing))
        elif moved:
            why = "%s does not say that its %s came from %s" % (backup.name, moved[0], wanted[moved[0]])
        elif record.consistency not in _AS_CONSISTENT.get(policy.consistency, (record.consistency,)):
            why = "%s has the consistency %s" % (backup.name, record.consistency or "unknown")
        elif policy.check == "documents" and record.check != "documents" and not record.restore_tested:
            why = "%s was not checked document by document" % backup.name
        elif not set(policy.tags) <= backup.tags:
            why = "%s is not tagged %s" % (backup.name, ", ".join(sorted(set(policy.tags) - backup.tags)))
        elif policy.encrypted and not backup.encrypted:
            why = "%s is not encrypted" % backup.name
        elif age < 0:
            why = "%s is dated in the future" % backup.name
        else:
            return backup, ""
    return None, why


def expected_bytes(observation: BackupObservation) -> int:
    """How large the new backup will be, from how well the last verified one was compressed."""
    ratio = DEFAULT_RATIO
    last = observation.catalogue.newest_verified()
    if last is not None and last.verification is not None:
        raw = last.verification.bytes_documents + last.verification.bytes_files
        if raw:
            ratio = min(1.1, max(0.02, last.size / raw))
    files = sum(entry.bytes for entry in observation.included if not entry.problem)
    # Files are mostly images: count them in full.
    return int(observation.bytes_documents * ratio) + files + 64 * 1024


def plan_backup(observation: BackupObservation, policy: BackupPolicy, now: datetime) -> Plan[BackupWork]:
    """Leftovers to remove, then one backup, or none when a fresh one is there.

    Raises:
        MaintenanceError: something that must be backed up is not there, the database is empty, or there is no space.
    """
    plan: Plan[BackupWork] = Plan()
    for path, size in observation.catalogue.partials:
        reason = "unfinished backup of a run that was killed"
        plan.actions.append(Action("remove_leftover", path, reason, RemoveLeftover(path), size))
    for path in observation.catalogue.orphan_sidecars:
        reason = "record of a backup that is gone"
        plan.actions.append(Action("remove_leftover", path, reason, RemoveLeftover(path, record=True)))
    if observation.locks_left:
        # One lock, however many notes: those of others count, too, and nobody can tell them apart.
        reason = "a killed run left the server locked against writes"
        plan.actions.append(Action("release_lock", observation.address, reason, ReleaseLock(observation.locks_left)))
    if observation.unknown_lock:
        plan.warnings.append(observation.unknown_lock)
    wanted = wanted_components(observation.included)
    for entry in observation.included:
        if entry.problem and entry.optional:
            plan.warnings.append("%s will not be in the backup: %s (%s)" % (entry.name, entry.problem, entry.source))
        if entry.lacking:
            plan.warnings.append("%s (%s): %s. %s" % (entry.name, entry.source, entry.lacking, LACKING_STEP))
    plan.warnings += observation.unknown_lacks
    backup, why = reusable(
        observation.catalogue, observation.database, observation.address, wanted, observation.lacking, policy, now
    )
    if backup is not None:
        plan.kept.append(
            Kept(
                backup.path,
                "verified and %s old, within fresh_within (%s): reused"
                % (format_duration(backup.age_seconds(now)), policy.fresh_within_text),
            )
        )
        return plan
    _require(observation)
    size = expected_bytes(observation)
    freed = sum(size_of for _path, size_of in observation.catalogue.partials)
    needed = int(size * MARGIN) * (2 if policy.encrypted else 1)
    if observation.free + freed < needed + policy.min_free:
        raise InsufficientSpace(
            "not enough space for the backup: %s free, about %s needed and %s to stay free (min_free)"
            % (format_size(observation.free + freed), format_size(needed), format_size(policy.min_free)),
            target=policy.dest,
            next_step="Free some space there or set dest (backup_dest) to another file system. Nothing was written.",
            details={"bytes_free": observation.free, "bytes_needed": needed + policy.min_free},
        )
    target = os.path.join(policy.dest, backup_name(now, policy.encrypted))
    work = MakeBackup(target, observation.database, observation.consistency, wanted, observation.lacking)
    plan.actions.append(Action("back_up", target, why, work, size, predicted=True))
    return plan


def _require(observation: BackupObservation) -> None:
    bad = [entry for entry in observation.included if entry.problem and not entry.optional]
    if bad:
        raise MaintenanceError(
            "what is to be backed up is not there: "
            + "; ".join("%s (%s): %s" % (entry.name, entry.source, entry.problem) for entry in bad),
            next_step="Correct the paths in include, or mark an entry optional when it may be missing. Nothing was written.",
        )
    if not observation.collections or not observation.documents:
        raise MaintenanceError(
            "the database is empty: a backup of it would be worthless",
            target="%s on %s" % (observation.database, observation.address),
            next_step="Check the name of the database and that this is the shop's server.",
        )
