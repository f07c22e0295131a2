# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Auditing the dependencies of an npm project, and updating those that semantic versioning allows: the steps of npm_audit."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple, Union

from .._audit.finding_arguments import finding_policy
from .._audit.npm import find_npm, read_audit, read_change, vulnerabilities
from .._audit.npm_audit import (
    NO_NPM,
    AuditSight,
    audit_report,
    conclude_sight,
    locate_project,
    look_at_project,
    write_conclusion,
)
from .._audit.npm_copy import PACKAGE, NpmCopy, copy_path, unprivileged
from .._audit.npm_journal import (
    DONE,
    REPLACING,
    NpmJournal,
    all_npm_journals,
    content_mark,
    npm_journals_of,
    write_npm_journal,
)
from .._audit.npm_lock import (
    NpmProposal,
    ReplaceLock,
    beyond,
    chosen_scripts,
    direct_places,
    left_alone,
    lock_changes,
    plan_lock,
    read_object,
)
from .._audit.npm_project import LOCK_FILES, parse_lock
from .._audit.report import Conclusion
from .._core.arguments import ArgumentSpec
from .._core.call import Call
from .._core.errors import AbortPlan, MaintenanceError, SkipAction, from_os_error
from .._core.finding import printable
from .._core.late_dataclass import dataclass
from .._core.leftovers import NpmLeft, PathLeft
from .._core.plan import Action, Kept, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from .._core.undo_note import new_undo_id
from .._core.units import counted, parse_duration
from .npm_swap import (
    end_back,
    end_well,
    is_gone,
    lock_state,
    make_dependencies_ready,
    put_dependencies_back,
    put_in_place,
    restart_and_wait,
    settle_npm,
    write_lock,
)
from .update_recovery import ask_shop

NONE, MINOR = "none", "minor"
_MODULES = "node_modules"

NPM_ARGUMENTS = ArgumentSpec(
    {
        "path": {"type": "path", "required": True},
        "npm": {"type": "path"},
        "vex": {"type": "path"},
        "timeout": {"type": "str", "default": "2m"},
        "fix": {"type": "bool", "default": False},
        "update": {"type": "str", "choices": [NONE, MINOR], "default": NONE},
        "scripts": {"type": "list", "elements": "str"},
        "try_timeout": {"type": "str", "default": "15m"},
        "exclude": {"type": "list", "elements": "str", "default": []},
        "user": {"type": "str", "default": "nobody"},
        "work_dir": {"type": "path", "default": "/var/tmp"},  # noqa: S108 - the copy has a directory of its own in it
        "undo": {"type": "str"},
        "install": {"type": "bool", "default": False},
        "outputs": {"type": "list", "elements": "str", "default": ["dist", "build"]},
        "services": {"type": "list", "elements": "str", "default": []},
        "probe_url": {"type": "str"},
        "patience": {"type": "str", "default": "2m"},
        "steady": {"type": "str", "default": "5s"},
    }
)


@dataclass(frozen=True)
class RestoreLock:
    """Put back the lock file of before an update, and what else that has put in place.

    Attributes:
        undo_id: of the update.
    """

    undo_id: str


@dataclass(frozen=True)
class SettleInstall:
    """Bring an update that was killed to its end."""

    undo_id: str


NpmWork = Union[ReplaceLock, RestoreLock, SettleInstall]


@dataclass(frozen=True)
class NpmObservation:
    """What was found.

    Attributes:
        sight: what npm says of vulnerable and of outdated packages; None where it was not asked.
        proposal: what an update would change; None where none is asked for.
        mended: rules and targets of findings that are gone after it.
        scripts: of package.json, which have to pass first.
        noted: updates that are gone back from, each with the state of its lock file.
        cut_off: updates of this project that were killed.
        unhealthy: why the shop is not well before anything is done.
    """

    sight: Optional[AuditSight] = None
    proposal: Optional[NpmProposal] = None
    mended: Tuple[Tuple[str, str], ...] = ()
    scripts: Tuple[str, ...] = ()
    noted: Tuple[Tuple[NpmJournal, str], ...] = ()
    cut_off: Tuple[NpmJournal, ...] = ()
    unhealthy: str = ""


