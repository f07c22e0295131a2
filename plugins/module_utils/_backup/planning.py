# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether to back up, and with how much space. Pure: an observation and options in, a plan out."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import List, Mapping, Optional, Sequence, Tuple

from .._core.errors import InsufficientSpace, MaintenanceError
from .._core.legacy_plan import Action, Kept, Plan
from .._core.units import format_duration, format_size
from .catalogue import Backup, Catalogue, backup_name

# Raw BSON of a shop shrinks to about half (measured: 0.46 to 0.49); some more, for data that shrinks less.
DEFAULT_RATIO = 0.6
MARGIN = 1.1


@dataclass(frozen=True)
class Included:
    """One directory or file to back up beside the database, as found.

    Attributes:
        problem: why it cannot be read; "" when it can.
        optional: a problem is noted and does not stand in the way.
        bytes, files: as found now.
    """

    name: str
    source: str
    bytes: int = 0
    files: int = 0
    optional: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Wishes:
    """The options that decide, and which server is to be backed up ("" for any).

    Attributes:
        consistency: as asked for; only snapshot and locked demand something of a backup that is to be reused.
        check: documents or checksums.
    """

    dest: str
    fresh_within: float
    fresh_within_text: str
    min_free: int
    encrypted: bool = False
    address: str = ""
    consistency: str = "auto"
    check: str = "checksums"


@dataclass
class Observation:
    """What was found. Sizes in bytes."""

    database: str
    address: str
    catalogue: Catalogue
    consistency: str = "none"
    collections: int = 0
    documents: int = 0
    bytes_documents: int = 0
    included: Sequence[Included] = ()
    free: int = 0
    locked_leftovers: List[str] = field(default_factory=list)


def wanted_components(included: Sequence[Included]) -> Mapping[str, str]:
    """What must be in a backup beside the database: sources by name."""
    return {entry.name: entry.source for entry in included if not (entry.optional and entry.problem)}


def reusable(
    catalogue: Catalogue, database: str, wanted: Mapping[str, str], wishes: Wishes, now: datetime
) -> Tuple[Optional[Backup], str]:
    """The verified backup that makes a new one unnecessary, and if there is none why not.

    Args:
        wanted: where each component that must be in it comes from, by its name.
    """
    if wishes.fresh_within <= 0:
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
        if age > wishes.fresh_within:
            return None, "the newest verified backup %s is %s old, more than %s" % (
                backup.name,
                format_duration(age),
                wishes.fresh_within_text,
            )
        missing = sorted(set(wanted) - set(record.components))
        known = dict(record.sources)
        moved = sorted(name for name in wanted if known.get(name) != wanted[name])
        if record.database != database:
            why = "%s is of another database (%s)" % (backup.name, record.database)
        elif record.address and wishes.address and record.address != wishes.address:
            why = "%s is of another server (%s)" % (backup.name, record.address)
        elif missing:
            why = "%s holds no %s" % (backup.name, ", ".join(missing))
        elif moved:
            why = "%s does not say that its %s came from %s" % (backup.name, moved[0], wanted[moved[0]])
        elif wishes.consistency in ("snapshot", "locked") and record.consistency != wishes.consistency:
            why = "%s has the consistency %s" % (backup.name, record.consistency or "unknown")
        elif wishes.check == "documents" and record.check != "documents" and not record.restore_tested:
            why = "%s was not checked document by document" % backup.name
        elif wishes.encrypted and not backup.encrypted:
            why = "%s is not encrypted" % backup.name
        elif age < 0:
            why = "%s is dated in the future" % backup.name
        else:
            return backup, ""
    return None, why


def expected_bytes(observation: Observation) -> int:
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


def plan_backup(observation: Observation, wishes: Wishes, now: datetime) -> Plan:
    """Leftovers to remove, then one backup, or none when a fresh one is there.

    Raises:
        MaintenanceError: something that must be backed up is not there, the database is empty, or there is no space.
    """
    plan = Plan()
    for path, size in observation.catalogue.partials:
        plan.actions.append(
            Action(
                "remove_leftover", path, "unfinished backup of a run that was killed", bytes=size, data={"path": path}
            )
        )
    for path in observation.catalogue.orphan_sidecars:
        plan.actions.append(
            Action("remove_leftover", path, "record of a backup that is gone", data={"path": path, "sidecar": True})
        )
    if observation.locked_leftovers:
        # One lock, however many notes: those of others count, too, and nobody can tell them apart.
        plan.actions.append(
            Action(
                "release_lock",
                observation.address,
                "a killed run left the server locked against writes",
                data={"leftovers": list(observation.locked_leftovers)},
            )
        )
    wanted = wanted_components(observation.included)
    for entry in observation.included:
        if entry.problem and entry.optional:
            plan.warnings.append("%s will not be in the backup: %s (%s)" % (entry.name, entry.problem, entry.source))
    backup, why = reusable(observation.catalogue, observation.database, wanted, wishes, now)
    if backup is not None:
        plan.kept.append(
            Kept(
                backup.path,
                "verified and %s old, within fresh_within (%s): reused"
                % (format_duration(backup.age_seconds(now)), wishes.fresh_within_text),
            )
        )
        return plan
    _require(observation)
    size = expected_bytes(observation)
    freed = sum(size_of for _path, size_of in observation.catalogue.partials)
    needed = int(size * MARGIN) * (2 if wishes.encrypted else 1)
    if observation.free + freed < needed + wishes.min_free:
        raise InsufficientSpace(
            "not enough space for the backup: %s free, about %s needed and %s to stay free (min_free)"
            % (format_size(observation.free + freed), format_size(needed), format_size(wishes.min_free)),
            target=wishes.dest,
            next_step="Free some space there or set dest to another file system. Nothing was written.",
            details={"bytes_free": observation.free, "bytes_needed": needed + wishes.min_free},
        )
    target = os.path.join(wishes.dest, backup_name(now, wishes.encrypted))
    plan.actions.append(Action("back_up", target, why, bytes=size, predicted=True))
    return plan


def _require(observation: Observation) -> None:
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
