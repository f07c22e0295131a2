# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to copy to the second place, what to remove there, and which copy to fetch. Pure.

Backups here and copies there are one series: the rules of the place decide about all of them, so that a backup that they
would not keep is never sent, and one that is missing there is sent later.
"""

from __future__ import annotations

import os
from dataclasses import field
from datetime import datetime
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from .._core.errors import InsufficientSpace, MaintenanceError
from .._core.late_dataclass import dataclass
from .._core.plan import Action, Kept, Plan, refuse_above
from .._core.units import format_size
from .catalogue import ArchiveId, Backup, Catalogue
from .offsite_copies import OffsiteCopy, OffsiteLeftover, OffsiteListing, copy_of, series_of
from .offsite_identity import HostIdentity
from .pruning import item_of
from .retention import Item, Policy, decide_retention

ASSUMED = "(the backup that this run would make)"
ASSUMPTION = "a verified backup made by this run"


@dataclass(frozen=True)
class OffsitePolicy:
    """The options that decide.

    Attributes:
        keep: which copies stay at the place; empty keeps all.
        owner: the name of this host at the place.
        database: only its backups and copies count; "" for all.
        encrypts: what lies at the place is encrypted, whatever is sent.
        allow_unencrypted: send archives that anybody at the place can read.
        max_copies: how many to send in one call, the newest first; 0 for any number.
        max_delete: None sets no limit.
        assume_verified: check mode only: a verified backup will have been made by then.
        name: the copy to fetch; "" for the newest.
        adopt: copies of other hosts of this name are from now on this host's own.
    """

    keep: Policy = field(default_factory=Policy)
    owner: str = ""
    database: str = ""
    encrypts: bool = False
    allow_unencrypted: bool = False
    max_copies: int = 0
    max_delete: Optional[int] = None
    assume_verified: bool = False
    name: str = ""
    adopt: bool = False


@dataclass(frozen=True)
class OffsiteObservation:
    """What was found.

    Attributes:
        catalogue: the backups here.
        listing: all copies at the place.
        free: free bytes here, for fetching; None where nobody knows.
        identity: who this host is at the place.
    """

    catalogue: Catalogue
    listing: OffsiteListing = field(default_factory=OffsiteListing)
    free: Optional[int] = None
    identity: HostIdentity = field(default_factory=HostIdentity)


@dataclass(frozen=True)
class MakePlace:
    """Make the place."""

    target: str


@dataclass(frozen=True)
class AdoptCopies:
    """Take the copies of these hosts, which had the name of this one, for this host's own."""

    hosts: Tuple[str, ...]


@dataclass(frozen=True)
class CopyBackup:
    """Send this archive, compare it there and note it.

    Attributes:
        sha256: of its record.
        unnoted: an archive of its name lies there without a note; it must be the very same.
    """

    archive: ArchiveId
    sha256: str
    unnoted: bool = False


@dataclass(frozen=True)
class RemoveCopy:
    """Remove this copy, as long as the one that is relied on is there.

    Attributes:
        after: names of what is sent before, which must be there as well: that it would come was counted on.
    """

    copy: OffsiteCopy
    relies_on: OffsiteCopy
    after: Tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoveOffsiteLeftover:
    """Remove what an interrupted transfer of ours has left at the place."""

    leftover: OffsiteLeftover


@dataclass(frozen=True)
class FetchCopy:
    """Bring this copy into the file at path."""

    copy: OffsiteCopy
    path: str


@dataclass(frozen=True)
class AssumedCopy:
    """Check mode only: the backup that the run would have made by then would be sent."""


OffsiteWork = Union[MakePlace, AdoptCopies, CopyBackup, RemoveCopy, RemoveOffsiteLeftover, FetchCopy, AssumedCopy]


