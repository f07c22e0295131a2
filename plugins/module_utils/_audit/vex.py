# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Vulnerable packages as CycloneDX 1.5 with VEX (what is known of each vulnerability, and what was decided about it). Pure."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List
from urllib.parse import quote

from .._core.finding import FIXED, WAIVED, Finding

# CycloneDX has no state for a risk that somebody has taken for a while: it stays to be looked at, and the answer says so.
_STATE = "in_triage"


def package_of(finding: Finding) -> str:
    """The package of a finding of npm_audit, from npm:PATH:NAME."""
    return finding.target.rpartition(":")[2]


def to_vex(path: str, findings: Iterable[Finding]) -> Dict[str, Any]:
    """A document for one npm project. It holds no time of day and no serial number: the same findings make the same document.

    Args:
        path: the project's directory.
        findings: as `judge_findings` returns them; fixed ones, and those of waivers, are left out.
    """
    found = [item for item in findings if item.status != FIXED and item.target.startswith("npm:")]
    packages = sorted({package_of(item) for item in found})
    name = os.path.basename(os.path.normpath(path)) or "project"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "project", "name": name}},
        "components": [
            {"type": "library", "bom-ref": _purl(package), "name": package, "purl": _purl(package)}
            for package in packages
        ],
        "vulnerabilities": [_vulnerability(item) for item in found],
    }


def _purl(package: str) -> str:
    """The package's URL; npm's scope is its namespace, and its @ is escaped."""
    return "pkg:npm/" + quote(package, safe="/")


def _vulnerability(finding: Finding) -> Dict[str, Any]:
    analysis: Dict[str, Any] = {"state": _STATE}
    if finding.status == WAIVED:
        analysis["response"] = ["will_not_fix"]
        analysis["detail"] = "Waived until %s: %s" % (finding.until, finding.reason)
    entry: Dict[str, Any] = {
        "bom-ref": finding.id,
        "id": finding.rule,
        "ratings": [{"severity": finding.severity}],
        "description": finding.message,
        "recommendation": finding.remediation,
        "analysis": analysis,
        "affects": [{"ref": _purl(package_of(finding))}],
        "properties": _properties(finding),
    }
    if finding.rule.startswith("GHSA-"):
        entry["source"] = {
            "name": "GitHub Advisory Database",
            "url": "https://github.com/advisories/" + finding.rule,
        }
    return entry


def _properties(finding: Finding) -> List[Dict[str, str]]:
    told = {"status": finding.status, "since": finding.since, "fingerprint": finding.fingerprint}
    return [{"name": "miniecom.maintenance:" + name, "value": value} for name, value in told.items() if value]
