# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what an audit found to what its module says: baseline, waivers, SARIF, and whether it fails. Pure."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any, Collection, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError
from .._core.finding import (
    FIXED,
    KNOWN,
    NEW,
    SEVERITIES,
    WAIVED,
    Finding,
    finding_id,
    fingerprint,
    severity_rank,
    urgency,
)
from .._core.judgement import Gone, Judgement, judge_findings
from .._core.late_dataclass import dataclass
from .._core.plan import Report
from .audit_state import Memory, Writes, sarif_digest
from .finding_arguments import FindingPolicy
from .sarif import to_sarif


@dataclass(frozen=True)
class Coverage:
    """What an audit has looked at.

    Attributes:
        scopes: where.
        rules: the rules that were examined, None for all.
        blind: paths below which nothing could be seen.
        all_rules: every rule that this audit has, where they can be listed.
        elsewhere: what waivers may name besides, as `waiver_names.Known` has it.
    """

    scopes: Sequence[str]
    rules: Optional[Collection[str]] = None
    blind: Sequence[str] = ()
    all_rules: Collection[str] = ()
    elsewhere: Optional[FrozenSet[str]] = None


@dataclass(frozen=True)
class Conclusion:
    """The end of an audit: what there is to say, and what is to be written down.

    Attributes:
        report: `changed` is whether a file of the user's (the SARIF log) is, or in check mode would be, written.
        writes: what is to be on the host afterwards; nothing of it is in check mode.
    """

    judgement: Judgement
    report: Report
    writes: Writes


def conclude(
    audit: str,
    policy: FindingPolicy,
    memory: Memory,
    found: Iterable[Finding],
    now: datetime,
    coverage: Coverage,
    *,
    check: bool = False,
    fixed: Sequence[Finding] = (),
    excused: Collection[Tuple[str, str]] = (),
) -> Conclusion:
    """Judge the findings, and say what is to be told and written. Pure.

    Args:
        audit: name of the module, also of its baseline.
        policy: what the user wants.
        memory: what the host remembered before.
        found: what was found and still stands.
        now: the moment of the audit.
        coverage: what was looked at.
        check: check mode.
        fixed: what was mended by this call.
        excused: rules and targets of findings that do not fail the audit (check mode: they would be mended).
    """
    judgement = judge_findings(
        found,
        memory.remembered,
        (*policy.waivers, *memory.waivers),
        policy.fail_on,
        memory.key,
        now,
        coverage.scopes,
        coverage.rules,
        coverage.blind,
        policy.update_baseline,
        coverage.all_rules,
        policy.fail_for,
    )
    failing = [finding for finding in judgement.failing if (finding.rule, finding.target) not in excused]
    judgement = replace(judgement, failing=failing)
    mended = [replace(finding, fingerprint=fingerprint(memory.key, finding), status=FIXED) for finding in fixed]
    # What was mended by this call is told as fixed, not as resolved by somebody.
    mended_places = {(finding.rule, finding.target) for finding in mended}
    resolved = [entry for entry in judgement.resolved if (entry.rule, entry.target) not in mended_places]
    sarif = _sarif_log(audit, judgement.findings) if policy.sarif else b""
    writes = Writes(memory, judgement.after)
    if policy.sarif and sarif_digest(sarif) != memory.sarif_digest:
        writes = replace(writes, sarif_path=policy.sarif, sarif=sarif)
    first = [scope for scope in judgement.first if scope in coverage.scopes]
    counts = _by_severity(finding for finding in judgement.findings if finding.status != WAIVED)
    lists: Dict[str, List[Dict[str, Any]]] = {
        "findings": [finding.as_dict() for finding in sorted(mended, key=urgency) + judgement.findings],
        "resolved": [entry.as_dict() for entry in resolved],
    }
    report = Report(
        audit_headline(judgement, counts, len(mended), len(resolved), bool(first), check),
        changed=writes.sarif is not None,
        summary=_summary(judgement, counts, mended, resolved),
        values=dict(
            lists,
            baseline={
                "path": memory.baseline_path,
                "first": first,
                "state": _baseline_state(bool(first), policy.update_baseline, check),
            },
        ),
        record={name: found_there for name, found_there in lists.items() if found_there},
        warnings=_warnings(memory, check)
        + _new_rules(judgement, policy)
        + _misnamed(audit, policy, memory, judgement, coverage, now),
        failure=_failure(audit, policy, failing) if failing else None,
    )
    return Conclusion(judgement, report, writes)


