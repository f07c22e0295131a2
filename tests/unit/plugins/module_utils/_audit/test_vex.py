# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Vulnerable packages as CycloneDX with VEX."""

from __future__ import annotations

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.vex import to_vex
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import Finding

FOUND = [
    Finding("GHSA-aaaa-bbbb-cccc", "high", "npm:/srv/backend:@scope/lib", "m", "r", fingerprint="a" * 32, status="new"),
    Finding(
        "npm-advisory-1",
        "low",
        "npm:/srv/backend:leftpad",
        "m",
        "r",
        fingerprint="b" * 32,
        status="waived",
        reason="not reached",
        until="2027-01-01",
    ),
    Finding("GHSA-aaaa-bbbb-dddd", "high", "npm:/srv/backend:gone", "m", "r", fingerprint="c" * 32, status="fixed"),
    Finding("waiver-expired", "medium", "waiver x", "m", "r", fingerprint="d" * 32),
]


def test_a_document_has_what_its_readers_need() -> None:
    document = to_vex("/srv/backend", FOUND)
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.5", 1)
    assert [item["purl"] for item in document["components"]] == ["pkg:npm/%40scope/lib", "pkg:npm/leftpad"]
    new, waived = document["vulnerabilities"]
    assert new["id"] == "GHSA-aaaa-bbbb-cccc" and new["source"]["url"].endswith("/GHSA-aaaa-bbbb-cccc")
    assert new["analysis"] == {"state": "in_triage"}, "nothing is claimed that nobody has decided"
    assert waived["analysis"]["response"] == ["will_not_fix"]
    assert waived["analysis"]["detail"] == "Waived until 2027-01-01: not reached"
    refs = {item["bom-ref"] for item in document["components"]}
    assert all(one["ref"] in refs for item in document["vulnerabilities"] for one in item["affects"])
    assert document == to_vex("/srv/backend", FOUND), "the same findings make the same document"
