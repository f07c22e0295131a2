# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What npm prints, in the shapes seen from npm 8 to 11."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.npm import (
    npm_counts,
    npm_environment,
    outdated_list,
    package_names,
    read_audit,
    read_outdated,
    remedy,
    update_kind,
    vulnerabilities,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.npm_project import (
    NpmProject,
    parse_lock,
    read_project,
    workspace_patterns,
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
    assert npm_counts(answer.data) == {"high": 2, "moderate": 0, "total": 2}
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
    assert [(item["name"], item["update"]) for item in outdated_list(answer.data, NpmProject())] == [
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


LOCK = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "shop"},
        "node_modules/a": {"resolved": "packages/a", "link": True},
        "node_modules/b": {"resolved": "packages/b", "link": True},
        "node_modules/express": {"version": "4.18.2"},
        "node_modules/fresh": {"version": "3.0.0"},
        "node_modules/old-lodash": {"name": "lodash", "version": "4.17.15"},
        "node_modules/express/node_modules/fresh": {"version": "1.0.0"},
        "packages/a": {"version": "1.0.0"},
        "packages/a/node_modules/express": {"version": "5.0.1"},
    },
}


def rows(data: dict[str, Any], lock: dict[str, Any] | None = None) -> list[tuple[str, str | None, str]]:
    found = outdated_list(data, parse_lock(lock or {}))
    return [(item["name"], item["current"], item["update"]) for item in found]


def test_what_is_only_not_installed_is_not_outdated() -> None:
    """As npm answers where there is no node_modules: an entry for every dependency, without a current version."""
    data = {
        "express": {"wanted": "4.21.1", "latest": "5.0.1", "dependent": "shop"},
        "fresh": {"wanted": "3.0.0", "latest": "3.0.0", "dependent": "shop"},
        "unlocked": {"wanted": "1.0.0", "latest": "1.0.0", "dependent": "shop"},
        "pinned": {"wanted": "1.0.0", "latest": "1.2.0", "dependent": "shop"},
    }
    assert rows(data, LOCK) == [("express", "4.18.2", "major"), ("pinned", None, "minor")]
    # What npm lists although it is installed is outdated by npm's own word.
    assert rows({"next": {"current": "2.0.0", "wanted": "1.9.0", "latest": "1.9.0"}}) == [("next", "2.0.0", "none")]


def test_a_workspace_has_versions_of_its_own_and_is_no_package_of_the_registry() -> None:
    data = {
        "b": {"current": "1.0.0", "wanted": "2.0.1", "latest": "2.0.1", "dependent": "a"},
        "express": [
            {"wanted": "5.0.1", "latest": "5.0.1", "dependent": "a"},
            {"wanted": "4.21.1", "latest": "5.0.1", "dependent": "shop"},
        ],
    }
    assert rows(data, LOCK) == [("express", "4.18.2", "major")]
    assert [item["dependent"] for item in outdated_list(data, parse_lock(LOCK))] == ["shop"]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("lodash", ("lodash", "")),
        ("old-lodash:lodash@4.17.15", ("old-lodash", "lodash")),
        ("@shop/old:@scope/new@1.0.0", ("@shop/old", "@scope/new")),
        ("old:@scope/new", ("old", "@scope/new")),
        ("old:", ("old", "")),
    ],
)
def test_an_alias_is_told_by_both_names(key: str, names: tuple[str, str]) -> None:
    assert package_names(key) == names


def test_an_alias_is_found_in_the_lock_file() -> None:
    data = {"old-lodash:lodash@4.17.15": {"wanted": "4.17.15", "latest": "4.17.21", "dependent": "shop"}}
    [item] = outdated_list(data, parse_lock(LOCK))
    assert (item["name"], item["package"], item["current"], item["update"]) == (
        "old-lodash", "lodash", "4.17.15", "patch",
    )  # fmt: skip


def test_workspaces_are_known_without_a_lock_file_and_old_lock_files_are_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "package.json").write_text(json.dumps({"name": f"@shop/{name}"}))
    (tmp_path / "package.json").write_text(
        json.dumps({"workspaces": {"packages": ["packages/*", "../*", "/etc/*", 3]}})
    )
    assert read_project(str(tmp_path)).workspaces == {"@shop/a": "packages/a", "@shop/b": "packages/b"}
    assert workspace_patterns({"workspaces": ["a"]}) == ["a"] and workspace_patterns({"workspaces": 3}) == []
    (tmp_path / "package-lock.json").write_text(json.dumps({"dependencies": {"x": {"version": "1.0.0"}, "y": 1}}))
    assert read_project(str(tmp_path)).locked == {"node_modules/x": "1.0.0"}
    (tmp_path / "package-lock.json").write_text("{")
    assert read_project(str(tmp_path)).locked == {}


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


odd = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
KEYS = ["via", "current", "wanted", "latest", "title", "effects", "fixAvailable", "url", "link", "version", "resolved"]
entry = st.dictionaries(st.sampled_from(KEYS), odd | st.lists(odd | st.just({"source": 1}), max_size=2)) | odd
packages = st.dictionaries(
    st.sampled_from(["a", "error", "node_modules/a", "old:a@1", ":"]), entry | st.lists(entry, max_size=2)
)
advisory = st.dictionaries(st.sampled_from(["source", "title", "url", "severity", "range"]), odd)


def mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is expected there, and once in five times something else."""
    return st.integers(0, 4).flatmap(lambda number: strategy if number else odd)


vulnerable = st.dictionaries(
    st.sampled_from(["a", "b", ""]),
    mostly(
        st.fixed_dictionaries({"via": mostly(st.lists(mostly(advisory), max_size=2)), "effects": odd | st.lists(odd)})
    ),
)
reports = st.fixed_dictionaries(
    {"auditReportVersion": st.just(2), "vulnerabilities": mostly(vulnerable), "metadata": packages | odd}
)


def test_no_json_breaks_the_readers() -> None:
    reached: Counter[str] = Counter()

    @given(mostly(reports), packages, st.sampled_from(["packages", "dependencies"]), packages | odd)
    def property_of_answers(report: Any, outdated: Any, key: str, lock: Any) -> None:
        audit = read_audit(json.dumps(report))
        if audit.available:
            reached["findings"] += bool(vulnerabilities(audit.data, "/srv"))
            npm_counts(audit.data)
        answer = read_outdated(json.dumps(outdated))
        if answer.available:
            reached["outdated"] += bool(outdated_list(answer.data, parse_lock({key: lock})))

    property_of_answers()
    assert min(reached["findings"], reached["outdated"]) > 3, reached


def test_npm_runs_no_scripts_and_writes_only_into_the_workspace() -> None:
    values = npm_environment(
        {"PATH": "/bin", "npm_config_cache": "/root/.npm", "NPM_CONFIG_IGNORE_SCRIPTS": "false", "TOKEN": "x"}, "/tmp/w"
    )
    assert values["npm_config_cache"] == "/tmp/w/cache" and values["npm_config_ignore_scripts"] == "true"
    assert "NPM_CONFIG_IGNORE_SCRIPTS" not in values and "TOKEN" not in values
