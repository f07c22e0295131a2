# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a backup may be restored into the shop's own database, and what that would change. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import List, Optional, Sequence, Tuple, Union

from .._core.clock import parse_utc
from .._core.errors import InsufficientSpace, MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan
from .._core.units import format_size
from .catalogue import Backup
from .file_comparison import PartChange

# Data files with indexes take less than the raw documents, which are packed in them; the server's journal, and air (measured).
DATA_FACTOR = 1.3
SERVER_BYTES = 256 * 1024 * 1024
# Where nobody knows since when the shop is closed, a safety backup must at least be young.
MAX_SAFETY_SECONDS = 24 * 3600
CREATE, REPLACE, SAME, STAYS = "create", "replace", "same", "stays"


@dataclass(frozen=True)
class CollectionChange:
    """One collection now and then.

    Attributes:
        kind: collection, view or timeseries; of the backup's where it has one.
        change: create, replace, same (it is already as in the backup) or stays (the backup does not hold it).
        now, then: documents; None where there is no collection, 0 of a view. Of a time-series collection its buckets count.
        bytes: of the raw documents in the backup.
    """

    name: str
    kind: str
    change: str
    now: Optional[int] = None
    then: Optional[int] = None
    bytes: int = 0

    def __str__(self) -> str:
        if self.kind == "view":
            return "view"
        unit = "buckets" if self.kind == "timeseries" else "documents"
        return "none" if self.now is None else "%d %s" % (self.now, unit)


@dataclass(frozen=True)
class LiveObservation:
    """What was found. Sizes in bytes.

    Attributes:
        backup: None in check mode before there is one.
        database: the live one.
        leftovers: ids of the notes of restores that were killed.
        changes: every collection of either side.
        free: on the file system of the server's data, None where it does not tell.
        clients: who else is connected to the server; None where this user may not know.
        in_maintenance: whether nginx or the application turns visitors away.
        maintenance_since: since when, as a UTC timestamp; "" where nobody knows.
        maintenance_owner: who put it up, "" where nobody knows.
        safety: the backup of what is live now.
        skipped: what is in the archive and not restored, a sentence each.
        passed_over: newer files that cannot be backups, with the reason.
        files: each part of the backup that is to be restored beside the database.
        absent: parts that are asked for and are not in the backup, with the reason where the backup knows it.
        unasked: parts of the backup that are not asked for.
    """

    source: str
    backup: Optional[Backup]
    database: str
    address: str
    at: datetime
    leftovers: Tuple[str, ...] = ()
    changes: Tuple[CollectionChange, ...] = ()
    free: Optional[int] = None
    clients: Optional[Tuple[str, ...]] = ()
    in_maintenance: bool = False
    maintenance_since: str = ""
    maintenance_owner: str = ""
    safety: Optional[Backup] = None
    skipped: Tuple[str, ...] = ()
    passed_over: Tuple[str, ...] = ()
    files: Tuple[PartChange, ...] = ()
    absent: Tuple[Tuple[str, str], ...] = ()
    unasked: Tuple[str, ...] = ()

    @property
    def differing(self) -> List[CollectionChange]:
        """The collections that a restore makes anew."""
        return [change for change in self.changes if change.change in (CREATE, REPLACE)]

    @property
    def differing_files(self) -> List[PartChange]:
        """The parts of which at least one file is created or replaced."""
        return [part for part in self.files if part.changes]

    @property
    def loses_nothing(self) -> bool:
        """Whether there is nothing that a restore could cost."""
        return not self.live_documents and not any(part.replace for part in self.files)

    @property
    def live_documents(self) -> int:
        return sum(change.now or 0 for change in self.changes)


@dataclass(frozen=True)
class LivePolicy:
    """What is asked for.

    Attributes:
        min_free: bytes that are to stay free.
        safety_backup: path of the backup of what is live now; "" for none.
        require_maintenance: only while visitors are turned away.
        allow_clients: also while others are connected to the server.
        check: in check mode what stands in the way is a warning, since a play would deal with it first.
    """

    min_free: int
    safety_backup: str = ""
    require_maintenance: bool = True
    allow_clients: bool = False
    check: bool = False


@dataclass(frozen=True)
class SettleRestore:
    """Finish or undo the restore that the note of this id is about."""

    id: str


@dataclass(frozen=True)
class RestoreDatabase:
    """Restore these collections and parts of this archive in the place of the live ones.

    Attributes:
        path: of the archive; "" where check mode assumes one.
        files: names of the parts of which files change.
    """

    path: str
    collections: Tuple[str, ...] = ()
    files: Tuple[str, ...] = ()