class NpmUpdate(Task[NpmObservation]):
    """Audit a project; with fix or update propose, try, and put in place; with undo go back."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._copy: Optional[NpmCopy] = None
        self._left = ""
        self.policy = finding_policy(call.params)
        self.timeout, self.try_timeout = (parse_duration(self.params[key]) for key in ("timeout", "try_timeout"))
        self.patience, self.steady = (parse_duration(self.params[key]) for key in ("patience", "steady"))
        self.updates = bool(self.params["fix"]) or self.params["update"] != NONE
        if self.params["undo"] and self.updates:
            raise MaintenanceError("undo goes alone", next_step="Leave fix and update out, or undo.")
        if self.params["install"] and not self.params["probe_url"]:
            raise MaintenanceError(
                "nobody would notice a shop that does not come up with its new dependencies",
                next_step="Name probe_url, the shop's health endpoint, or leave install out.",
            )

    # -- observe -------------------------------------------------------------------------------------------------

    def observe(self) -> NpmObservation:
        path = locate_project(self.params["path"])
        if self.params["undo"]:
            journals = [
                item for item in npm_journals_of(self.run.state_dir, self.params["undo"]) if item.project == path
            ]
            return NpmObservation(noted=tuple((item, lock_state(item)) for item in journals))
        sight = look_at_project(self.call, path, self.timeout, self.policy)
        if not self.updates:
            return NpmObservation(sight)
        program = find_npm(self.params["npm"])
        if program is None:
            raise MaintenanceError(
                NO_NPM,
                target=path,
                next_step="Nothing was changed. Install npm on this host, or update the lock file where the project is developed.",
            )
        journals = [item for item in all_npm_journals(self.run.state_dir) if item.project == path]
        cut_off = tuple(item for item in journals if item.phase == REPLACING)
        if cut_off:
            # What is there now is half an update: nothing can be said of it before that is over.
            return NpmObservation(sight, cut_off=cut_off)
        return self._propose(program, sight)

    def _propose(self, program: str, sight: AuditSight) -> NpmObservation:
        path = sight.path
        name = next((lock for lock in LOCK_FILES if os.path.isfile(os.path.join(path, lock))), "")
        if not name:
            raise MaintenanceError(
                "there is no lock file, so nobody knows what runs",
                target=os.path.join(path, LOCK_FILES[-1]),
                next_step="Make one where the project is developed (npm install --package-lock-only), and test with it.",
            )
        before, package = (_read(os.path.join(path, file)) for file in (name, PACKAGE))
        scripts = chosen_scripts(read_object(package, path), self.params["scripts"], path)
        copy = self._make_copy(program, path)
        after, left, problem = self._resolve(copy, sight, name, before, package)
        if copy.read(PACKAGE) != package:
            raise MaintenanceError(
                "npm would change the project's package.json as well", target=path, next_step="Nothing was changed."
            )
        old, new = read_object(before, path), read_object(after, path)
        changes = lock_changes(old, new, direct_places(old, read_object(package, path)))
        proposal = NpmProposal(name, before, after, package, changes, tuple(left), problem)
        mended: Tuple[Tuple[str, str], ...] = ()
        if sight.audit.available and after != before:
            answer = read_audit(copy.ask(["audit", "--json", "--ignore-scripts"], self.timeout))
            if answer.available:
                still = {(finding.rule, finding.target) for finding in vulnerabilities(answer.data, path)}
                mended = tuple(
                    (item.rule, item.target) for item in sight.found if (item.rule, item.target) not in still
                )
        unhealthy = ask_shop(self.params["probe_url"]) if self.params["install"] else ""
        return NpmObservation(sight, proposal, mended, scripts, unhealthy=unhealthy)

    def _make_copy(self, program: str, path: str) -> NpmCopy:
        root = copy_path(self.params["work_dir"])
        self._copy = NpmCopy(program, path, root, self.params["exclude"], unprivileged(self.params["user"]))
        self._left = self.run.leftovers.register(PathLeft(root, "trying other dependencies"))
        self._copy.make()
        return self._copy

    def _resolve(
        self, copy: NpmCopy, sight: AuditSight, lock: str, before: bytes, package: bytes
    ) -> Tuple[bytes, List[Kept], str]:
        """What npm makes of the lock file, what is left alone, and why it could not be asked for all."""
        path = sight.path
        old = read_object(before, path)
        direct = direct_places(old, read_object(package, path))
        common = ["--package-lock-only", "--ignore-scripts", "--json"]
        common.append("--lockfile-version=%s" % int(old.get("lockfileVersion") or 1))
        left: List[Kept] = []
        problem = ""
        now = before

        def ask(*arguments: str) -> bytes:
            answer = read_change("npm " + arguments[0], copy.ask([*arguments, *common], self.timeout))
            self.run.renew()
            if not answer.available:
                raise MaintenanceError(
                    "npm proposes nothing: %s" % answer.reason, target=path, next_step="Nothing was changed."
                )
            return copy.read(lock)

        def too_far(proposed: bytes) -> List[Any]:
            return beyond(lock_changes(old, read_object(proposed, path), direct))

        if self.params["fix"] and not sight.audit.available:
            problem = sight.audit.reason
        elif self.params["fix"]:
            proposed = ask("audit", "fix")
            far = too_far(proposed)
            left += left_alone(far)
            now = now if far else proposed
            copy.write(lock, now)
        if self.params["update"] == MINOR:
            proposed = ask("update", "--no-audit")
            far = too_far(proposed)
            if far:
                left += left_alone(far)
                names = {place.rpartition(_MODULES + "/")[2] for place in parse_lock(read_object(now, path)).locked}
                copy.write(lock, now)
                rest = sorted(names - {change.name for change in far})
                proposed = ask("update", "--no-audit", *rest) if rest else now
                proposed = now if too_far(proposed) else proposed
            now = proposed
            copy.write(lock, now)
        told = {kept.target for kept in left}
        left += [
            Kept(package["name"], "%s -> %s is a major update" % (package["current"] or "?", package["latest"]))
            for package in sight.packages
            if package["update"] == "major" and package["name"] not in told
        ]
        return now, left, problem

    # -- plan ----------------------------------------------------------------------------------------------------

    def plan(self, observation: NpmObservation, now: datetime) -> Plan[NpmWork]:
        plan: Plan[NpmWork] = Plan()
        undone = [journal for journal, _state in observation.noted if journal.phase == REPLACING]
        for journal in [*observation.cut_off, *undone]:
            reason = "an update of %s was cut off: what ran before is put back" % journal.undo_id
            plan.actions.append(Action("settle_update", journal.project, reason, SettleInstall(journal.undo_id)))
        for journal, state in observation.noted:
            if journal in undone:
                continue
            path = os.path.join(journal.project, journal.lock)
            if state == "after" and is_gone(journal):
                plan.kept.append(
                    Kept(path, "the dependencies of before are gone, only the last update can be gone back from")
                )
            elif state == "after":
                reason = "as before the update %s" % journal.undo_id
                plan.actions.append(Action("restore_lock_file", path, reason, RestoreLock(journal.undo_id)))
            else:
                word = "is as before the update" if state == "before" else "was changed since the update"
                plan.kept.append(Kept(path, word))
        proposal, sight = observation.proposal, observation.sight
        if proposal is None or sight is None:
            return plan
        if observation.unhealthy and proposal.after != proposal.before:
            raise MaintenanceError(
                "the shop is not well as it is: %s" % observation.unhealthy,
                next_step="Nothing was changed. Mend it first: whether it is well with other dependencies would not be seen.",
            )
        work = ReplaceLock(
            project=sight.path,
            lock=proposal.lock,
            before=content_mark(proposal.before),
            after=content_mark(proposal.after),
            package=content_mark(proposal.package),
            scripts=observation.scripts,
            install=self.params["install"],
            undo_id=new_undo_id(self.run.run_id, now),
        )
        proposed = plan_lock(proposal, work)
        plan.actions.extend(proposed.actions)  # type: ignore[arg-type]
        plan.kept.extend(proposed.kept)
        return plan

    # -- act -----------------------------------------------------------------------------------------------------

    def _replace(self, action: Action[ReplaceLock], observation: NpmObservation) -> Outcome:
        work, proposal, copy = action.work, observation.proposal, self._copy
        if proposal is None or copy is None:
            raise SkipAction("it was not tried")
        copy.write(work.lock, proposal.after)
        copy.install(self.try_timeout)
        unbuilt = copy.adopt_built(proposal.before, proposal.after)
        if unbuilt and work.install:
            raise MaintenanceError(
                "these versions need a script to be run when they are installed, and none is: %s"
                % printable(", ".join(unbuilt)),
                target=work.project,
                next_step="Nothing was changed. Install them by hand (npm install), or leave install out.",
            )
        for name in work.scripts:
            self.run.renew()
            copy.run_script(name, self.try_timeout)
        self._require_as_planned(work)
        journal = NpmJournal(
            work.undo_id,
            work.project,
            work.lock,
            proposal.before.decode("utf-8"),
            work.after,
            DONE,
            services=tuple(self.params["services"]),
            probe_url=self.params["probe_url"] or "",
            patience=self.patience,
        )
        tried = "%s passed in a copy" % ", ".join(["install", *work.scripts])
        if not work.install:
            write_npm_journal(self.run.state_dir, journal)
            write_lock(journal, proposal.after)
            return Outcome(note=tried)
        self._install(journal, copy, proposal.after)
        return Outcome(note="%s; put in place, and the shop is well" % tried)

    @staticmethod
    def _require_as_planned(work: ReplaceLock) -> None:
        for name, mark in ((work.lock, work.before), (PACKAGE, work.package)):
            if content_mark(_read(os.path.join(work.project, name))) != mark:
                raise SkipAction("%s was changed meanwhile" % name)

    def _install(self, journal: NpmJournal, copy: NpmCopy, lock: bytes) -> None:
        folders = [_MODULES] if os.path.isdir(os.path.join(copy.project, _MODULES)) else []
        for name in self.params["outputs"]:
            path = os.path.join(copy.project, name)
            if os.path.isdir(path) and not os.path.islink(path):
                folders.append(name)
        note = self.run.leftovers.register(NpmLeft(journal.undo_id, "new dependencies of %s" % journal.project))
        try:
            journal = make_dependencies_ready(self.run.state_dir, copy.project, folders, journal)
        except MaintenanceError:
            self.run.leftovers.done(note)
            raise
        try:
            put_in_place(self.run.state_dir, journal, lock)
            problem = restart_and_wait(journal, self.steady)
            if problem:
                raise MaintenanceError("the shop is not well with its new dependencies: %s" % problem)
            end_well(self.run.state_dir, journal)
        except MaintenanceError as error:
            raise self._back(error, journal, note) from error
        self.run.leftovers.done(note)

    def _back(self, error: MaintenanceError, journal: NpmJournal, note: str) -> MaintenanceError:
        """What failed, after what ran before is in place again; where it is not, that is said."""
        try:
            put_dependencies_back(self.run.state_dir, journal)
            problem = restart_and_wait(journal)
            if problem:
                raise MaintenanceError("the shop is not well with the dependencies of before either: %s" % problem)
            end_back(self.run.state_dir, journal)
        except MaintenanceError as second:
            step = "The dependencies of before could not be brought back: %s The next run tries again." % second
            return AbortPlan.because_of(error, next_step=step)
        self.run.leftovers.done(note)
        back = AbortPlan.because_of(
            error, next_step="The dependencies and the lock file of before are in place, and the shop is well."
        )
        back.details["rolled_back"] = True
        return back

    def _restore(self, action: Action[RestoreLock], observation: NpmObservation) -> Outcome:
        journal = next(item for item, _state in observation.noted if item.undo_id == action.work.undo_id)
        if lock_state(journal) != "after" or is_gone(journal):
            raise SkipAction("it was changed meanwhile")
        if not journal.folders:
            write_lock(journal, journal.before.encode("utf-8"))
            end_back(self.run.state_dir, journal)
            return Outcome()
        note = self.run.leftovers.register(NpmLeft(journal.undo_id, "dependencies of %s" % journal.project))
        done = put_dependencies_back(self.run.state_dir, journal)
        problem = restart_and_wait(journal)
        if problem:
            raise MaintenanceError(
                "the dependencies of before are in place, and the shop is not well: %s" % problem,
                target=journal.project,
                next_step="Look at its log.",
            )
        end_back(self.run.state_dir, journal)
        self.run.leftovers.done(note)
        return Outcome(note="put back %s" % ", ".join(done))

    def _settle(self, action: Action[SettleInstall], observation: NpmObservation) -> Outcome:
        done = settle_npm(self.run.state_dir, action.work.undo_id)
        if not done:
            raise SkipAction("it is at its end already")
        for leftover in self.run.leftovers.found():
            if isinstance(leftover.left, NpmLeft) and leftover.left.undo_id == action.work.undo_id:
                self.run.leftovers.done(leftover.id)
        return Outcome(note=done)

    handlers = {ReplaceLock: _replace, RestoreLock: _restore, SettleInstall: _settle}

    # -- verify, report --------------------------------------------------------------------------------------------

    def verify(
        self, observation: NpmObservation, plan: Plan[NpmWork], results: Results[NpmWork, NpmObservation]
    ) -> Verification[NpmObservation]:
        sight = observation.sight
        replaced = [action.work for action in results.effective if isinstance(action.work, ReplaceLock)]
        if not replaced or sight is None:
            return Verification()
        for work in replaced:
            path = os.path.join(work.project, work.lock)
            if content_mark(_read(path)) != work.after:
                return Verification(failure=MaintenanceError("the lock file is not what was just written", target=path))
        return Verification(
            replace(observation, sight=look_at_project(self.call, sight.path, self.timeout, self.policy))
        )

    def _conclude(
        self, sight: AuditSight, observation: NpmObservation, results: Results[NpmWork, NpmObservation]
    ) -> Conclusion:
        if results.check:
            return conclude_sight(sight, self.policy, True, excused=observation.mended)
        still = {(finding.rule, finding.target) for finding in sight.found}
        before = observation.sight.found if observation.sight is not None else ()
        fixed = tuple(item for item in before if (item.rule, item.target) not in still) if sight.audit.available else ()
        return conclude_sight(sight, self.policy, False, fixed)

    def report(
        self, observation: NpmObservation, plan: Plan[NpmWork], results: Results[NpmWork, NpmObservation]
    ) -> Report:
        number = len(results.effective)
        sight = (results.after or observation).sight
        if sight is None:
            verb = results.words("put back", "would put back")
            return Report(
                "%s %s, left %d alone" % (verb, counted(number, "lock file"), len(plan.kept)),
                changed=bool(number),
                summary={"lock_files_restored": number, "lock_files_left_alone": len(plan.kept)},
                values={"findings": [], "resolved": []},
            )
        report = audit_report(sight, self._conclude(sight, observation, results), self.params["vex"])
        if not self.updates:
            return report
        proposal = observation.proposal
        changes = proposal.changes if proposal is not None else ()
        words = _headline(observation, results, bool(plan.actions), len(changes))
        undo_ids = [action.work.undo_id for action in results.effective if isinstance(action.work, ReplaceLock)]
        more: Dict[str, Any] = {
            "versions": [change.as_dict() for change in changes],
            "scripts": list(observation.scripts),
        }
        if undo_ids and not results.check:
            more["undo_id"] = undo_ids[0]
        failure = report.failure
        if failure is None and proposal is not None and proposal.problem:
            failure = MaintenanceError(
                "fix was asked for, and without an audit nobody knows what to fix: %s" % proposal.problem,
                target=sight.path,
                next_step="Use a registry that offers audits, or update=minor, which needs none.",
            )
        return replace(
            report,
            headline="%s; %s" % (report.headline, words),
            changed=report.changed or bool(number),
            summary=dict(report.summary, versions_changed=len(changes) if number else 0),
            values=dict(report.values, **more),
            record=dict(report.record, **more),
            failure=failure,
        )

    def remember(
        self, observation: NpmObservation, plan: Plan[NpmWork], results: Results[NpmWork, NpmObservation]
    ) -> None:
        sight = (results.after or observation).sight
        if sight is not None:
            conclusion = self._conclude(sight, observation, results)
            write_conclusion(self.run.state_dir, sight, conclusion, self.params["vex"])

    def diff(self, observation: NpmObservation, plan: Plan[NpmWork]) -> Optional[Dict[str, Any]]:
        proposal = observation.proposal
        if proposal is None:
            return super().diff(observation, plan) if plan.actions else None
        before = ["%s %s\n" % (item.place, item.before) for item in proposal.changes if item.before]
        after = ["%s %s\n" % (item.place, item.after) for item in proposal.changes if item.after]
        return {"before": "".join(before), "after": "".join(after)}

    def close(self) -> None:
        if self._copy is not None:
            self._copy.close()
            self.run.leftovers.done(self._left)


def _headline(
    observation: NpmObservation, results: Results[NpmWork, NpmObservation], planned: bool, changes: int
) -> str:
    if observation.cut_off:
        return results.words(
            "put back what ran before an update that was cut off: run this again", "an update was cut off"
        )
    if results.effective:
        verb = results.words("updated", "would be updated")
        return "%s %s" % (counted(changes, "version"), verb)
    return "nothing was updated" if planned else "nothing to update within what semantic versioning allows"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except OSError as error:
        raise from_os_error("cannot read it", error, target=path) from error
