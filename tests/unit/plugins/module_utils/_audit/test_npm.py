# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What npm prints, in the shapes seen from npm 8 to 11."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.npm import (
    environment,
    outdated_list,
    read_audit,
    read_outdated,
    remedy,
    update_kind,
    vulnerabilities,
)

REPORT: dict[str, Any] = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "lodash": {
            "name": "lodash",
            "severity": "high",
            "isDirect": False,
            "via": [
                {
                    "source": 1106913,
                    "name": "lodash",
                    "title": "Command Injection in lodash",
                    "url": "https://github.com/advisories/GHSA-35jh-r3h4-6jhm",
                    "severity": "high",
                    "range": "<4.17.21",
                },
                {
                    "source": 7,
                    "title": "Another",
                    "url": "https://npmjs.com/advisories/7",
                    "severity": "moderate",
                    "range": "*",
                },
            ],
            "effects": ["wrapper"],
            "range": "<=4.17.20",
            "fixAvailable": True,
        },
        "wrapper": {"name": "wrapper", "severity": "high", "via": ["lodash"], "effects": [], "fixAvailable": True},
    },
    "metadata": {"vulnerabilities": {"high": 2, "moderate": 0, "total": 2}},
}


def test_each_advisory_on_each_package_is_one_finding() -> None:
    answer = read_audit(json.dumps(REPORT))
    assert answer.available
    found = vulnerabilities(answer.data, "/srv/backend")
    assert [(item.rule, item.severity) for item in found] == [
        ("GHSA-35jh-r3h4-6jhm", "high"),
        ("npm-advisory-7", "medium"),
    ]
    assert found[0].target == "npm:/srv/backend:lodash" and "wrapper" in found[0].message
    assert vulnerabilities(read_audit('{"auditReportVersion": 2, "vulnerabilities": {}}').data, "/srv") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"message": "405 Method Not Allowed", "statusCode": 405, "error": {"summary": "", "detail": ""}}', "405"),
        (
            '{"error": {"code": "ENOLOCK", "summary": "This command requires an existing lockfile.", "detail": "x"}}',
            "ENOLOCK",
        ),
        ('{"auditReportVersion": 2, "vulnerabilities": {}, "error": {"code": "E500"}}', "E500"),
        ('{"auditReportVersion": 3}', "version 3"),
        ('{"vulnerabilities": {}}', "no reason"),
        ("[]", "unexpected"),
        ("", "no JSON"),
        ("npm ERR! cannot reach https://me:canary@registry/", "cannot reach"),
    ],
)
def test_a_failure_is_never_taken_for_no_vulnerabilities(text: str, reason: str) -> None:
    answer = read_audit(text)
    assert not answer.available and reason in answer.reason
    assert "canary" not in answer.reason


def test_outdated_packages() -> None:
    data = {
        "express": {"current": "4.18.2", "wanted": "4.21.1", "latest": "5.0.1", "dependent": "backend"},
        "error": {"wanted": "1.0.0", "latest": "1.0.1"},
        "both": [
            {"current": "1.0.0", "wanted": "1.0.0", "latest": "1.2.0"},
            {"current": "1.1.0", "wanted": "1.1.0", "latest": "1.2.0"},
        ],
    }
    answer = read_outdated(json.dumps(data))
    assert answer.available
    assert [(item["name"], item["update"]) for item in outdated_list(answer.data)] == [
        ("express", "major"),
        ("both", "minor"),
        ("both", "minor"),
        ("error", "patch"),
    ]
    assert read_outdated("{}").data == {} and read_outdated("{}").available
    # An npm that says nothing does not say that nothing is outdated.
    assert not read_outdated("").available and read_outdated(" \n").reason.endswith("it printed nothing")
    assert not read_audit("").available
    assert not read_outdated('{"error": {"code": "ENOTFOUND", "summary": "request failed"}}').available
    assert not read_outdated("oops").available


@pytest.mark.parametrize(
    ("current", "latest", "expected"),
    [
        ("1.2.3", "2.0.0", "major"),
        ("1.2.3", "1.3.0", "minor"),
        ("1.2.3", "1.2.4", "patch"),
        ("1.2.3", "1.2.3", "none"),
        ("2.0.0", "1.9.9", "none"),
        (None, "1.0.0", "unknown"),
        ("git+ssh://x", "1.0.0", "unknown"),
    ],
)
def test_how_far_an_update_goes(current: str | None, latest: str, expected: str) -> None:
    assert update_kind(current, latest) == expected


def test_what_to_do() -> None:
    assert "npm audit fix" in remedy(True, {})
    assert "major update" in remedy({"name": "a", "version": "2.0.0", "isSemVerMajor": True}, {})
    assert "no fixed version" in remedy(False, {"url": "javascript:alert(1)"})
    assert "javascript" not in remedy(False, {"url": "javascript:alert(1)"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["auditReportVersion", "vulnerabilities", "error", "via", "a"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_no_json_breaks_the_readers(data: Any) -> None:
    answer = read_audit(json.dumps(data))
    if answer.available:
        vulnerabilities(answer.data, "/srv")
    outdated = read_outdated(json.dumps(data))
    if outdated.available:
        outdated_list(outdated.data)


def test_npm_runs_no_scripts_and_writes_only_into_the_workspace() -> None:
    values = environment(
        {"PATH": "/bin", "npm_config_cache": "/root/.npm", "NPM_CONFIG_IGNORE_SCRIPTS": "false", "TOKEN": "x"}, "/tmp/w"
    )
    assert values["npm_config_cache"] == "/tmp/w/cache" and values["npm_config_ignore_scripts"] == "true"
    assert "NPM_CONFIG_IGNORE_SCRIPTS" not in values and "TOKEN" not in values