LiveWork = Union[SettleRestore, RestoreDatabase]


def needed_space(wanted: Sequence[CollectionChange]) -> int:
    """Bytes that the new set takes beside the old one, which stays until all is proven."""
    return int(sum(change.bytes for change in wanted) * DATA_FACTOR) + SERVER_BYTES if wanted else 0


def plan_live_restore(observation: LiveObservation, policy: LivePolicy) -> Plan[LiveWork]:
    """What a killed restore has left is put in order first, then all collections that differ change at once.

    Raises:
        MaintenanceError: something stands in the way, and nothing was done.
    """
    plan: Plan[LiveWork] = Plan(warnings=[*observation.passed_over, *observation.skipped])
    for note in observation.leftovers:
        reason = "a restore was killed half way: it is undone, or finished where its new data was in place already"
        plan.actions.append(Action("settle_restore", observation.database, reason, SettleRestore(note)))
    backup = observation.backup
    if backup is None:
        work = RestoreDatabase("")
        reason = "restored in the place of the live database"
        plan.actions.append(
            Action("restore_database", observation.database, reason, work, assumes="a backup that is there by then")
        )
        return plan
    differing = observation.differing
    for change in observation.changes:
        target = "%s.%s" % (observation.database, change.name)
        if change.change == SAME:
            plan.kept.append(Kept(target, "it is as in the backup (%s)" % change))
        elif change.change == STAYS:
            plan.kept.append(Kept(target, "not restored from this backup: it stays as it is (%s)" % change))
    _keep_files(plan, observation)
    parts = observation.differing_files
    if not differing and not parts and not observation.leftovers:
        return plan
    # Of a database that is half way nobody can tell: it is looked at again when it is in order.
    obstacles = obstacles_of(observation, policy) if not observation.leftovers else []
    if obstacles and not policy.check:
        raise obstacles[0]
    if observation.clients is None:
        plan.warnings.append(
            "The user of the connection string may not see who else is connected to the server (privilege inprog): make sure"
            " that nobody writes."
        )
    plan.warnings += ["A real run would be refused as things are now: %s" % error for error in obstacles]
    reason = "%d collections restored beside the live ones, compared, and swapped (%d documents now, %d then)" % (
        len(differing),
        sum(change.now or 0 for change in differing),
        sum(change.then or 0 for change in differing),
    )
    if parts:
        told = [
            "%s in %s (%d new, %d other)" % (part.name, part.place, part.created_files, len(part.replace))
            for part in parts
        ]
        files = "files unpacked beside, compared, and swapped: %s" % ", ".join(told)
        reason = "%s; %s" % (reason, files) if differing or observation.leftovers else files
    names = tuple(change.name for change in differing)
    size = sum(change.bytes for change in differing) + sum(part.bytes for part in parts)
    assumes = "a verified backup of what is live now" if assumes_safety(observation, policy) else ""
    if observation.leftovers:
        assumes = "that the database is in order again"
    work = RestoreDatabase(backup.path, names, tuple(part.name for part in parts))
    verb, target = "restore_database", observation.database
    if parts and not differing and not observation.leftovers:
        verb, target = "restore_files", ", ".join(part.name for part in parts)
    plan.actions.append(Action(verb, target, reason, work, size, assumes=assumes))
    return plan


def _keep_files(plan: Plan[LiveWork], observation: LiveObservation) -> None:
    """What stays as it is of the files, and what somebody should know of them."""
    for part in observation.files:
        if part.same:
            plan.kept.append(Kept(part.place, "%d files are as in the backup" % part.same))
        for path in part.stays:
            plan.kept.append(Kept("%s/%s" % (part.place, path), "the backup does not hold it: it stays"))
        if part.name == ".env" and part.changes:
            plan.warnings.append(
                "%s is replaced by that of the backup: passwords that were changed since are the old ones in it, and the"
                " servers keep the new ones." % part.place
            )
    for name, reason in observation.absent:
        plan.kept.append(Kept(name, "the backup does not hold it" + (": " + reason if reason else "")))
        if reason:
            plan.warnings.append("The backup holds no %s (%s): what is there now stays." % (name, reason))
    for name in observation.unasked:
        plan.kept.append(Kept(name, "it is in the backup, and not among the components that are restored"))


