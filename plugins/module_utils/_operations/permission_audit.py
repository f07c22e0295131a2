# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Auditing, narrowing and giving back file modes: the steps of perm_audit."""

from __future__ import annotations

import os
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._audit.audit_state import AuditState, Memory
from .._audit.file_modes import change_mode, current_status
from .._audit.permission_find import in_backups
from .._audit.permission_fix import (
    ModeChange,
    NarrowMode,
    PermissionWork,
    RestoreMode,
    User,
    plan_fixes,
    plan_undo,
)
from .._audit.permission_look import Owners
from .._audit.permission_policy import permission_policy
from .._audit.permission_problems import (
    SOCKET_SCOPE,
    SSH_SCOPE,
    Facts,
    Problem,
    SocketFacts,
    Status,
    Unreadable,
    problems_of,
    to_permission_findings,
    with_modes,
)
from .._audit.permission_walk import look_at_sockets, walk_tree
from .._audit.renamed_rules import waivers_with_current_names, with_current_names
from .._audit.report import Conclusion, Coverage, conclude
from .._audit.ssh_access import look_at_ssh, service_users
from .._audit.undo_store import read_undo, write_undo
from .._audit.users import find_users, named_user
from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError
from .._core.finding import printable
from .._core.late_dataclass import dataclass
from .._core.paths import lies_below
from .._core.plan import Action, Outcome, Plan, Report, Results, Verification
from .._core.runner import Task
from .._core.undo_note import new_undo_id, undo_path
from .._core.walker import outermost

AUDIT = "perm_audit"
# What a fix left alone is told on the screen, up to so many objects.
MOST_TOLD = 10


@dataclass(frozen=True)
class PermissionObservation:
    """What was found.

    Attributes:
        at: when.
        memory: what the host remembered of earlier audits; None when a fix is to be taken back.
        objects: files and directories that break a rule.
        unreadable: directories that could not be looked into.
        users: who uses the trees; only looked for when something is to be fixed.
        scopes: what was audited.
        entries: how many entries the trees have.
        marks: present fingerprints of findings of renamed rules, by what they were known by before.
        noted: what the fixes to be taken back noted, the latest first, with the present status of each path.
    """

    at: datetime
    memory: Optional[Memory] = None
    objects: Tuple[Facts, ...] = ()
    unreadable: Tuple[Unreadable, ...] = ()
    sockets: Tuple[SocketFacts, ...] = ()
    users: Tuple[User, ...] = ()
    scopes: Tuple[str, ...] = ()
    entries: int = 0
    noted: Tuple[Tuple[ModeChange, Optional[Status]], ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)


def stores_apart(backups: Sequence[str], roots: Sequence[str]) -> List[str]:
    """The directories of backups that the audit of the roots would miss, or not take for such; one that is not there is none.

    Args:
        backups: paths, perhaps of symbolic links.
        roots: without symbolic links.
    """
    return [
        store
        for store in outermost(backups)
        if os.path.isdir(store) and not any(lies_below(store, root) and in_backups(root, store) for root in roots)
    ]


def within(path: str, places: Sequence[str]) -> bool:
    """Whether a path is one of the places, or lies below one. Pure."""
    return any(lies_below(path, place) for place in places)


