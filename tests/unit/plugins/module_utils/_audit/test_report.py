# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The SARIF log and the conclusion of an audit."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.report import conclude, finish
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.sarif import to_sarif
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import Finding
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_context import RunContext

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


def audit(state: Path, found: list[Finding], check: bool = False, **params: Any) -> Any:
    values = {"fail_on": "high", "waivers": [], "update_baseline": False, "sarif": None, **params}
    return conclude("perm_audit", values, RunContext(None, str(state), check, "perm_audit"), found, NOW, ["/srv"])


def test_a_second_audit_with_nothing_new_changes_nothing(tmp_path: Path) -> None:
    sarif = str(tmp_path / "log.sarif")
    assert audit(tmp_path, FOUND[:1], check=True, sarif=sarif).changed
    assert not list(tmp_path.iterdir())
    assert audit(tmp_path, FOUND[:1], sarif=sarif).changed
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert not audit(tmp_path, FOUND[:1], sarif=sarif).changed
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_news_fail_with_everything_in_the_details(tmp_path: Path) -> None:
    audit(tmp_path, [])
    conclusion = audit(tmp_path, FOUND[:1])
    with pytest.raises(MaintenanceError, match=r"1 new finding of severity high or above.*/srv/\.env") as caught:
        finish(conclusion, more=1)
    details = caught.value.details
    assert details["findings"][0]["status"] == "new" and details["more"] == 1 and details["changed"] is False
    assert finish(audit(tmp_path, FOUND[:1], fail_on="never"))["summary"]["findings"] == 1
    assert finish(audit(tmp_path, FOUND[:1], update_baseline=True))["baseline"]["state"] == "updated"
    assert finish(audit(tmp_path, FOUND[:1]))["summary"]["findings_known"] == 1


def test_a_sarif_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match="cannot write the SARIF log"):
        audit(tmp_path, [], sarif=str(tmp_path / "missing" / "log.sarif"))
