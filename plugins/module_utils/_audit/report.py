# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what an audit found to what its module returns: baseline, waivers, SARIF, and whether it fails."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .._core.arguments import ArgumentSpec
from .._core.atomic_file import write_atomic
from .._core.errors import MaintenanceError
from .._core.finding import (
    FAIL_ON,
    FIXED,
    KNOWN,
    NEW,
    SEVERITIES,
    WAIVED,
    Finding,
    Judgement,
    fingerprint,
    judge,
    parse_waivers,
)
from .._core.run_context import RunContext
from .audit_state import AuditState, same_content
from .sarif import to_sarif

FINDING_ARGUMENTS = ArgumentSpec(
    {
        "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "high"},
        "waivers": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "fingerprint": {"type": "str"},
                "target": {"type": "str"},
                "rule": {"type": "str"},
                "reason": {"type": "str", "required": True},
                "expires": {"type": "str", "required": True},
            },
        },
        "update_baseline": {"type": "bool", "default": False},
        "sarif": {"type": "path"},
    }
)


@dataclass
class Conclusion:
    """The end of an audit.

    Attributes:
        values: what the module returns.
        changed: whether a file of the user's (the SARIF log) was, or in check mode would be, written.
        error: to be raised after everything else was done; None when the audit is green.
    """

    values: Dict[str, Any]
    judgement: Judgement
    changed: bool
    error: Optional[MaintenanceError]


def conclude(
    audit: str,
    params: Mapping[str, Any],
    context: RunContext,
    found: Iterable[Finding],
    now: datetime,
    scopes: Collection[str],
    fixed: Sequence[Finding] = (),
    rules: Optional[Collection[str]] = None,
    blind: Sequence[str] = (),
    excused: Collection[Tuple[str, str]] = (),
) -> Conclusion:
    """Judge the findings, keep the baseline, write the SARIF log, and put together what to return.

    Args:
        audit: name of the module, also of its baseline.
        params: the module's options.
        found: what was found and still stands.
        fixed: what was mended by this call.
        scopes, rules, blind: as in `judge`.
        excused: rules and targets of findings that do not fail the audit (check mode: they would be mended).
    """
    waivers = parse_waivers(params.get("waivers"))
    state = AuditState(context.state_dir, context.check)
    key = state.key()
    baseline, warnings = state.load(audit, key)
    judgement = judge(
        found, baseline, waivers, params["fail_on"], key, now, scopes, rules, blind, bool(params.get("update_baseline"))
    )
    judgement.failing = [finding for finding in judgement.failing if (finding.rule, finding.target) not in excused]
    if state.temporary_key:
        warnings.append(
            "There is no key for fingerprints yet and check mode makes none: the fingerprints of this run are good for this run only."
        )
    mended = [replace(finding, fingerprint=fingerprint(key, finding), status=FIXED) for finding in fixed]
    # What was mended by this call is told as fixed, not as resolved by somebody.
    mended_places = {(finding.rule, finding.target) for finding in mended}
    resolved = [entry for entry in judgement.resolved if (entry.rule, entry.target) not in mended_places]
    state.store(audit, key, judgement.baseline)
    changed = _sarif(params.get("sarif"), audit, judgement.findings, context.check)
    counts = dict.fromkeys(SEVERITIES, 0)
    new_counts = dict(counts)
    for finding in judgement.findings:
        if finding.status != WAIVED:
            counts[finding.severity] += 1
        if finding.status == NEW:
            new_counts[finding.severity] += 1
    first = [scope for scope in judgement.first if scope in scopes]
    summary = {
        "headline": headline(judgement, counts, len(mended), len(resolved), bool(first), context.check),
        "findings": judgement.count(NEW),
        "findings_total": len(judgement.findings),
        "findings_known": judgement.count(KNOWN),
        "findings_waived": judgement.count(WAIVED),
        "findings_fixed": len(mended),
        "findings_resolved": len(resolved),
        "findings_failing": len(judgement.failing),
        "by_severity": counts,
        "new_by_severity": new_counts,
    }
    values: Dict[str, Any] = {
        "findings": [finding.as_dict() for finding in mended + judgement.findings],
        "resolved": [entry.as_dict() for entry in resolved],
        "baseline": {
            "path": state.baseline_path(audit),
            "first": first,
            "state": _baseline_state(bool(first), bool(params.get("update_baseline")), context.check),
        },
        "summary": summary,
        "warnings": warnings,
    }
    error = None
    if judgement.failing:
        worst = judgement.failing[0]
        error = MaintenanceError(
            "%s has %d new %s of severity %s or above; first: %s: %s%s: %s"
            % (
                audit,
                len(judgement.failing),
                "finding" if len(judgement.failing) == 1 else "findings",
                params["fail_on"],
                worst.severity,
                worst.target,
                " line %d" % worst.line if worst.line else "",
                worst.message,
            ),
            next_step="%s All of them are in findings. A finding that may stand is named in waivers, with a reason and an expiry."
            % worst.remediation,
        )
    return Conclusion(values, judgement, changed, error)


def finish(conclusion: Conclusion, **more: Any) -> Dict[str, Any]:
    """The values of a module that only reads; raises its error with all of them as details."""
    values = dict(conclusion.values, changed=conclusion.changed, **more)
    if conclusion.error is not None:
        conclusion.error.details.update(values)
        raise conclusion.error
    return values


def headline(
    judgement: Judgement, counts: Mapping[str, int], fixed: int, resolved: int, first: bool, check: bool = False
) -> str:
    """One sentence on an audit. Pure."""
    active = sum(counts.values())
    if not active and not fixed:
        text = "nothing found"
    else:
        worst = ", ".join(
            "%d %s" % (counts[severity], severity) for severity in reversed(SEVERITIES) if counts[severity]
        )
        text = "%d finding%s" % (active, "" if active == 1 else "s") + (" (%s)" % worst if worst else "")
    if first:
        text += "; first audit, %s as the baseline" % ("would be taken" if check else "taken")
    else:
        text += "; %d new" % judgement.count(NEW)
    for count, word in ((fixed, "fixed"), (resolved, "resolved since"), (judgement.count(WAIVED), "waived")):
        if count:
            text += ", %d %s" % (count, word)
    return text


def _baseline_state(first: bool, update: bool, check: bool) -> str:
    if first or update:
        word = "set" if first else "updated"
        return "would be " + word if check else word
    return "kept"


def _sarif(path: Optional[str], audit: str, findings: List[Finding], check: bool) -> bool:
    if not path:
        return False
    data = (json.dumps(to_sarif(audit, findings), indent=1, sort_keys=True) + "\n").encode("utf-8")
    if same_content(path, data):
        return False
    if not check:
        try:
            write_atomic(path, data)
        except OSError as error:
            raise MaintenanceError(
                "cannot write the SARIF log",
                target=path,
                code=errno.errorcode.get(error.errno or 0, error.errno),
                next_step="Its directory must exist and be writable by uid %d." % os.geteuid(),
            ) from error
    return True
