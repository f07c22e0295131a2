# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The SARIF log and the conclusion of an audit."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.audit_state import AuditState
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.finding_arguments import finding_policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.report import (
    Conclusion,
    Coverage,
    conclude,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.sarif import to_sarif
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import Finding

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
FOUND = [
    Finding("env-readable", "high", "/srv/.env", "m", "r", scope="/srv", fingerprint="f" * 32),
    Finding(
        "x",
        "low",
        "/srv/a b%ü.js",
        "m",
        "r",
        line=4,
        scope="/srv",
        subject="canary",
        fingerprint="e" * 32,
        status="waived",
    ),
    Finding("p", "critical", "*:27017/tcp", "m", "r", scope="/srv", fingerprint="d" * 32, status="known"),
    Finding("gone", "high", "/srv/b", "m", "r", scope="/srv", status="fixed"),
]


def test_the_sarif_log_has_what_its_readers_need() -> None:
    log = to_sarif("perm_audit", FOUND)
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "miniecom.maintenance.perm_audit"
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {"env-readable", "x", "p"}
    by_rule = {result["ruleId"]: result for result in run["results"]}
    assert by_rule["env-readable"]["level"] == "error" and by_rule["env-readable"]["baselineState"] == "new"
    place = by_rule["x"]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "file:///srv/a%20b%25%C3%BC.js" and place["region"] == {"startLine": 4}
    assert by_rule["x"]["suppressions"] and by_rule["x"]["level"] == "note"
    assert by_rule["p"]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "*:27017/tcp"
    assert by_rule["p"]["baselineState"] == "unchanged"
    assert "canary" not in json.dumps(log)


def audit(directory: Path, found: list[Finding], check: bool = False, **params: Any) -> Conclusion:
    """As modules do it: read, judge, write."""
    policy = finding_policy({"fail_on": "high", "waivers": [], "update_baseline": False, "sarif": None, **params})
    state = AuditState(str(directory))
    memory = state.read("perm_audit", policy.sarif)
    conclusion = conclude("perm_audit", policy, memory, found, NOW, Coverage(["/srv"]), check=check)
    if not check:
        state.write(conclusion.writes)
    return conclusion


def content(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_second_audit_with_nothing_new_changes_nothing(tmp_path: Path) -> None:
    sarif = str(tmp_path / "log.sarif")
    assert audit(tmp_path, FOUND[:1], check=True, sarif=sarif).report.changed
    assert not list(tmp_path.iterdir())
    assert audit(tmp_path, FOUND[:1], sarif=sarif).report.changed
    before = content(tmp_path)
    assert not audit(tmp_path, FOUND[:1], sarif=sarif).report.changed
    assert content(tmp_path) == before


def test_concluding_writes_nothing_and_says_what_is_to_be_written(tmp_path: Path) -> None:
    state = AuditState(str(tmp_path))
    policy = finding_policy(
        {"fail_on": "low", "waivers": [], "update_baseline": False, "sarif": str(tmp_path / "log.sarif")}
    )
    memory = state.read("perm_audit", policy.sarif)
    conclusions = [conclude("perm_audit", policy, memory, FOUND[:1], NOW, Coverage(["/srv"])) for _ in range(2)]
    assert conclusions[0] == conclusions[1] and not list(tmp_path.iterdir())
    state.write(conclusions[0].writes)
    assert {path.name for path in content(tmp_path)} == {"audit.key", "perm_audit.json", "log.sarif"}
    assert conclusions[0].writes.sarif == (tmp_path / "log.sarif").read_bytes()
    assert state.read("perm_audit").remembered == conclusions[0].writes.after


def test_news_fail_and_are_told_all_the_same(tmp_path: Path) -> None:
    audit(tmp_path, [])
    report = audit(tmp_path, FOUND[:1]).report
    assert report.failure is not None
    assert re.search(r"1 new finding of severity high or above.*/srv/\.env", str(report.failure))
    assert report.values["findings"][0]["status"] == "new" and not report.changed
    assert report.record == {"findings": report.values["findings"]}
    never = audit(tmp_path, FOUND[:1], fail_on="never").report
    assert never.failure is None and never.summary["findings"] == 1
    assert audit(tmp_path, FOUND[:1], update_baseline=True).report.values["baseline"]["state"] == "updated"
    assert audit(tmp_path, FOUND[:1]).report.summary["findings_known"] == 1


def test_a_sarif_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match="cannot write the SARIF log"):
        audit(tmp_path, [], sarif=str(tmp_path / "missing" / "log.sarif"))
