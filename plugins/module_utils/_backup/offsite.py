# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy verified backups to a second place, keep what its rules say, bring one back."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, Optional, Type

from .._core.atomic_file import partial_name, sync_directory
from .._core.call import Call
from .._core.clock import format_utc, utc_now
from .._core.errors import AbortPlan, MaintenanceError, SkipAction, from_os_error
from .._core.leftovers import PathLeft
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.redaction import SECRETS
from .._core.runner import Task
from .._core.units import counted, format_duration, format_size, parse_duration, parse_size
from .catalogue import Backup, look_at, read_catalogue, sidecar_path, write_sidecar
from .offsite_controller import ControllerPlace
from .offsite_copies import OffsiteCopy, OffsiteListing, OffsiteNote, copy_of
from .offsite_identity import adopt, own_identity_at_places, read_identity
from .offsite_ledger import LedgerEntry, write_entry
from .offsite_place import PlaceOptions, SecondPlace, read_environment, require_private, sha256_of
from .offsite_planning import (
    AdoptCopies,
    AssumedCopy,
    CopyBackup,
    FetchCopy,
    MakePlace,
    OffsiteObservation,
    OffsitePolicy,
    OffsiteWork,
    RemoveCopy,
    RemoveOffsiteLeftover,
    describe_copies,
    describe_copy,
    own_hosts,
    plan_copying,
    plan_fetching,
)
from .offsite_rclone import RclonePlace
from .offsite_restic import ResticPlace
from .offsite_rsync import RsyncPlace, is_on_this_host
from .rotation import retention_policy

PLACES: Dict[str, Type[SecondPlace]] = {
    place.method: place for place in (RsyncPlace, RclonePlace, ResticPlace, ControllerPlace)
}
FETCH = "fetch"


