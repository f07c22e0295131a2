# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking for secrets in files: what secret_scan does."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import List, Sequence

from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import MaintenanceError, from_os_error
from .._core.finding import Finding
from .._core.plan import Report
from .._core.units import parse_duration
from .._core.walker import outermost
from . import kingfisher
from .audit_state import AuditState
from .report import Coverage, conclude, finding_policy
from .secret_matches import Match, suspicious, to_secret_findings
from .secret_places import located
from .unscanned import NOT_READ, kept_entries, passed_over

ALWAYS_EXCLUDED = [
    "node_modules",
    ".git",
    "storage/backups",
    "storage/logs",
    "storage/uploads",
    "storage/invoices",
    "storage/labels",
    "backend/uploads",
]


def scan_secrets(call: Call) -> Report:
    """Scan the paths of the options and conclude the audit."""
    policy, timeout = finding_policy(call.params), parse_duration(call.params["timeout"])
    roots = _readable(call.params["paths"])
    exclude = ALWAYS_EXCLUDED + call.params["exclude"]
    program = kingfisher.find_kingfisher(call.params["kingfisher"])
    state = AuditState(call.run.state_dir)
    memory = state.read("secret_scan", policy.sarif)
    scan = _scan(call, program, roots, exclude, timeout)
    found = findings_in(scan.matches, roots, exclude)
    conclusion = conclude("secret_scan", policy, memory, found, utc_now(), Coverage(roots), check=call.check)
    if not call.check:
        state.write(conclusion.writes)
    report = conclusion.report
    warnings = list(report.warnings)
    if scan.incomplete:
        warnings.append(
            "Kingfisher could not scan everything below %s; what it could not read is not in the findings."
            % ", ".join(roots)
        )
    passed = passed_over(roots, exclude, kingfisher.MAX_FILE_MEGABYTES << 20)
    return replace(
        report,
        summary=dict(
            report.summary,
            files_scanned=scan.files,
            files_not_scanned=sum(passed[kind].count for kind in NOT_READ if kind in passed),
            bytes_scanned=scan.bytes,
        ),
        values=dict(report.values, kept=[kept.as_dict() for kept in kept_entries(passed)]),
        warnings=warnings,
    )


def findings_in(matches: Sequence[Match], roots: Sequence[str], exclude: Sequence[str]) -> List[Finding]:
    """What of a scanner's matches is a finding, each with its places in the file."""
    return to_secret_findings(located(suspicious(matches)), roots, exclude)


def _readable(paths: Sequence[str]) -> List[str]:
    roots = outermost(paths)
    if not roots:
        raise MaintenanceError("no paths to scan", next_step="Set paths.")
    for root in roots:
        if not os.access(root, os.R_OK):
            raise MaintenanceError(
                "cannot scan this path",
                target=root,
                code="EACCES" if os.path.lexists(root) else "ENOENT",
                next_step="Correct paths, or run as root (become: true).",
            )
    return roots


def _scan(call: Call, program: str, roots: List[str], exclude: List[str], timeout: float) -> kingfisher.Scan:
    workspace = kingfisher.make_workspace(call.tmpdir)
    try:
        cache = kingfisher.cache_for(call.run.state_dir, workspace, call.check)
        return kingfisher.scan_paths(program, roots, [*exclude, ".env"], cache, workspace, timeout)
    except OSError as error:
        raise from_os_error(
            "cannot prepare the scan",
            error,
            next_step="Check that state_dir and the temporary directory are writable and have space.",
        ) from error
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