def obstacles_of(observation: LiveObservation, policy: LivePolicy) -> List[MaintenanceError]:
    """What stands in the way of a restore now, each with what to do about it."""
    found = []
    empty = observation.loses_nothing
    for part in observation.files:
        if part.conflicts:
            found.append(
                MaintenanceError(
                    "a directory, or what is no file, stands where the backup has something else: %s"
                    % ", ".join(part.conflicts[:5]),
                    target=part.place,
                    next_step="Look at it and move it away, or leave %s out of components." % part.name,
                )
            )
    if policy.require_maintenance and not observation.in_maintenance and not empty:
        found.append(
            MaintenanceError(
                "the shop is not in maintenance: what its customers do meanwhile would be lost",
                target=observation.database,
                next_step="Put up maintenance and stop the API and the worker, as the playbook restore does.",
            )
        )
    if observation.clients and not policy.allow_clients:
        found.append(still_connected(observation.clients, observation.address))
    # In check mode the play has not made one yet: the plan says that it assumes one.
    if not empty and not assumes_safety(observation, policy):
        problem = safety_problem(observation, policy)
        if problem:
            found.append(
                MaintenanceError(
                    "what is live now is not safe: " + problem,
                    target=policy.safety_backup or observation.database,
                    next_step="Make a backup now, with the shop in maintenance, and give its path as safety_backup.",
                )
            )
    found += _short_of_space(observation, policy)
    needed = needed_space(observation.differing)
    if observation.free is not None and observation.free < needed + policy.min_free:
        found.append(
            InsufficientSpace(
                "not enough space: the data exists twice until it is proven; %s free, about %s needed and %s to stay free"
                " (min_free)" % (format_size(observation.free), format_size(needed), format_size(policy.min_free)),
                target="the data of %s" % observation.address,
                next_step="Free some space there. Nothing was written.",
                details={"bytes_free": observation.free, "bytes_needed": needed + policy.min_free},
            )
        )
    return found


def _short_of_space(observation: LiveObservation, policy: LivePolicy) -> List[MaintenanceError]:
    """File systems on which the files do not fit beside those that are there."""
    found: List[MaintenanceError] = []
    parts = observation.differing_files
    for device in sorted({part.device for part in parts}):
        there = [part for part in parts if part.device == device and part.free is not None]
        # What goes into a container waits unpacked, and as its engine takes it.
        needed = sum(part.bytes * (2 if part.container else 1) for part in there) + policy.min_free
        if there and there[0].free < needed:
            found.append(
                InsufficientSpace(
                    "not enough space: files exist twice until all are proven; %s free, %s needed (with min_free)"
                    % (format_size(there[0].free), format_size(needed)),
                    target=", ".join(part.place for part in there),
                    next_step="Free some space there. Nothing was written.",
                    details={"bytes_free": there[0].free, "bytes_needed": needed},
                )
            )
    return found


def assumes_safety(observation: LiveObservation, policy: LivePolicy) -> bool:
    """Whether a backup of what is live now would have been made before."""
    return policy.check and not policy.safety_backup and not observation.loses_nothing


def still_connected(clients: Tuple[str, ...], address: str) -> MaintenanceError:
    return MaintenanceError(
        "others are connected to the database, and what they write meanwhile would be lost: %s"
        % ", ".join(clients[:5]),
        target=address,
        next_step="Stop the API and the worker and close shells; allow_clients lets in what only reads, such as a monitor.",
    )


def safety_problem(observation: LiveObservation, policy: LivePolicy) -> str:
    """Why the safety backup does not hold what is live now; "" when it does."""
    safety = observation.safety
    if not policy.safety_backup:
        return "no safety backup is named (safety_backup)"
    if safety is None:
        return "there is no safety backup under this path"
    record = safety.verification
    if record is None:
        return "the safety backup is not verified"
    if record.database != observation.database or record.address not in ("", observation.address):
        return "the safety backup is of another database (%s on %s)" % (record.database, record.address)
    if observation.maintenance_since and parse_utc(record.started) < parse_utc(observation.maintenance_since):
        return "the safety backup is older than the maintenance, which is up since %s" % observation.maintenance_since
    age = (observation.at - parse_utc(record.started)).total_seconds()
    if not observation.maintenance_since and age > MAX_SAFETY_SECONDS:
        return "the safety backup is older than a day, and nobody knows since when the shop is closed"
    unsafe = [part.name for part in observation.files if part.replace and part.name not in record.components]
    if unsafe:
        return "the safety backup does not hold %s, of which files are replaced" % ", ".join(unsafe)
    if observation.differing and record.documents < observation.live_documents:
        return "the safety backup holds %d documents, and the database %d" % (
            record.documents,
            observation.live_documents,
        )
    return ""