class BackupOffsite(Task[OffsiteObservation]):
    """One call: copy and rotate there, or fetch."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        params = self.params
        self.fetching = params["action"] == FETCH
        self.place = PLACES[params["method"]](self._options())
        self.target = _without_secrets(params["target"])
        owner = params["owner"] or ""
        self.policy = OffsitePolicy(
            retention_policy(params),
            owner if self.fetching else owner or os.uname().nodename,
            params["database"] or "",
            self.place.encrypts,
            params["allow_unencrypted"],
            params["max_copies"],
            params["max_delete"],
            params["assume_verified"] and call.check,
            params["name"] or "",
            params["adopt"] and not self.fetching,
        )

    def _options(self) -> PlaceOptions:
        params = self.params
        SECRETS.register_uri(params["target"])
        _require_sane(params["target"], params["method"])
        for option in ("password_file", "config_file"):
            if params[option]:
                require_private(params[option], option)
        return PlaceOptions(
            params["target"],
            params["owner"] or os.uname().nodename,
            lambda: self.call.tmpdir,
            params["create"] and params["action"] != FETCH,
            params["verify"],
            password_file=params["password_file"] or "",
            config_file=params["config_file"] or "",
            ssh_key=params["ssh_key"] or "",
            ssh_port=params["ssh_port"] or 0,
            known_hosts=params["known_hosts"] or "",
            time_limit=parse_duration(params["time_limit"]),
            bandwidth=parse_size(params["bandwidth"]),
            environment=read_environment(params["environment_file"]) if params["environment_file"] else {},
            controller=params["controller"],
            host=lambda: read_identity(self.run.state_dir).id,
        )

    # --- observe, plan

    def observe(self) -> OffsiteObservation:
        path = self.params["path"]
        missing_ok = self.call.check or not self.fetching
        catalogue = read_catalogue(path, missing_ok=missing_ok)
        free = _free(path) if self.fetching else None
        return OffsiteObservation(catalogue, self.place.list(), free, read_identity(self.run.state_dir))

    def plan(self, observation: OffsiteObservation, now: datetime) -> Plan[OffsiteWork]:
        planner = plan_fetching if self.fetching else plan_copying
        return planner(observation, self.policy, self.target, now)

    # --- act

    def _make_place(self, action: Action[MakePlace], observation: OffsiteObservation) -> Outcome:
        self.place.prepare()
        return Outcome()

    def _adopt(self, action: Action[AdoptCopies], observation: OffsiteObservation) -> Outcome:
        adopt(self.run.state_dir, action.work.hosts)
        return Outcome()

    def _copy(self, action: Action[CopyBackup], observation: OffsiteObservation) -> Outcome:
        work = action.work
        backup = _unchanged(work)
        name, path = backup.name, backup.path
        # What is sent is what was verified, and not what a disk has made of it since.
        if sha256_of(path) != work.sha256:
            raise MaintenanceError(
                "the backup has another SHA-256 than when it was verified, though its size and time are the same",
                target=path,
                next_step="It was not sent. Run a restore test (mongo_restore) on it, and check this host's disk.",
            )
        identity = own_identity_at_places(self.run.state_dir)
        self._require_free(work, name)
        if work.unnoted:
            self._require_same(path, name, work.sha256)
        else:
            self.place.send(path, name)
        try:
            how = self.place.check(path, name, work.sha256) if not work.unnoted else "found there, the same as here"
        except MaintenanceError as error:
            if "is not what was sent" in error.what:
                with suppress(MaintenanceError):
                    self._discard(name, backup.size)
            raise
        if not work.unnoted and self.place.settles:
            self._require_free(work, name)
            self.place.settle(name)
        record = _unchanged(work).verification
        if record is None:
            raise SkipAction("it is no longer verified")
        copy = copy_of(name, record, self.policy.owner, format_utc(utc_now()), how)
        self.place.write_note(OffsiteNote(replace(copy, host=identity.id, adopted=identity.adopted), record))
        return Outcome(backup.size, how)

    def _require_free(self, work: CopyBackup, name: str) -> None:
        """Hosts may share a place, and their backups of one second have one name: nothing of another one is overwritten."""
        listing = self.place.list()
        own = [copy for copy, _trouble in self._mine(listing).broken]
        others = [copy for copy, _trouble in listing.broken if all(copy is not one for one in own)]
        if name in {copy.name for copy in (*listing.copies, *others)} or (name in listing.unnoted) != work.unnoted:
            raise MaintenanceError(
                "a file of this name has come to the place, or gone from it, since planning",
                target="%s at %s" % (name, self.target),
                next_step="Nothing was overwritten. Give each host that shares the place a directory of its own in target.",
            )

    def _mine(self, listing: OffsiteListing, database: str = "") -> OffsiteListing:
        """Of what is at the place this host's own, who it is by now; for fetching what is of its name."""
        if self.fetching:
            return listing.of(self.policy.owner, database)
        hosts = own_hosts(listing, read_identity(self.run.state_dir), self.policy)
        return listing.of(self.policy.owner, database, hosts)

    def _discard(self, name: str, size: int) -> None:
        """Remove what was just sent; where it has its name already, only what can be that and nobody has noted."""
        if self.place.settles or self.place.list().unnoted.get(name) == size:
            self.place.discard(name)

    def _require_same(self, path: str, name: str, sha256: str) -> None:
        if not self.place.same_as(path, name, sha256):
            raise MaintenanceError(
                "a file of this name lies at the place that nobody has noted, and it is not this backup",
                target="%s at %s" % (name, self.target),
                next_step="Nothing was overwritten. Look at that file, and move it away.",
            )

    def _remove_copy(self, action: Action[RemoveCopy], observation: OffsiteObservation) -> Outcome:
        work = action.work
        there = self._mine(self.place.list())
        relied_on = there.find(work.relies_on.name)
        if relied_on is None or not relied_on.is_as(work.relies_on):
            raise AbortPlan(
                "the newest copy is not at the place any more, or has changed",
                target="%s at %s" % (work.relies_on.name, self.target),
                next_step="Nothing more was removed. Does somebody else tidy up there?",
            )
        missing = [name for name in work.after if there.find(name) is None]
        if missing:
            raise SkipAction("%s, which was to take its place, is not there" % missing[0])
        copy = there.find(work.copy.name)
        if copy is None:
            raise SkipAction("it is gone already")
        if not copy.is_as(work.copy) or copy.ids != work.copy.ids:
            raise SkipAction("it has changed since planning")
        self.place.remove(copy)
        return Outcome(copy.size)

    def _remove_leftover(self, action: Action[RemoveOffsiteLeftover], observation: OffsiteObservation) -> Outcome:
        self.place.remove_leftover(action.work.leftover)
        return Outcome(action.work.leftover.size)

    def _fetch(self, action: Action[FetchCopy], observation: OffsiteObservation) -> Outcome:
        copy, path = action.work.copy, action.work.path
        note = self.place.read_note(copy)
        if note is None or not note.copy.is_as(copy):
            raise SkipAction("its note has changed since planning")
        if os.path.lexists(path):
            raise SkipAction("a file of this name has come here meanwhile")
        partial = partial_name(path)
        if self.params["temporary"]:
            for made in (partial, path, sidecar_path(path)):
                self.run.leftovers.register(PathLeft(made, "a fetched backup"))
        try:
            _make_private(partial)
            self.place.fetch(copy, partial)
            found = sha256_of(partial)
            if found != copy.sha256:
                os.unlink(partial)
                raise MaintenanceError(
                    "what was fetched is not what was copied: it has another SHA-256",
                    target="%s at %s" % (copy.name, self.target),
                    next_step="The copy is damaged, or the transfer was: fetch again, then another copy (name).",
                )
            status = _flushed(partial)
            # Before the archive gets its name, as when a backup is made.
            write_sidecar(path, replace(note.record, size=status.st_size, mtime_ns=status.st_mtime_ns))
            os.rename(partial, path)
            sync_directory(os.path.dirname(path))
        except OSError as error:
            raise from_os_error("cannot write what is fetched", error, target=partial) from error
        return Outcome(copy.size, "SHA-256 compared with that of the note")

    def _assumed(self, action: Action[AssumedCopy], observation: OffsiteObservation) -> Outcome:
        raise SkipAction("there is no such backup")

    handlers = {
        MakePlace: _make_place,
        AdoptCopies: _adopt,
        CopyBackup: _copy,
        RemoveCopy: _remove_copy,
        RemoveOffsiteLeftover: _remove_leftover,
        FetchCopy: _fetch,
        AssumedCopy: _assumed,
    }

    # --- verify, report

    def verify(
        self,
        observation: OffsiteObservation,
        plan: Plan[OffsiteWork],
        results: Results[OffsiteWork, OffsiteObservation],
    ) -> Verification[OffsiteObservation]:
        if not results.done:
            return Verification()
        if self.fetching:
            return self._verify_fetched(observation, results)
        warnings = []
        if any(isinstance(result.action.work, (RemoveCopy, RemoveOffsiteLeftover)) for result in results.done):
            try:
                self.place.finish()
            except MaintenanceError as error:
                warnings.append(str(error))  # the space is given back by a later call
        after = replace(observation, listing=self.place.list())
        there = {copy.name for copy in after.listing.copies}
        sent = [result.action.target for result in results.done if isinstance(result.action.work, CopyBackup)]
        removed = {result.action.target for result in results.done if isinstance(result.action.work, RemoveCopy)}
        before = [copy.name for copy in self._mine(observation.listing).copies if copy.name not in removed]
        lost = sorted({*(os.path.basename(path) for path in sent), *before} - there)
        failure = None
        if lost:
            failure = MaintenanceError(
                "copies that should be at the place are not",
                target=", ".join(lost[:5]),
                next_step="Does somebody else tidy up there?",
            )
        return Verification(after, failure, tuple(warnings))

    def _verify_fetched(
        self, observation: OffsiteObservation, results: Results[OffsiteWork, OffsiteObservation]
    ) -> Verification[OffsiteObservation]:
        backup = look_at(results.done[0].action.target)
        failure = None
        if backup is None or not backup.verified:
            failure = MaintenanceError(
                "the fetched backup is not where it was put", target=results.done[0].action.target
            )
        return Verification(replace(observation, catalogue=read_catalogue(self.params["path"])), failure)

    def report(
        self,
        observation: OffsiteObservation,
        plan: Plan[OffsiteWork],
        results: Results[OffsiteWork, OffsiteObservation],
    ) -> Report:
        now = utc_now()
        seen = results.after or observation
        listing = self._mine(seen.listing, self.policy.database)
        newest = listing.newest(now)
        values: Dict[str, Any] = {"copies": describe_copies(listing, now)}
        summary: Dict[str, Any] = {
            "target": self.target,
            "method": self.place.method,
            "copies": len(listing.copies),
            "bytes": results.bytes,
            "copied": _count(results, CopyBackup, AssumedCopy),
            "removed": _count(results, RemoveCopy),
            "damaged": len(listing.broken),
            "age_hours": None,
        }
        orders = self.place.orders(plan.actions)
        if orders:
            values["controller"] = orders
        if newest is not None:
            values["newest"] = describe_copy(newest, now)
            summary["age_hours"] = values["newest"]["age_hours"]
        changed = bool(results.effective)
        if self.fetching:
            return self._report_fetched(plan, results, summary, values)
        sent = sum(action.bytes for action in results.effective if isinstance(action.work, (CopyBackup, AssumedCopy)))
        summary["bytes"] = sent
        headline = "%s %s (%s) to %s" % (
            results.words("copied", "would copy"),
            counted(summary["copied"], "backup"),
            format_size(sent),
            self.target,
        )
        if summary["removed"]:
            verb = results.words("removed", "would remove")
            headline += ", %s %d old %s" % (verb, summary["removed"], "copy" if summary["removed"] == 1 else "copies")
        headline += "; " + _state(newest, len(listing.copies), now, results.check and changed)
        return Report(headline, changed, summary, values)

    def _report_fetched(
        self,
        plan: Plan[OffsiteWork],
        results: Results[OffsiteWork, OffsiteObservation],
        summary: Dict[str, Any],
        values: Dict[str, Any],
    ) -> Report:
        done = results.effective
        path = done[0].target if done else (plan.kept[0].target if plan.kept else "")
        values["path"] = summary["path"] = path
        backup = look_at(path) if path else None
        summary["verified"] = backup is not None and backup.verified
        if done:
            headline = "%s %s (%s) from %s" % (
                results.words("fetched", "would fetch"),
                os.path.basename(path),
                format_size(results.bytes),
                self.target,
            )
            headline += "" if results.check else ", verified"
        elif plan.kept:
            headline = "%s is here already, verified" % os.path.basename(path)
        else:
            headline = "fetched nothing"
        return Report(headline, bool(done), summary, values)

    def remember(
        self,
        observation: OffsiteObservation,
        plan: Plan[OffsiteWork],
        results: Results[OffsiteWork, OffsiteObservation],
    ) -> None:
        if self.fetching:
            return
        now = utc_now()
        listing = self._mine((results.after or observation).listing, self.policy.database)
        newest = listing.newest(now)
        found = (
            {} if newest is None else {key: getattr(newest, key) for key in ("name", "started", "copied", "checked")}
        )
        entry = LedgerEntry(
            os.path.realpath(self.params["path"]),
            self.policy.database,
            self.place.method,
            self.target,
            looked=format_utc(now),
            copies=len(listing.copies),
            **found,
        )
        write_entry(self.run.state_dir, entry)