def _by_severity(findings: Iterable[Finding]) -> Dict[str, int]:
    counts = dict.fromkeys(SEVERITIES, 0)
    for finding in findings:
        counts[finding.severity] += 1
    return counts


def _summary(
    judgement: Judgement, counts: Dict[str, int], mended: Sequence[Finding], resolved: Sequence[Gone]
) -> Dict[str, Any]:
    return {
        "findings": judgement.count(NEW),
        "findings_total": len(judgement.findings),
        "findings_known": judgement.count(KNOWN),
        "findings_waived": judgement.count(WAIVED),
        "findings_fixed": len(mended),
        "findings_resolved": len(resolved),
        "findings_by_new_rules": len(judgement.by_new_rules),
        "findings_failing": len(judgement.failing),
        "by_severity": counts,
        "new_by_severity": _by_severity(finding for finding in judgement.findings if finding.status == NEW),
    }


def _warnings(memory: Memory, check: bool) -> List[str]:
    warnings = []
    if memory.other_key and memory.key_is_new and check:
        warnings.append(
            "%s belongs to a key that is missing; a real run would begin the baseline anew." % memory.baseline_path
        )
    elif memory.other_key:
        warnings.append("The key %s has changed since the last audit: the baseline is begun anew." % memory.key_path)
    if memory.key_is_new and check:
        warnings.append(
            "There is no key for fingerprints yet and check mode makes none: the fingerprints of this run are good for this run only."
        )
    return warnings


def _new_rules(judgement: Judgement, policy: FindingPolicy) -> List[str]:
    """What would have failed the audit, had its rule been there before."""
    if policy.fail_on == "never":
        return []
    threshold = severity_rank(policy.fail_on)
    serious = [finding for finding in judgement.by_new_rules if severity_rank(finding.severity) >= threshold]
    if not serious:
        return []
    return [
        "%d finding%s of severity %s or above by rules that no earlier audit of this host had (%s). They may have been there all along, "
        "so they fail nothing this time; from now on they are known."
        % (
            len(serious),
            "" if len(serious) == 1 else "s",
            policy.fail_on,
            ", ".join(sorted({finding.rule for finding in serious})),
        )
    ]


def _misnamed(
    audit: str, policy: FindingPolicy, memory: Memory, judgement: Judgement, coverage: Coverage, now: datetime
) -> List[str]:
    """What is to be said of waivers that name what there is not."""
    idle = [
        waiver
        for waiver in (*policy.waivers, *memory.waivers)
        if not waiver.expired(now.date()) and not any(waiver.matches(finding) for finding in judgement.findings)
    ]
    if not idle:
        return []
    # Hardly ever needed, and it brings the rules of all audits.
    from .waiver_names import Known, misnamed_waivers

    found = [(finding.rule, finding.fingerprint) for finding in judgement.findings]
    for scopes in (memory.remembered.baseline, memory.remembered.open):
        found += [(entry.rule, mark) for entries in scopes.values() for mark, entry in entries.items()]
    known = Known(
        audit,
        {*coverage.all_rules, *(rule for rule, _mark in found)},
        {finding_id(rule, mark) for rule, mark in found},
        {mark for _rule, mark in found},
        coverage.elsewhere,
    )
    return misnamed_waivers(idle, known)


def _failure(audit: str, policy: FindingPolicy, failing: Sequence[Finding]) -> MaintenanceError:
    worst = failing[0]
    return MaintenanceError(
        "%s has %d %s%s of severity %s or above; first: %s: %s%s: %s"
        % (
            audit,
            len(failing),
            "" if policy.fail_for == "all" else "new ",
            "finding" if len(failing) == 1 else "findings",
            policy.fail_on,
            worst.severity,
            worst.target,
            " line %d" % worst.line if worst.line else "",
            worst.message,
        ),
        next_step="%s All of them are in findings. What may stand for a while is waived: playbook waive, with -e finding=%s -e reason=... "
        "-e expires=90d." % (worst.remediation, worst.id),
    )


def audit_headline(
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
    for count, word in (
        (len(judgement.by_new_rules), "of them by new rules"),
        (fixed, "fixed"),
        (resolved, "fixed since the last audit"),
        (judgement.count(WAIVED), "waived"),
    ):
        if count:
            text += ", %d %s" % (count, word)
    return text


def _baseline_state(first: bool, update: bool, check: bool) -> str:
    if first or update:
        word = "set" if first else "updated"
        return "would be " + word if check else word
    return "kept"


def _sarif_log(audit: str, findings: List[Finding]) -> bytes:
    return (json.dumps(to_sarif(audit, findings), indent=1, sort_keys=True) + "\n").encode("utf-8")
