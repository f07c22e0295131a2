# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking npm about a project: what npm_audit does."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple

from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError
from .._core.plan import Report
from .._core.units import parse_duration
from .audit_state import AuditState, file_holds, write_document
from .npm import NpmAnswer, ask_npm, find_npm, npm_counts, outdated_list, read_audit, read_outdated, vulnerabilities
from .npm_project import read_project
from .report import Coverage, conclude, finding_policy
from .vex import to_vex

_NO_NPM = "there is no npm on this host (PATH); in a compose deployment it may only be in the containers"


def audit_npm(call: Call) -> Report:
    """Ask npm for vulnerable and outdated packages of one project, and conclude the audit."""
    policy, timeout = finding_policy(call.params), parse_duration(call.params["timeout"])
    path = os.path.realpath(call.params["path"])
    if not os.path.isfile(os.path.join(path, "package.json")):
        raise MaintenanceError(
            "this is no npm project, or it may not be read",
            target=os.path.join(path, "package.json"),
            next_step="Correct path, or run as a user who may read it.",
        )
    program = find_npm(call.params["npm"])
    state = AuditState(call.run.state_dir)
    memory = state.read("npm_audit", policy.sarif)
    audit, outdated = _answers(call, program, path, timeout)
    found = vulnerabilities(audit.data, path) if audit.available else []
    coverage = Coverage([path] if audit.available else [])
    conclusion = conclude("npm_audit", policy, memory, found, utc_now(), coverage, check=call.check)
    report = conclusion.report
    if not call.check:
        state.write(conclusion.writes)
    if call.params["vex"] and audit.available:
        text = json.dumps(to_vex(path, conclusion.judgement.findings), indent=1, sort_keys=True) + "\n"
        if not file_holds(call.params["vex"], text.encode("utf-8")):
            report = replace(report, changed=True)
            if not call.check:
                write_document(call.params["vex"], text.encode("utf-8"), "the CycloneDX document")
    packages = outdated_list(outdated.data, read_project(path)) if outdated.available else []
    return _report(report, path, audit, outdated, packages)


def _answers(call: Call, program: Optional[str], path: str, timeout: float) -> Tuple[NpmAnswer, NpmAnswer]:
    """What npm says of vulnerable and of outdated packages."""
    if program is None:
        return NpmAnswer(False, _NO_NPM), NpmAnswer(False, _NO_NPM)
    workspace = tempfile.mkdtemp(prefix="miniecom-npm-", dir=call.tmpdir)
    try:
        audit = read_audit(ask_npm(program, ["audit", "--json", "--ignore-scripts"], path, workspace, timeout))
        call.run.renew()
        return audit, read_outdated(ask_npm(program, ["outdated", "--json"], path, workspace, timeout))
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def _report(report: Report, path: str, audit: NpmAnswer, outdated: NpmAnswer, packages: List[Dict[str, Any]]) -> Report:
    majors = sum(package["update"] == "major" for package in packages)
    headline, warnings = report.headline, list(report.warnings)
    if not audit.available:
        headline = "audit not available: %s" % audit.reason
        warnings.append("No audit of %s: %s" % (path, audit.reason))
    if not outdated.available:
        headline += "; newer versions not known"
    elif packages:
        headline += "; %d package%s outdated" % (len(packages), "" if len(packages) == 1 else "s")
    return replace(
        report,
        # Several projects of one shop stand in one row of the run's table.
        headline="%s: %s" % (os.path.basename(os.path.normpath(path)), headline),
        summary=dict(
            report.summary,
            outdated=len(packages),
            outdated_major=majors,
            npm_counts=npm_counts(audit.data),
        ),
        values=dict(report.values, audit=_status(audit), outdated=packages, outdated_status=_status(outdated)),
        warnings=warnings,
    )


def _status(answer: NpmAnswer) -> Dict[str, Any]:
    return {
        "available": answer.available,
        "status": "done" if answer.available else "not available",
        "reason": answer.reason,
    }