def plan_copying(
    observation: OffsiteObservation, policy: OffsitePolicy, target: str, now: datetime
) -> Plan[OffsiteWork]:
    """What to send, newest first, then what to remove, oldest first.

    Args:
        now: the present moment, with its zone.

    Raises:
        MaintenanceError: there is no verified backup, the backups are of several databases and none is named, the newest one
            is not encrypted and that is not allowed, or more copies are to go than max_delete.
    """
    plan: Plan[OffsiteWork] = Plan()
    local = _sendable(observation.catalogue, policy, plan)
    listing = observation.listing
    hosts = own_hosts(listing, observation.identity, policy)
    mine = listing.of(policy.owner, policy.database, hosts)
    if not listing.exists:
        plan.actions.append(Action("make_place", target, "it is not there", MakePlace(target)))
    _tell_namesakes(listing, observation.identity, hosts, policy, target, plan)
    failed = _proven_bad(observation.catalogue, mine)
    kept, surplus = _decide(local, mine, failed, policy, now, plan)
    sending = _sending(local, listing, mine, policy, kept, plan)
    surplus = _spared(surplus, local, mine, failed, sending, policy, now, plan)
    _add_assumed(sending, observation.catalogue, policy, local, now)
    plan.actions.extend(sending)
    coming = {os.path.basename(action.target) for action in sending}
    for leftover in listing.leftovers:
        # What rsync has of one that is sent again is not sent twice.
        if leftover.archive not in coming:
            plan.actions.append(
                Action(
                    "remove_leftover",
                    leftover.archive,
                    "left by an interrupted transfer",
                    RemoveOffsiteLeftover(leftover),
                    leftover.size,
                )
            )
    removals: Plan[OffsiteWork] = Plan()
    staying = [copy for copy in mine.copies if copy.name in kept and copy.name not in failed]
    for action in sending:
        record = local[os.path.basename(action.target)].verification if isinstance(action.work, CopyBackup) else None
        if record is not None:
            staying.append(copy_of(os.path.basename(action.target), record, policy.owner, "", ""))
    relied_on = max(staying, key=lambda copy: (copy.date, copy.name), default=None)
    after = tuple(os.path.basename(action.target) for action in sending if isinstance(action.work, CopyBackup))
    for copy, reason in surplus:
        # Where only the backup that check mode assumes would stay, nothing relies on another one.
        relies_on = relied_on or (copy if policy.assume_verified else None)
        if relies_on is not None:
            removals.actions.append(
                Action("remove_copy", copy.name, reason, RemoveCopy(copy, relies_on, after), copy.size)
            )
    refuse_above(removals, policy.max_delete, "copies", target=target)
    plan.actions.extend(removals.actions)
    return plan


def own_hosts(listing: OffsiteListing, identity: HostIdentity, policy: OffsitePolicy) -> Tuple[str, ...]:
    """What this host is known by at the place. Pure."""
    return (*identity.all, *_namesakes(listing, identity, policy)) if policy.adopt else identity.all


def _namesakes(listing: OffsiteListing, identity: HostIdentity, policy: OffsitePolicy) -> Tuple[str, ...]:
    """Other hosts of this host's name that have copies there."""
    named = listing.of(policy.owner)
    found = {copy.host for copy in (*named.copies, *(copy for copy, _trouble in named.broken))}
    return tuple(sorted(found - {"", *identity.all}))


def _tell_namesakes(
    listing: OffsiteListing,
    identity: HostIdentity,
    hosts: Sequence[str],
    policy: OffsitePolicy,
    target: str,
    plan: Plan[OffsiteWork],
) -> None:
    """Copies of this host's name that this host has not made: adopted where that is wanted, else left alone and told of."""
    others = _namesakes(listing, identity, policy)
    copies = [copy for copy in listing.of(policy.owner).copies if copy.host in others]
    if others and policy.adopt:
        reason = "%s of this name, made by a host whose place this one takes" % _copies(len(copies))
        plan.actions.append(Action("adopt_copies", "%s at %s" % (policy.owner, target), reason, AdoptCopies(others)))
    elif others:
        plan.warnings.append(
            "another host has copies of the name %s at %s (%s): they are neither counted nor removed. Where two hosts share"
            " the place, give each a name of its own (owner, backup_offsite_owner). Where this host was set up anew, or got another"
            " state_dir or machine id, take them over, once: adopt (-e backup_offsite_adopt=true)."
            % (policy.owner, target, _copies(len(copies)))
        )
        plan.kept.extend(Kept(copy.name, "at the place: of another host of this name") for copy in copies)


