#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: perm_audit
short_description: Find file modes and owners that expose a shop, and mend them on request
version_added: 1.0.0
author:
  - miniecom.maintenance contributors (@miniecom)
description:
  - Looks once at everything below the given paths, and at the Docker socket, and reports environment files, private keys and backups that
    others may read, directories and files that everybody may write to, programs with set-user-id or set-group-id, secrets with an
    unexpected owner, and scripts that cannot be started.
  - It changes nothing unless O(fix) or O(undo) says so. A fix only ever narrows a mode, notes the old modes in O(state_dir) before the
    first change, and changes exactly the file that was looked at, never through a symbolic link.
  - A fix leaves alone what the running shop needs. Where a process works in one of the O(paths), or a container has a part of it mounted,
    and its user could no longer read or write an object, the object is kept as it is and RV(kept) says who uses it. Rights of a group stay
    when such a user has access through that group.
  - Symbolic links are not followed, except in O(paths) themselves. Files with several hard links are not mended.
extends_documentation_fragment:
  - miniecom.maintenance.attributes.acting
  - miniecom.maintenance.run
  - miniecom.maintenance.findings
options:
  paths:
    description: Directories to audit, usually the shop's directory. Required unless O(undo) is given.
    type: list
    elements: path
    default: []
  exclude:
    description:
      - Directories that are not entered, as names (V(cache)) or as globs of paths relative to one of O(paths) (V(storage/cache/*)), beside
        C(node_modules) and C(.git), which never are.
    type: list
    elements: str
    default: []
  rules:
    description:
      - The rules to examine; all when omitted.
      - V(env-readable) (high) and V(env-group-access) (medium) are about C(.env) and C(.env.*), samples excepted.
      - V(secret-readable) (high), V(secret-group-access) (medium) and V(secret-owner) (medium) are about private keys and credentials, by
        their names; a C(.pem) file counts when it holds a private key.
      - V(backup-readable) (high), V(backup-group-access) (medium) and V(backup-sidecar-readable) (low) are about files below a directory
        named C(backups); all such files of one directory are one finding, since backups come and go.
      - V(world-writable-directory) (high), V(world-writable-file) (high), V(world-writable-program) (critical).
      - V(setuid-file) (high), V(setgid-file) (medium), V(script-not-executable) (low; one finding for a directory), V(directory-unreadable) (medium).
      - V(docker-socket-open) (critical), V(docker-socket-owner) (high), V(docker-group-members) (low).
    type: list
    elements: str
  docker_socket:
    description: Docker sockets to look at, without opening them. One that does not exist is no finding.
    type: list
    elements: path
    default: [/var/run/docker.sock]
  fix:
    description:
      - V(false) mends nothing. V(true) mends the rules about readable, group-accessible and world-writable files and directories. A list of
        rules mends just these; only so V(setuid-file) and V(setgid-file) are mended.
      - Other rules need a decision about an owner or a wider mode and are never mended.
    type: raw
    default: false
  readers:
    description:
      - Users of the host that must keep what access they have when modes are narrowed, beside the users found among the processes.
      - Of use when the shop is stopped during a fix, and it runs as another user than the owner of its files.
    type: list
    elements: str
    default: []
  undo:
    description:
      - Give back the modes that an earlier fix took, by its RV(undo_id), or all those of a run by its run id.
      - Files whose mode was changed again, or which were replaced, are left alone and told in RV(kept). No audit takes place.
    type: str
seealso:
  - module: miniecom.maintenance.secret_scan
  - module: miniecom.maintenance.port_audit
"""

EXAMPLES = r"""
- name: Audit the shop's files; the first time sets the baseline
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]

- name: Show what a fix would change
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]
    fix: true
  check_mode: true
  diff: true

- name: Close the environment files only, with the stopped API's user in mind
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]
    fix: [env-readable]
    readers: [miniecom]

- name: Let the upload directory stay as it is until the owner is sorted out
  miniecom.maintenance.perm_audit:
    paths: [/opt/miniecom]
    waivers:
      - rule: world-writable-directory
        target: /opt/miniecom/storage/uploads
        reason: the container writes as uid 1000, ticket OPS-118
        expires: 2027-03-31

- name: Take back what a fix changed
  miniecom.maintenance.perm_audit:
    undo: 20261124T030000Z-a1b2c3
"""

RETURN = r"""
plan:
  description: The modes to change, at most 200. Empty without O(fix) and O(undo).
  returned: always
  type: list
  elements: dict
  sample: [{action: chmod, target: /opt/miniecom/.env, reason: "0644 -> 0600: env-readable", bytes: 0}]
kept:
  description: What a fix or an undo left alone, and why.
  returned: always
  type: list
  elements: dict
  sample: [{target: /opt/miniecom/storage/uploads, reason: "mode 0777 is what uid 1000 (node, process 812) uses it by; ..."}]
actions:
  description: What became of each planned change; empty in check mode.
  returned: always
  type: list
  elements: dict
counts:
  description: Totals of the lists, which are cut at 200 entries.
  returned: always
  type: dict
findings:
  description: What was found, the most severe first; V(fixed) ones before all others.
  returned: always
  type: list
  elements: dict
  sample:
    - id: env-readable-3fa91c02
      rule: env-readable
      severity: high
      target: /opt/miniecom/.env
      message: an environment file, full of secrets, is open to every user of the host (mode 0644)
      remediation: Make it 0600, as perm_audit does with fix.
      fingerprint: 3fa91c02d0b14be2a51c2f0e3a4d9b77
      status: new
resolved:
  description: What the baseline knew and is gone, once.
  returned: always
  type: list
  elements: dict
baseline:
  description: Where the baseline lies, what was audited for the first time, and whether it was set, updated or kept.
  returned: when an audit took place
  type: dict
undo_id:
  description: By this id the changes of this call can be taken back with O(undo).
  returned: when something was changed by O(fix)
  type: str
summary:
  description: The numbers a person wants.
  returned: always
  type: dict
  sample: {headline: "5 findings (1 critical, 4 high); 0 new, 2 fixed", findings: 0, findings_total: 5, entries: 4127, seconds: 0.041}
"""

import errno
import functools
import os
import stat
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Set, Tuple

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._audit import undo_store
from ..module_utils._audit.permission_fix import (
    User,
    change_mode,
    current,
    fixable,
    has_acl,
    plan_fixes,
    plan_undo,
    status_of,
    with_birth,
)
from ..module_utils._audit.permission_rules import (
    PEM_ENDINGS,
    RULES,
    Problem,
    Status,
    examine_directory,
    examine_file,
    examine_socket,
    plainly_fine,
    to_findings,
)
from ..module_utils._audit.report import FINDING_ARGUMENTS, Conclusion, conclude
from ..module_utils._audit.users import find_users, group_and_members, named_user
from ..module_utils._core.arguments import RUN_ARGUMENTS, ArgumentSpec
from ..module_utils._core.clock import utc_now
from ..module_utils._core.errors import MaintenanceError
from ..module_utils._core.finding import parse_waivers, printable
from ..module_utils._core.legacy_plan import Action, ActionResult, Outcome, Plan
from ..module_utils._core.legacy_runner import Task, run
from ..module_utils._core.walker import Walk, outermost

SPEC = (
    ArgumentSpec(
        {
            "paths": {"type": "list", "elements": "path", "default": []},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "rules": {"type": "list", "elements": "str"},
            "docker_socket": {"type": "list", "elements": "path", "default": ["/var/run/docker.sock"]},
            "fix": {"type": "raw", "default": False},
            "readers": {"type": "list", "elements": "str", "default": []},
            "undo": {"type": "str"},
        }
    )
    + RUN_ARGUMENTS
    + FINDING_ARGUMENTS
)

ALWAYS_EXCLUDED = ["node_modules", ".git"]
SOCKET_SCOPE = "docker socket"
PEM_HEAD_BYTES = 65536

# Examines an object again after its mode has changed.
Examine = Callable[[Status], List[Tuple[str, str]]]


@dataclass
class Observation:
    problems: List[Problem] = field(default_factory=list)
    examine: Dict[str, Examine] = field(default_factory=dict)
    roots: Dict[str, str] = field(default_factory=dict)
    users: List[User] = field(default_factory=list)
    scopes: List[str] = field(default_factory=list)
    blind: List[str] = field(default_factory=list)
    entries: int = 0
    undo: List[Tuple[Dict[str, Any], Optional[Status]]] = field(default_factory=list)


class PermAudit(Task[Observation]):
    stop_on_failure = False

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.fixing: FrozenSet[str] = frozenset()
        self.undo_id = ""
        self._planned: List[Action] = []
        self._moment = utc_now()
        self._conclusion: Optional[Conclusion] = None

    # observe -------------------------------------------------------------------------------------------------------
    def observe(self) -> Observation:
        self.fixing = self._rules_to_fix()
        parse_waivers(self.params["waivers"])  # a mistake there must be told before anything is changed
        observation = Observation()
        if self.params["undo"]:
            for note in undo_store.read(self.run.state_dir, self.params["undo"]):
                observation.undo.append((note, current(note["root"], note["path"])))
            return observation
        if not self.params["paths"]:
            raise MaintenanceError("no paths to audit", next_step="Set paths, or undo.")
        self._check_names(self.params["rules"], "rules")
        observation.scopes = outermost(self.params["paths"])
        for root in observation.scopes:
            self._walk(root, observation)
        seen: Set[Tuple[int, int]] = set()
        for path in self.params["docker_socket"]:
            self._socket(path, observation, seen)
        if self.params["docker_socket"]:
            observation.scopes.append(SOCKET_SCOPE)
        if self.fixing:
            observation.users = find_users(outermost(self.params["paths"]))
            observation.users += [named_user(name) for name in self.params["readers"]]
        return observation

    def _check_names(self, names: Optional[List[str]], option: str) -> None:
        unknown = sorted(set(names or ()) - set(RULES))
        if unknown:
            raise MaintenanceError(
                "no such rule in %s" % option,
                target=", ".join(unknown),
                next_step="The rules are: %s." % ", ".join(sorted(RULES)),
            )

    def _rules_to_fix(self) -> FrozenSet[str]:
        wanted = self.params["fix"]
        if isinstance(wanted, (list, tuple)):
            names = [str(name) for name in wanted]
            self._check_names(names, "fix")
            hopeless = sorted(set(names) - set(fixable(names)))
            if hopeless:
                raise MaintenanceError(
                    "a narrower mode does not mend this",
                    target=", ".join(hopeless),
                    next_step="Take it out of fix; its remediation says what to do.",
                )
            chosen = frozenset(names)
        else:
            try:
                chosen = (
                    frozenset(rule.id for rule in RULES.values() if rule.default_fix)
                    if boolean(wanted)
                    else frozenset()
                )
            except TypeError as error:
                raise MaintenanceError("fix is neither true, false nor a list of rules", target=repr(wanted)) from error
        if chosen and self.params["undo"]:
            raise MaintenanceError("fix and undo exclude each other", next_step="Leave one of them out.")
        return chosen if self.params["rules"] is None else chosen & frozenset(self.params["rules"])

    def _walk(self, root: str, observation: Observation) -> None:
        walk = Walk(root, ALWAYS_EXCLUDED + self.params["exclude"])
        directory, in_backups, in_scripts, trusted = "", False, False, frozenset([0])
        top_owner = 0
        try:
            for path, descriptor, name, result in walk:
                mode = result.st_mode
                if stat.S_ISDIR(mode):
                    if mode & 0o002:
                        self._note(observation, root, os.path.join(path, name), status_of(result), examine_directory)
                    if walk.entries == 1:
                        top_owner = result.st_uid
                    continue
                if not stat.S_ISREG(mode):
                    continue
                if path != directory:
                    directory = path
                    below = path[len(root) :] + "/"
                    in_backups, in_scripts = "/backups/" in below, below.endswith("/scripts/")
                    trusted = frozenset()
                if plainly_fine(name, mode, in_backups, in_scripts):
                    continue
                if not trusted:
                    # Whoever owns the directory can replace the file anyway.
                    trusted = frozenset((0, top_owner, os.fstat(descriptor).st_uid))
                examine = functools.partial(
                    _examine_file, name, in_backups, in_scripts, trusted, _private_pem(descriptor, name)
                )
                self._note(observation, root, os.path.join(path, name), status_of(result), examine)
        except OSError as error:
            raise MaintenanceError(
                "cannot audit this path",
                target=root,
                code=errno.errorcode.get(error.errno or 0),
                next_step="Correct paths, or run as root (become: true).",
            ) from error
        observation.entries += walk.entries
        for trouble in walk.troubles:
            shown = printable(trouble.path)
            observation.blind.append(shown)
            if self._wanted("directory-unreadable"):
                status = Status(stat.S_IFDIR, 0, -1, -1, 0, 0)
                observation.roots[trouble.path] = root
                observation.problems.append(Problem(RULES["directory-unreadable"], trouble.path, status, trouble.code))

    def _wanted(self, rule: str) -> bool:
        return self.params["rules"] is None or rule in self.params["rules"]

    def _note(self, observation: Observation, root: str, path: str, status: Status, examine: Examine) -> None:
        problems = [Problem(RULES[rule], path, status, note) for rule, note in examine(status) if self._wanted(rule)]
        if problems:
            if self.fixing and has_acl(path):
                status = replace(status, acl=True)
                problems = [replace(problem, status=status) for problem in problems]
            observation.problems.extend(problems)
            observation.examine[path] = examine
            observation.roots[path] = root

    def _socket(self, path: str, observation: Observation, seen: Set[Tuple[int, int]]) -> None:
        try:
            result = os.stat(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise MaintenanceError(
                "cannot look at the Docker socket", target=path, code=errno.errorcode.get(error.errno or 0)
            ) from error
        if (result.st_dev, result.st_ino) in seen:
            return  # under another name (/run and /var/run)
        seen.add((result.st_dev, result.st_ino))
        name, members = group_and_members(result.st_gid)
        status = status_of(result)
        for rule, note in examine_socket(
            stat.S_ISSOCK(result.st_mode), status.mode, status.uid, status.gid, name, members
        ):
            if self._wanted(rule):
                observation.roots[path] = SOCKET_SCOPE
                observation.problems.append(Problem(RULES[rule], path, status, note))

    # plan ----------------------------------------------------------------------------------------------------------
    def plan(self, observation: Observation, now: datetime) -> Plan:
        self._moment = now
        if self.params["undo"]:
            plan = plan_undo(observation.undo)
        else:
            plan = plan_fixes(observation.problems, self.fixing, observation.users, observation.roots)
        self._planned = plan.actions
        return plan

    # apply ---------------------------------------------------------------------------------------------------------
    def act(self, action: Action) -> Outcome:
        if not self.params["undo"] and not self.undo_id:
            undo_id = undo_store.new_undo_id(self.run.run_id, self._moment)
            undo_store.write(self.run.state_dir, undo_id, [with_birth(planned.data) for planned in self._planned])
            self.undo_id = undo_id
        change_mode(action.data)
        return Outcome()

    # verify --------------------------------------------------------------------------------------------------------
    def verify(self, observation: Observation, plan: Plan, results: List[ActionResult]) -> None:
        wrong = []
        for result in results:
            if result.status == "done":
                status = current(result.action.data["root"], result.action.data["path"])
                if status is not None and status.mode != result.action.data["after"]:
                    wrong.append("%s (mode %04o)" % (result.action.target, status.mode))
        done = {
            result.action.data["path"]: result.action.data["after"] for result in results if result.status == "done"
        }
        error = self._conclude(observation, done, False)
        if wrong:
            raise MaintenanceError(
                "the mode is not what it was just set to",
                target=", ".join(wrong[:5]),
                next_step="Something else changes it at this moment, or its file system does not keep modes.",
            )
        if error is not None:
            raise error

    def _problems_after(self, observation: Observation, modes: Dict[str, int]) -> List[Problem]:
        """The problems that stand when these paths have these modes."""
        standing = [problem for problem in observation.problems if problem.path not in modes]
        before = {problem.path: problem.status for problem in observation.problems}
        for path, mode in sorted(modes.items()):
            status = replace(before[path], mode=mode)
            for rule, note in observation.examine[path](status):
                if self._wanted(rule):
                    standing.append(Problem(RULES[rule], path, status, note))
        return standing

    def _conclude(self, observation: Observation, modes: Dict[str, int], check: bool) -> Optional[MaintenanceError]:
        """Conclude the audit.

        Args:
            modes: path -> the mode that was set, or in check mode would be.
        """
        if self.params["undo"]:
            return None
        found = to_findings(observation.problems, observation.roots)
        left = to_findings(self._problems_after(observation, modes), observation.roots)
        places = {(finding.rule, finding.target) for finding in left}
        mended = [finding for finding in found if (finding.rule, finding.target) not in places]
        self._conclusion = conclude(
            "perm_audit",
            self.params,
            self.run,
            found if check else left,
            self._moment,
            observation.scopes,
            fixed=[] if check else mended,
            rules=self.params["rules"],
            blind=observation.blind,
            excused={(finding.rule, finding.target) for finding in mended} if check else (),
        )
        return self._conclusion.error

    def _conclude_check(self, observation: Observation, plan: Plan) -> None:
        if self._conclusion is None:
            self._conclude(observation, {action.data["path"]: action.data["after"] for action in plan.actions}, True)

    def summary(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        if self.params["undo"]:
            done = len(plan.actions) if results is None else sum(result.status == "done" for result in results)
            verb = "would give back" if results is None else "gave back"
            return {
                "headline": "%s %d mode%s, left %d alone" % (verb, done, "" if done == 1 else "s", len(plan.kept)),
                "modes_restored": done,
                "modes_left_alone": len(plan.kept),
            }
        if self._conclusion is None:
            return {"headline": "the audit could not be concluded", "entries": observation.entries}
        summary = dict(self._conclusion.values["summary"], entries=observation.entries)
        if results is None and plan.actions:
            summary["headline"] = "would narrow %d mode%s; %s" % (
                len(plan.actions),
                "" if len(plan.actions) == 1 else "s",
                summary["headline"],
            )
        summary["modes_changed"] = len(plan.actions) if results is None else sum(r.status == "done" for r in results)
        return summary

    def changed(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> bool:
        if results is None:
            self._conclude_check(observation, plan)
        written = self._conclusion is not None and self._conclusion.changed
        return written or super().changed(observation, plan, results)

    def diff(self, observation: Observation, plan: Plan) -> Optional[Dict[str, Any]]:
        if not plan.actions:
            return None
        return {
            side: "".join("%04o %s\n" % (action.data[side], action.target) for action in plan.actions)
            for side in ("before", "after")
        }

    def extra(self, observation: Observation, plan: Plan, results: Optional[List[ActionResult]]) -> Dict[str, Any]:
        values: Dict[str, Any] = {"findings": [], "resolved": []}
        if self._conclusion is not None:
            values = {key: value for key, value in self._conclusion.values.items() if key != "summary"}
            values["warnings"] = plan.warnings + values["warnings"]
        if self.undo_id:
            values["undo_id"] = self.undo_id
        if results is None and self._conclusion is not None and self._conclusion.error is not None:
            error = self._conclusion.error
            error.details.update(values)
            raise error
        return values


def _examine_file(
    name: str, in_backups: bool, in_scripts: bool, trusted: FrozenSet[int], private_pem: bool, status: Status
) -> List[Tuple[str, str]]:
    return examine_file(name, status, in_backups, in_scripts, trusted, private_pem)


def _private_pem(descriptor: int, name: str) -> bool:
    """Whether a .pem file holds a private key; one that cannot be read counts as one."""
    if name.rpartition(".")[2].lower() not in PEM_ENDINGS:
        return False
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
        with os.fdopen(opened, "rb") as handle:
            return b"PRIVATE KEY-----" in handle.read(PEM_HEAD_BYTES)
    except OSError:
        return True


def main() -> None:
    run(PermAudit, SPEC)


if __name__ == "__main__":
    main()
