# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking npm about a project, and what its answers come to: what npm_audit does whether it updates anything or not."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from datetime import datetime
from typing import Any, Collection, Dict, Optional, Tuple

from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError
from .._core.finding import Finding
from .._core.late_dataclass import dataclass
from .._core.plan import Report
from .audit_state import AuditState, Memory, file_holds, write_document
from .finding_arguments import FindingPolicy
from .npm import NpmAnswer, ask_npm, find_npm, npm_counts, outdated_list, read_audit, read_outdated, vulnerabilities
from .npm_project import read_project
from .report import Conclusion, Coverage, conclude
from .vex import to_vex

AUDIT = "npm_audit"
NO_NPM = "there is no npm on this host (PATH); in a compose deployment it may only be in the containers"


@dataclass(frozen=True)
class AuditSight:
    """What is known of a project.

    Attributes:
        at: when npm was asked.
        audit, outdated: its answers; packages: the outdated ones.
        memory: what the host remembered of earlier audits.
    """

    path: str
    at: datetime
    audit: NpmAnswer
    outdated: NpmAnswer
    packages: Tuple[Dict[str, Any], ...]
    memory: Memory

    @property
    def found(self) -> Tuple[Finding, ...]:
        return tuple(vulnerabilities(self.audit.data, self.path)) if self.audit.available else ()


def locate_project(path: str) -> str:
    """The project's directory, without links.

    Raises:
        MaintenanceError: there is no project.
    """
    found = os.path.realpath(path)
    if not os.path.isfile(os.path.join(found, "package.json")):
        raise MaintenanceError(
            "this is no npm project, or it may not be read",
            target=os.path.join(found, "package.json"),
            next_step="Correct path, or run as a user who may read it.",
        )
    return found


def look_at_project(call: Call, path: str, timeout: float, policy: FindingPolicy) -> AuditSight:
    """Ask npm for vulnerable and outdated packages of one project.

    Args:
        timeout: in seconds, for each of its answers.
    """
    program = find_npm(call.params["npm"])
    memory = AuditState(call.run.state_dir).read(AUDIT, policy.sarif)
    audit, outdated = _answers(call, program, path, timeout)
    packages = outdated_list(outdated.data, read_project(path)) if outdated.available else []
    return AuditSight(path, utc_now(), audit, outdated, tuple(packages), memory)


def _answers(call: Call, program: Optional[str], path: str, timeout: float) -> Tuple[NpmAnswer, NpmAnswer]:
    """What npm says of vulnerable and of outdated packages."""
    if program is None:
        return NpmAnswer(False, NO_NPM), NpmAnswer(False, NO_NPM)
    workspace = tempfile.mkdtemp(prefix="miniecom-npm-", dir=call.tmpdir)
    try:
        audit = read_audit(ask_npm(program, ["audit", "--json", "--ignore-scripts"], path, workspace, timeout))
        call.run.renew()
        return audit, read_outdated(ask_npm(program, ["outdated", "--json"], path, workspace, timeout))
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def conclude_sight(
    sight: AuditSight,
    policy: FindingPolicy,
    check: bool,
    fixed: Tuple[Finding, ...] = (),
    excused: Collection[Tuple[str, str]] = (),
) -> Conclusion:
    """Judge what was found. Pure; its arguments are those of `conclude`."""
    coverage = Coverage([sight.path] if sight.audit.available else [])
    return conclude(
        AUDIT, policy, sight.memory, sight.found, sight.at, coverage, check=check, fixed=fixed, excused=excused
    )


def vex_text(sight: AuditSight, conclusion: Conclusion) -> bytes:
    """The CycloneDX document. Pure."""
    text = json.dumps(to_vex(sight.path, conclusion.judgement.findings), indent=1, sort_keys=True)
    return (text + "\n").encode("utf-8")


def write_conclusion(state_dir: str, sight: AuditSight, conclusion: Conclusion, vex: Optional[str]) -> None:
    """Write down what the next audit is to know, and what the user has asked for.

    Raises:
        MaintenanceError: it cannot be written.
    """
    AuditState(state_dir).write(conclusion.writes)
    if vex and sight.audit.available and not file_holds(vex, vex_text(sight, conclusion)):
        write_document(vex, vex_text(sight, conclusion), "the CycloneDX document")


def audit_report(sight: AuditSight, conclusion: Conclusion, vex: Optional[str]) -> Report:
    """All that there is to say of it.

    Args:
        vex: the file of the CycloneDX document, which counts as changed where it will be.
    """
    report, audit, outdated = conclusion.report, sight.audit, sight.outdated
    majors = sum(package["update"] == "major" for package in sight.packages)
    headline, warnings = report.headline, list(report.warnings)
    if not audit.available:
        headline = "audit not available: %s" % audit.reason
        warnings.append("No audit of %s: %s" % (sight.path, audit.reason))
    if not outdated.available:
        headline += "; newer versions not known"
    elif sight.packages:
        headline += "; %d package%s outdated" % (len(sight.packages), "" if len(sight.packages) == 1 else "s")
    changed = report.changed
    if vex and audit.available and not file_holds(vex, vex_text(sight, conclusion)):
        changed = True
    return replace(
        report,
        # Several projects of one shop stand in one row of the run's table.
        headline="%s: %s" % (os.path.basename(os.path.normpath(sight.path)), headline),
        changed=changed,
        summary=dict(
            report.summary,
            outdated=len(sight.packages),
            outdated_major=majors,
            npm_counts=npm_counts(audit.data),
        ),
        values=dict(
            report.values, audit=_status(audit), outdated=list(sight.packages), outdated_status=_status(outdated)
        ),
        warnings=warnings,
    )


def _status(answer: NpmAnswer) -> Dict[str, Any]:
    return {
        "available": answer.available,
        "status": "done" if answer.available else "not available",
        "reason": answer.reason,
    }