def _copies(number: int) -> str:
    return "1 copy" if number == 1 else "%d copies" % number


def _sendable(catalogue: Catalogue, policy: OffsitePolicy, plan: Plan[OffsiteWork]) -> Dict[str, Backup]:
    """The backups here that may be sent, by name."""
    databases = sorted({backup.database for backup in catalogue.backups if backup.database})
    if not policy.database and len(databases) > 1:
        raise MaintenanceError(
            "the backups in this directory are of several databases: %s" % ", ".join(databases),
            target=catalogue.path,
            next_step="Set the option database to the one whose backups are to be copied. Nothing was sent.",
        )
    verified = [backup for backup in catalogue.of(policy.database).backups if backup.verified]
    if not verified and not policy.assume_verified:
        raise MaintenanceError(
            "there is no verified backup to copy",
            target=catalogue.path,
            next_step="Make one with mongo_backup (the playbook backup) first. Nothing was sent.",
        )
    readable = [backup for backup in verified if not backup.encrypted]
    if policy.encrypts or policy.allow_unencrypted or not readable:
        return {backup.name: backup for backup in verified}
    if readable[-1] is verified[-1]:
        raise MaintenanceError(
            "the newest backup is not encrypted, and whoever can read the second place could read it",
            target=readable[-1].path,
            next_step="Set passphrase_file for mongo_backup (backup_passphrase_file), use restic, which encrypts, or set"
            " allow_unencrypted: true where the place is trusted or encrypts by itself. Nothing was sent.",
        )
    for backup in readable:
        plan.kept.append(Kept(backup.path, "not sent: it is not encrypted"))
    return {backup.name: backup for backup in verified if backup.encrypted}


def _proven_bad(catalogue: Catalogue, mine: OffsiteListing) -> Dict[str, str]:
    """Copies of backups that a restore test here has since proven not to restore, each with the reason."""
    found = {}
    for backup in catalogue.backups:
        copy = mine.find(backup.name)
        if copy is not None and backup.restore_failed and backup.record is not None:
            if backup.record.sha256 == copy.sha256:
                found[copy.name] = "proven not to restore at %s" % backup.restore_failed
    return found


def _spared(
    surplus: List[Tuple[OffsiteCopy, str]],
    local: Dict[str, Backup],
    mine: OffsiteListing,
    failed: Dict[str, str],
    sending: List[Action[OffsiteWork]],
    policy: OffsitePolicy,
    now: datetime,
    plan: Plan[OffsiteWork],
) -> List[Tuple[OffsiteCopy, str]]:
    """Of the copies that no rule keeps those that none keeps either while what this call does not send is not there."""
    coming = {os.path.basename(action.target) for action in sending}
    items = _items({name: backup for name, backup in local.items() if name in coming}, mine, failed, policy, now)
    rules = decide_retention(list(items.values()), policy.keep, now.astimezone().replace(tzinfo=None))
    needed = {decision.item.name for decision in rules if decision.keep}
    for copy, _reason in surplus:
        if copy.name in needed:
            plan.kept.append(Kept(copy.name, "at the place: until the backups that take its place are there"))
    return [(copy, reason) for copy, reason in surplus if copy.name not in needed]


def _items(
    local: Dict[str, Backup], mine: OffsiteListing, failed: Dict[str, str], policy: OffsitePolicy, now: datetime
) -> Dict[str, Item]:
    """What the rules decide about, by name."""
    items = {copy.name: copy_item(copy, failed.get(copy.name, "")) for copy in mine.copies}
    for name, backup in local.items():
        items.setdefault(name, item_of(backup))
    if policy.assume_verified:
        latest = max(items.values(), key=lambda item: item.date, default=None)
        moment = now.astimezone().replace(tzinfo=None, microsecond=0)
        items[ASSUMED] = Item(ASSUMED, moment, True, parts=latest.parts if latest else frozenset())
    return items