def _count(results: Results[Any, Any], *kinds: Type[Any]) -> int:
    return sum(isinstance(action.work, kinds) for action in results.effective)


def _state(newest: Optional[OffsiteCopy], copies: int, now: datetime, before: bool) -> str:
    """How the place is, as words; `before`: it is about to be changed."""
    if newest is None:
        return "so far there is none" if before else "there is no copy"
    age = format_duration(max(0.0, newest.age_seconds(now)))
    count = "%d %s there" % (copies, "copy" if copies == 1 else "copies")
    return "%s%s, the newest is %s old" % ("so far " if before else "", count, age)


def _unchanged(work: CopyBackup) -> Backup:
    backup = look_at(work.archive.path)
    if backup is None or not backup.verified or backup.id != work.archive:
        raise SkipAction("the backup is gone, or has changed since planning")
    return backup


def _free(path: str) -> Optional[int]:
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def _make_private(path: str) -> None:
    """Make the file at path with mode 0600, or take the one that an interrupted fetch has left; never follow a link."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _flushed(path: str) -> os.stat_result:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, 0o600)
        os.fsync(descriptor)
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _require_sane(target: str, method: str) -> None:
    """Refuse what a program would take for an option, what holds a secret that other users could read, and typing errors.

    Raises:
        MaintenanceError: it is one of these.
    """
    wrong = ""
    if not target.strip() or target.startswith("-"):
        wrong = "this is no place"
    elif method == "rclone" and (target.startswith(":") or "," in target.partition(":")[0]):
        wrong = "a remote with its options in the target would show them to every user of this host"
    elif method == "rsync" and is_on_this_host(target) and not target.startswith("/"):
        wrong = "a place on this host wants an absolute path"
    elif method == "rsync" and re.match(r"rsync://[^/@]*:[^/@]*@", target):
        wrong = "a password in the target would be shown to every user of this host"
    if wrong:
        raise MaintenanceError(
            wrong,
            target=_without_secrets(target),
            next_step="Set target to HOST:/DIRECTORY for rsync, REMOTE:DIRECTORY for rclone, a repository for restic; options"
            " and passwords belong into config_file, environment_file or password_file.",
        )


def _without_secrets(target: str) -> str:
    return SECRETS.clean_text(target)
