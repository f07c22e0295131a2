# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a scan for secrets that is on its way to what secret_scan says.

What does not need its answer is done before it is waited for: what the host remembers, and what the scan does not look at.
"""

from __future__ import annotations

from dataclasses import replace
from typing import FrozenSet, List, Optional, Sequence

from .._core.call import Call
from .._core.clock import utc_now
from .._core.errors import from_os_error
from .._core.finding import Finding
from .._core.plan import Report
from .._core.waiver import Waiver
from .audit_state import AuditState
from .finding_arguments import FindingPolicy
from .kingfisher import MAX_FILE_MEGABYTES, Scanning
from .kingfisher_output import understood
from .report import Coverage, conclude
from .secret_matches import Match, suspicious, to_secret_findings
from .secret_places import located
from .unscanned import NOT_READ, kept_entries, passed_over


def conclude_scan(
    call: Call, policy: FindingPolicy, roots: Sequence[str], exclude: Sequence[str], scanning: Scanning
) -> Report:
    """Wait for the scan and conclude the audit.

    Raises:
        MaintenanceError: the scan failed, a path is gone, or what the host remembers cannot be read or written.
    """
    state = AuditState(call.run.state_dir)
    memory = state.read("secret_scan", policy.sarif)
    try:
        passed = passed_over(roots, exclude, MAX_FILE_MEGABYTES << 20)
    except OSError as error:
        raise from_os_error(
            "cannot look through what is scanned",
            error,
            target=", ".join(roots),
            next_step="It was there when the scan began: see what took it away, and scan again.",
        ) from error
    elsewhere = _named_elsewhere(state, (*policy.waivers, *memory.waivers), scanning)
    scan = understood(scanning)
    found = findings_in(scan.matches, roots, exclude)
    coverage = Coverage(roots, elsewhere=elsewhere)
    conclusion = conclude("secret_scan", policy, memory, found, utc_now(), coverage, check=call.check)
    if not call.check:
        state.write(conclusion.writes)
    report = conclusion.report
    warnings = list(report.warnings)
    if scan.incomplete:
        warnings.append(
            "Kingfisher could not scan everything below %s; what it could not read is not in the findings."
            % ", ".join(roots)
        )
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


def _named_elsewhere(state: AuditState, waivers: Sequence[Waiver], scanning: Scanning) -> Optional[FrozenSet[str]]:
    """What waivers may name that no rule of ours is called; None where none of them needs to be looked up, which is the rule."""
    if not waivers:
        return None
    from .waiver_names import named_nowhere

    if not named_nowhere(waivers):
        return None
    from .kingfisher_rules import provider_rules
    from .waiving import AUDITS, waivable

    left = {audit: state.read(audit).remembered for audit in AUDITS}
    names = {rule for remembered in left.values() for rule in remembered.rules or ()}
    marks = {mark for finding in waivable(left) for mark in (finding.id, finding.fingerprint)}
    return frozenset(names | marks | provider_rules(scanning.program, scanning.workspace))


def findings_in(matches: Sequence[Match], roots: Sequence[str], exclude: Sequence[str]) -> List[Finding]:
    """What of a scanner's matches is a finding, each with its places in the file."""
    return to_secret_findings(located(suspicious(matches)), roots, exclude)