def _decide(
    local: Dict[str, Backup],
    mine: OffsiteListing,
    failed: Dict[str, str],
    policy: OffsitePolicy,
    now: datetime,
    plan: Plan[OffsiteWork],
) -> Tuple[Dict[str, str], List[Tuple[OffsiteCopy, str]]]:
    """Why each name stays, and the copies that no rule keeps with the reason."""
    items = _items(local, mine, failed, policy, now)
    for name, trouble in sorted(failed.items()):
        plan.warnings.append("the copy %s takes no place in the rotation and stays: %s" % (name, trouble))
    # Copies and what is sent count alike: what is decided now holds when all are there.
    kept: Dict[str, str] = {}
    surplus: List[Tuple[OffsiteCopy, str]] = []
    present = {copy.name: copy for copy in mine.copies}
    for decision in decide_retention(list(items.values()), policy.keep, now.astimezone().replace(tzinfo=None)):
        name = decision.item.name
        if decision.keep:
            kept[name] = decision.reason
            if name in present:
                plan.kept.append(Kept(name, "at the place: %s" % decision.reason))
        elif name not in present:
            plan.kept.append(Kept(local[name].path, "not sent: %s" % decision.reason))
        else:
            surplus.append((present[name], decision.reason))
    return kept, surplus


def copy_item(copy: OffsiteCopy, problem: str) -> Item:
    """A copy as the rules look at it; `problem` says why it does not count as a backup, where it does not."""
    return Item(
        copy.name,
        copy.date,
        True,
        parts=frozenset(copy.parts),
        problem=problem,
        lacking=copy.lacking,
        tags=frozenset(copy.tags),
    )


def _sending(
    local: Dict[str, Backup],
    listing: OffsiteListing,
    mine: OffsiteListing,
    policy: OffsitePolicy,
    kept: Dict[str, str],
    plan: Plan[OffsiteWork],
) -> List[Action[OffsiteWork]]:
    """The backups that are wanted there and are not there, newest first."""
    anybodys = {copy.name: copy for copy in listing.copies}
    broken = {copy.name: (copy, reason) for copy, reason in listing.broken}
    actions: List[Action[OffsiteWork]] = []
    for name in sorted(local, reverse=True):
        backup = local[name]
        record = backup.verification
        if name not in kept or record is None:
            continue
        reason, unnoted = kept[name], name in listing.unnoted
        there = anybodys.get(name)
        if there is not None and (there.owner, there.sha256) == (policy.owner, record.sha256):
            continue
        if there is not None:
            whose = "" if there.owner == policy.owner else " of %s" % there.owner
            if not whose and mine.find(name) is None:
                whose = " of another host of this name"
            plan.warnings.append("%s is not sent: another backup%s has its name at the place" % (name, whose))
            plan.kept.append(Kept(backup.path, "not sent: another backup%s has its name there" % whose))
            continue
        if name in broken:
            copy, trouble = broken[name]
            if all(copy is not own for own, _trouble in mine.broken):
                plan.kept.append(Kept(backup.path, "not sent: a copy of %s has its name there" % copy.owner))
                continue
            reason, unnoted = "%s; the copy there is damaged: %s" % (reason, trouble), False
        if policy.max_copies and len(actions) >= policy.max_copies:
            plan.kept.append(Kept(backup.path, "sent by a later call: max_copies is %d" % policy.max_copies))
            continue
        work = CopyBackup(backup.id, record.sha256, unnoted)
        actions.append(Action("copy_backup", backup.path, reason, work, backup.size))
        if name in broken:
            plan.warnings.append(
                "the copy %s is damaged (%s), and its backup is sent again. Is a disk failing there, or does something else write to it?"
                % (name, broken[name][1])
            )
    for copy, trouble in mine.broken:
        if copy.name not in {os.path.basename(action.target) for action in actions}:
            plan.warnings.append(
                "the copy %s is damaged (%s), and there is no backup to send again" % (copy.name, trouble)
            )
    return actions


def _add_assumed(
    sending: List[Action[OffsiteWork]],
    catalogue: Catalogue,
    policy: OffsitePolicy,
    local: Dict[str, Backup],
    now: datetime,
) -> None:
    if not policy.assume_verified:
        return
    newest = max(local.values(), key=lambda backup: backup.date, default=None)
    sending.insert(
        0,
        Action(
            "copy_backup",
            os.path.join(catalogue.path, ASSUMED),
            "the newest backup",
            AssumedCopy(),
            newest.size if newest is not None else 0,
            predicted=True,
            assumes=ASSUMPTION,
        ),
    )


