# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings as SARIF 2.1.0 (OASIS Static Analysis Results Interchange Format). Pure."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List
from urllib.parse import quote

from .._core.finding import FIXED, NEW, WAIVED, Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"low": "note", "medium": "warning", "high": "error", "critical": "error"}
# Code scanners that read SARIF sort by this number (0 to 10).
_SCORES = {"low": "3.0", "medium": "5.5", "high": "8.0", "critical": "9.5"}


def to_sarif(tool: str, findings: Iterable[Finding]) -> Dict[str, Any]:
    """A SARIF log with one run. It holds no time of day: the same findings make the same log.

    Args:
        tool: name of the audit.
        findings: as `judge_findings` returns them; fixed ones are left out.
    """
    findings = [finding for finding in findings if finding.status != FIXED]
    rules: Dict[str, Dict[str, Any]] = {}
    results: List[Dict[str, Any]] = []
    for finding in findings:
        rules.setdefault(
            finding.rule,
            {
                "id": finding.rule,
                "name": "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", finding.rule)),
                "shortDescription": {"text": finding.rule.replace("-", " ")},
                "help": {"text": finding.remediation},
                "properties": {"security-severity": _SCORES[finding.severity]},
            },
        )
        place: Dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.target)}}
        if finding.line:
            place["region"] = {"startLine": finding.line}
            if finding.column:
                place["region"]["startColumn"] = finding.column
        result: Dict[str, Any] = {
            "ruleId": finding.rule,
            "level": _LEVELS[finding.severity],
            "message": {"text": "%s. %s" % (finding.message.rstrip("."), finding.remediation)},
            "partialFingerprints": {"miniecomMaintenance/v1": finding.fingerprint},
            "baselineState": "new" if finding.status == NEW else "unchanged",
        }
        if finding.target.startswith("/"):
            result["locations"] = [{"physicalLocation": place}]
        else:
            result["locations"] = [{"logicalLocations": [{"fullyQualifiedName": finding.target}]}]
        if finding.status == WAIVED:
            suppression = {"kind": "external", "status": "accepted"}
            if finding.reason:
                suppression["justification"] = "%s (until %s)" % (finding.reason, finding.until)
            result["suppressions"] = [suppression]
        results.append(result)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "miniecom.maintenance." + tool,
                        "rules": [rules[name] for name in sorted(rules)],
                    }
                },
                "results": results,
            }
        ],
    }


def _uri(target: str) -> str:
    return "file://" + quote(target.encode("utf-8", "surrogateescape")) if target.startswith("/") else quote(target)
