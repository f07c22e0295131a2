# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user wants of a permission audit, from the options of perm_audit. Pure."""

from __future__ import annotations

from typing import Any, FrozenSet, Mapping, Tuple

from ansible.module_utils.parsing.convert_bool import boolean

from .._core.errors import MaintenanceError
from .._core.late_dataclass import dataclass
from .finding_arguments import FindingPolicy, finding_policy
from .permission_custom import named_rules, rule_set
from .permission_rules import RuleSet, fixable

ALWAYS_EXCLUDED = ("node_modules", ".git")


@dataclass(frozen=True)
class PermissionPolicy:
    """What a permission audit is told.

    Attributes:
        paths: what to audit.
        backups: directories of backups, audited as such wherever they are and whatever they are called.
        exclude: names and globs of directories that are not entered.
        rules: the rules to examine.
        fix: the rules to mend.
        readers: names of users who must keep what access they have.
        sockets: Docker sockets to look at.
        service_users: names of users whose SSH files are looked at, beside the owners of the paths.
        undo: id of the fix or of the run to take back; "" for an audit.
        findings: what is to become of findings.
    """

    paths: Tuple[str, ...]
    backups: Tuple[str, ...]
    exclude: Tuple[str, ...]
    rules: RuleSet
    fix: FrozenSet[str]
    readers: Tuple[str, ...]
    sockets: Tuple[str, ...]
    service_users: Tuple[str, ...]
    undo: str
    findings: FindingPolicy


def permission_policy(params: Mapping[str, Any]) -> PermissionPolicy:
    """The policy that the options state.

    Raises:
        MaintenanceError: they make no sense.
    """
    undo = params["undo"] or ""
    rules = rule_set(params["rules"])
    chosen = _rules_to_fix(params["fix"], rules)
    if chosen and undo:
        raise MaintenanceError("fix and undo exclude each other", next_step="Leave one of them out.")
    if not undo and not params["paths"]:
        raise MaintenanceError("no paths to audit", next_step="Set paths, or undo.")
    return PermissionPolicy(
        tuple(params["paths"]),
        tuple(params["backups"]),
        ALWAYS_EXCLUDED + tuple(params["exclude"]),
        rules,
        chosen & rules.chosen,
        tuple(params["readers"]),
        tuple(params["docker_socket"]),
        tuple(params["service_users"]),
        undo,
        finding_policy(params),
    )


def _rules_to_fix(wanted: Any, rules: RuleSet) -> FrozenSet[str]:
    if isinstance(wanted, (list, tuple)):
        names = named_rules(rules.rules, [str(name) for name in wanted], "fix")
        unfixable = sorted(names - set(fixable(rules.rules, names)))
        if unfixable:
            raise MaintenanceError(
                "a narrower mode does not mend this",
                target=", ".join(unfixable),
                next_step="Take it out of fix; its remediation says what to do.",
            )
        return names
    try:
        every = boolean(wanted)
    except TypeError as error:
        raise MaintenanceError("fix is neither true, false nor a list of rules", target=repr(wanted)) from error
    return frozenset(rule.name for rule in rules.rules.values() if rule.default_fix) if every else frozenset()