class PermissionAudit(Task[PermissionObservation]):
    """Audit the trees, and narrow modes or give them back where that is asked for."""

    stop_on_failure = False

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.policy = permission_policy(call.params)

    def observe(self) -> PermissionObservation:
        if self.policy.undo:
            changes = read_undo(self.run.state_dir, self.policy.undo)
            noted = tuple((change, current_status(change.root, change.path)) for change in changes)
            return PermissionObservation(utc_now(), noted=noted)
        memory, marks = with_current_names(
            AuditState(self.run.state_dir).read(AUDIT, self.policy.findings.sarif), self.policy.rules.rules
        )
        roots = outermost(self.policy.paths)
        stores = stores_apart(self.policy.backups, roots)
        places = roots + stores
        objects: List[Facts] = []
        unreadable: List[Unreadable] = []
        users: List[User] = []
        entries = 0
        owners = Owners()
        for root in roots:
            found, closed, count = walk_tree(root, places, self.policy, owners)
            objects += [facts for facts in found if not within(facts.path, stores)]
            unreadable += [item for item in closed if not within(item.path, stores)]
            entries += count
        for store in stores:
            try:
                found, closed, count = walk_tree(store, places, self.policy, owners, all_backups=True)
            except MaintenanceError as error:
                # Another machine's disk, closed to root here: the shop's own directory is audited all the same.
                found, closed, count = [], [Unreadable(store, store, str(error.code or ""))], 0
            objects, unreadable, entries = objects + found, unreadable + closed, entries + count
        if self.policy.fix:
            users = find_users(places) + [named_user(name) for name in self.policy.readers]
        people = service_users(self.policy.service_users, roots)
        objects += look_at_ssh(people)
        scopes = places + ([SOCKET_SCOPE] if self.policy.sockets else []) + ([SSH_SCOPE] if people else [])
        return PermissionObservation(
            utc_now(),
            memory,
            tuple(objects),
            tuple(unreadable),
            tuple(look_at_sockets(self.policy.sockets)),
            tuple(users),
            tuple(scopes),
            entries,
            marks=marks,
        )

    def plan(self, observation: PermissionObservation, now: datetime) -> Plan[PermissionWork]:
        if self.policy.undo:
            return plan_undo(observation.noted)
        return self._fixes(observation, new_undo_id(self.run.run_id, now))

    def _fixes(self, observation: PermissionObservation, undo_id: str) -> Plan[PermissionWork]:
        return plan_fixes(self._problems(observation), self.policy.fix, observation.users, undo_id)

    def _problems(self, observation: PermissionObservation) -> List[Problem]:
        return problems_of(observation.objects, observation.sockets, observation.unreadable, self.policy.rules)

    def _narrow(self, action: Action[NarrowMode], observation: PermissionObservation) -> Outcome:
        undo_id = action.work.undo_id
        if not os.path.exists(undo_path(self.run.state_dir, undo_id)):
            # Before the first change, and of all that are planned: killed at whatever moment, all of it can be undone.
            fixes = self._fixes(observation, undo_id)
            write_undo(self.run.state_dir, undo_id, [planned.work for planned in fixes.actions])
        change_mode(action.work)
        return Outcome()

    def _restore(self, action: Action[RestoreMode], observation: PermissionObservation) -> Outcome:
        change_mode(action.work)
        return Outcome()

    handlers = {NarrowMode: _narrow, RestoreMode: _restore}

    def verify(
        self,
        observation: PermissionObservation,
        plan: Plan[PermissionWork],
        results: Results[PermissionWork, PermissionObservation],
    ) -> Verification[PermissionObservation]:
        seen = {
            result.action.work.path: current_status(result.action.work.root, result.action.work.path)
            for result in results.done
        }
        wrong = []
        for result in results.done:
            status = seen[result.action.work.path]
            if status is not None and status.mode != result.action.work.after:
                wrong.append("%s (mode %04o)" % (result.action.target, status.mode))
        objects = []
        for facts in observation.objects:
            status = seen.get(facts.path, facts.status)
            if status is not None:  # else it went meanwhile
                objects.append(replace(facts, status=status))
        failure = None
        if wrong:
            failure = MaintenanceError(
                "the mode is not what it was just set to",
                target=", ".join(wrong[:5]),
                next_step="Something else changes it at this moment, or its file system does not keep modes.",
            )
        return Verification(replace(observation, objects=tuple(objects)), failure)

    def _conclude(
        self,
        observation: PermissionObservation,
        memory: Memory,
        results: Results[PermissionWork, PermissionObservation],
    ) -> Conclusion:
        after, rules = results.after, self.policy.rules
        if after is None:
            # Check mode, or the second look failed: as it was planned.
            modes = {action.work.path: action.work.after for action in results.effective}
            after = replace(observation, objects=tuple(with_modes(observation.objects, modes)))
        found = to_permission_findings(self._problems(observation))
        left = to_permission_findings(self._problems(after))
        places = {(finding.rule, finding.target) for finding in left}
        mended = [finding for finding in found if (finding.rule, finding.target) not in places]
        waivers = waivers_with_current_names(self.policy.findings.waivers, rules.rules, observation.marks)
        return conclude(
            AUDIT,
            replace(self.policy.findings, waivers=waivers),
            memory,
            found if results.check else left,
            observation.at,
            Coverage(
                observation.scopes,
                None if rules.whole else rules.chosen,
                [printable(item.path) for item in observation.unreadable],
                tuple(rules.rules),
            ),
            check=results.check,
            fixed=[] if results.check else mended,
            excused={(finding.rule, finding.target) for finding in mended} if results.check else (),
        )

    def report(
        self,
        observation: PermissionObservation,
        plan: Plan[PermissionWork],
        results: Results[PermissionWork, PermissionObservation],
    ) -> Report:
        number = len(results.effective)
        if observation.memory is None:
            verb = results.words("gave back", "would give back")
            return Report(
                "%s %d mode%s, left %d alone" % (verb, number, "" if number == 1 else "s", len(plan.kept)),
                changed=bool(number),
                summary={"modes_restored": number, "modes_left_alone": len(plan.kept)},
                values={"findings": [], "resolved": []},
            )
        concluded = self._conclude(observation, observation.memory, results).report
        headline = concluded.headline
        if results.check and number:
            headline = "would narrow %d mode%s; %s" % (number, "" if number == 1 else "s", headline)
        narrowed = [result.action.work for result in results.done if isinstance(result.action.work, NarrowMode)]
        more = {"undo_id": narrowed[0].undo_id} if narrowed else {}
        return replace(
            concluded,
            headline=headline,
            warnings=[*concluded.warnings, *_left_alone(plan)],
            changed=concluded.changed or bool(number),
            summary=dict(concluded.summary, entries=observation.entries, modes_changed=number),
            values=dict(concluded.values, **more),
            record=dict(concluded.record, **more),
        )

    def remember(
        self,
        observation: PermissionObservation,
        plan: Plan[PermissionWork],
        results: Results[PermissionWork, PermissionObservation],
    ) -> None:
        if observation.memory is not None:
            conclusion = self._conclude(observation, observation.memory, results)
            AuditState(self.run.state_dir).write(conclusion.writes)

    def diff(self, observation: PermissionObservation, plan: Plan[PermissionWork]) -> Optional[Dict[str, Any]]:
        if not plan.actions:
            return None
        return {
            "before": "".join("%04o %s\n" % (action.work.before, action.target) for action in plan.actions),
            "after": "".join("%04o %s\n" % (action.work.after, action.target) for action in plan.actions),
        }


def _left_alone(plan: Plan[PermissionWork]) -> List[str]:
    """What a fix left as it is and why, for the screen."""
    told = ["left alone: %s: %s" % (kept.target, kept.reason) for kept in plan.kept[:MOST_TOLD]]
    more = len(plan.kept) - len(told)
    return [*told, "left alone: %d more, see kept" % more] if more else told