def plan_fetching(
    observation: OffsiteObservation, policy: OffsitePolicy, target: str, now: datetime
) -> Plan[OffsiteWork]:
    """Which copy to bring here.

    Raises:
        MaintenanceError: there is none, it is not clear which one is meant, another file has its name here, or there is not
            enough space.
    """
    plan: Plan[OffsiteWork] = Plan()
    listing = observation.listing.of(policy.owner, policy.database)
    copy = _wanted(listing, policy, target, now, observation.identity)
    path = os.path.join(observation.catalogue.path, copy.name)
    here = next((backup for backup in observation.catalogue.backups if backup.name == copy.name), None)
    if here is not None:
        record = here.verification
        if record is not None and (record.size, record.sha256) == (copy.size, copy.sha256):
            plan.kept.append(Kept(path, "it is here already, verified, with the SHA-256 of the copy"))
            return plan
        raise MaintenanceError(
            "a file of this name is here already, and it is not known to be the same as the copy",
            target=path,
            next_step="Fetch into another directory, or move that file away. It was not touched.",
        )
    if observation.free is not None and observation.free < copy.size:
        raise InsufficientSpace(
            "the copy has %s, and only %s are free" % (format_size(copy.size), format_size(observation.free)),
            target=observation.catalogue.path,
            next_step="Make room, or fetch into another file system.",
        )
    reason = "the copy of this name" if policy.name else "the newest copy"
    plan.actions.append(
        Action("fetch_backup", path, "%s, put there by %s" % (reason, copy.owner), FetchCopy(copy, path), copy.size)
    )
    return plan


def _wanted(
    listing: OffsiteListing, policy: OffsitePolicy, target: str, now: datetime, identity: HostIdentity
) -> OffsiteCopy:
    if policy.name:
        copy = listing.find(policy.name)
        if copy is None:
            damaged = next((reason for copy, reason in listing.broken if copy.name == policy.name), "")
            raise MaintenanceError(
                "there is no finished copy of this name" + (" (%s)" % damaged if damaged else ""),
                target="%s at %s" % (policy.name, target),
                next_step="Without name the newest is taken; in check mode the result lists the copies.",
                details={"copies": describe_copies(listing, now)},
            )
        return copy
    owners = sorted({copy.owner for copy in listing.copies})
    databases = sorted({copy.database for copy in listing.copies})
    if len(owners) > 1 or len(databases) > 1:
        raise MaintenanceError(
            "the copies are of several shops (hosts: %s; databases: %s)" % (", ".join(owners), ", ".join(databases)),
            target=target,
            next_step="Name the one that is meant with owner or database, or the backup with name.",
        )
    own = listing.of(hosts=identity.all) if identity.id else listing
    listing = own if own.copies else listing
    if len(series_of(listing.copies)) > 1 and not (identity.id and own.copies):
        raise MaintenanceError(
            "several hosts of the name %s have copies there, and the newest of one is not the newest of the other"
            % owners[0],
            target=target,
            next_step="Name the backup that is meant with name; the result lists them.",
            details={"copies": describe_copies(listing, now)},
        )
    newest = listing.newest(now)
    if newest is None:
        raise MaintenanceError(
            "there is no finished copy at the place",
            target=target,
            next_step="Check target, owner and database; backup_offsite without action puts copies there.",
        )
    return newest


def describe_copies(listing: OffsiteListing, now: datetime) -> List[Dict[str, Any]]:
    """The copies as the module returns them, newest first."""
    return [describe_copy(copy, now) for copy in reversed(listing.copies)]


def describe_copy(copy: OffsiteCopy, now: datetime) -> Dict[str, Any]:
    return {
        "name": copy.name,
        "bytes": copy.size,
        "sha256": copy.sha256,
        "owner": copy.owner,
        "host": copy.host,
        "database": copy.database,
        "started": copy.started,
        "copied": copy.copied,
        "checked": copy.checked,
        "age_hours": round(copy.age_seconds(now) / 3600.0, 1),
        "tags": list(copy.tags),
    }
