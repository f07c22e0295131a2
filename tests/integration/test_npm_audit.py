# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""npm_audit with the real npm against a registry of our own on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.sandbox.fetch import ProgramUnavailable
from tests.support.cyclonedx_schema import schema_validator
from tests.support.modules import ModuleResult, run_module
from tests.support.npm_registry import NpmRegistry

ADVISORY = {
    "id": 1106913,
    "url": "https://github.com/advisories/GHSA-35jh-r3h4-6jhm",
    "title": "Command Injection in leftpad",
    "severity": "high",
    "vulnerable_versions": "<1.2.0",
    "cwe": ["CWE-77"],
    "cvss": {"score": 7.2, "vectorString": None},
}
CANARY = "canary-registry-token-4417"


@pytest.fixture(scope="module", autouse=True)
def npm() -> str:
    found = shutil.which("npm")
    if not found:
        lacking("npm: no npm program on the PATH")
    return str(found)


@pytest.fixture
def registry() -> Iterator[NpmRegistry]:
    with NpmRegistry() as server:
        for version in ("1.0.0", "1.2.0", "2.0.0"):
            server.publish("leftpad", version)
        server.publish("wrapper", "1.0.0", dependencies={"leftpad": "^1.0.0"})
        server.advisories = {"leftpad": [ADVISORY]}
        yield server


@pytest.fixture
def project(tmp_path: Path, registry: NpmRegistry) -> Path:
    """A project with a lock file, as `npm install` would have left it."""
    directory = tmp_path / "backend"
    directory.mkdir()
    own = {"name": "shop", "version": "1.0.0", "dependencies": {"wrapper": "^1.0.0", "leftpad": "^1.0.0"}}
    own["scripts"] = {"preinstall": "touch SCRIPT-RAN", "install": "touch SCRIPT-RAN"}
    packages = {
        "": {key: own[key] for key in ("name", "version", "dependencies")},
        "node_modules/leftpad": {"version": "1.0.0", "resolved": f"{registry.address}leftpad-1.0.0.tgz"},
        "node_modules/wrapper": {
            "version": "1.0.0",
            "resolved": f"{registry.address}wrapper-1.0.0.tgz",
            "dependencies": {"leftpad": "^1.0.0"},
        },
    }
    (directory / "package.json").write_text(json.dumps(own))
    lock = {"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": packages}
    (directory / "package-lock.json").write_text(json.dumps(lock))
    for name in ("leftpad", "wrapper"):
        (directory / "node_modules" / name).mkdir(parents=True)
        (directory / "node_modules" / name / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0"}))
    host = registry.address.removeprefix("http:")
    (directory / ".npmrc").write_text(f"registry={registry.address}\n{host}:_authToken={CANARY}\n")
    return directory


def audit(project: Path, state_dir: Path, **more: Any) -> ModuleResult:
    options = {key: more.pop(key) for key in ("check", "python", "env") if key in more}
    params = {"path": str(project), "state_dir": str(state_dir), "_ansible_verbosity": 3, **more}
    return run_module("npm_audit", params, **options)


def content(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in directory.rglob("*")}


def test_vulnerable_and_outdated_packages_are_reported_and_nothing_is_touched(
    project: Path, state_dir: Path, tmp_path: Path
) -> None:
    before = content(project)
    home = tmp_path / "home"
    home.mkdir()
    first = audit(project, state_dir, env={"HOME": str(home)})
    assert not first.failed and not first.changed, first.msg
    assert first.result["audit"] == {"available": True, "status": "done", "reason": ""}
    (found,) = first.result["findings"]
    assert (found["rule"], found["severity"], found["status"]) == ("GHSA-35jh-r3h4-6jhm", "high", "known")
    assert found["target"] == f"npm:{project}:leftpad" and "leftpad <1.2.0" in found["message"]
    assert "npm audit fix" in found["remediation"]
    assert {item["name"]: item["update"] for item in first.result["outdated"]} == {"leftpad": "major"}
    assert first.result["outdated"][0]["wanted"] == "1.2.0"
    second = audit(project, state_dir)
    assert not second.failed and not second.changed and second.result["summary"]["findings"] == 0
    assert content(project) == before and list(home.iterdir()) == []
    assert CANARY not in first.output + second.output


def test_a_new_advisory_fails_and_can_be_waived_by_its_name(
    project: Path, state_dir: Path, registry: NpmRegistry
) -> None:
    registry.advisories = {}
    assert audit(project, state_dir).result["summary"]["headline"].startswith("backend: nothing found")
    registry.advisories = {"leftpad": [ADVISORY]}
    red = audit(project, state_dir)
    assert red.failed and "leftpad" in red.msg and red.result["outdated"]
    waiver = {"rule": "GHSA-35jh-*", "reason": "not reached", "expires": "2999-12-31"}
    assert not audit(project, state_dir, waivers=[waiver]).failed
    registry.advisories = {"leftpad": [dict(ADVISORY, severity="moderate")]}
    assert not audit(project, state_dir).failed


def test_what_was_decided_stands_in_a_document_for_other_tools(
    project: Path, state_dir: Path, registry: NpmRegistry, tmp_path: Path
) -> None:
    path = tmp_path / "backend.vex.json"
    registry.advisories = {"leftpad": [ADVISORY]}
    assert audit(project, state_dir, check=True, vex=str(path)).changed and not path.exists()
    assert audit(project, state_dir, vex=str(path)).changed
    assert not audit(project, state_dir, vex=str(path)).changed
    [told] = json.loads(path.read_text())["vulnerabilities"]
    assert told["affects"] == [{"ref": "pkg:npm/leftpad"}] and told["analysis"] == {"state": "in_triage"}
    waiver = {"rule": "GHSA-35jh-*", "reason": "not reached", "expires": "2999-12-31"}
    assert audit(project, state_dir, waivers=[waiver], vex=str(path)).changed
    [told] = json.loads(path.read_text())["vulnerabilities"]
    assert told["analysis"]["response"] == ["will_not_fix"] and "not reached" in told["analysis"]["detail"]
    before = path.read_bytes()
    registry.status = 405
    silent = audit(project, state_dir, vex=str(path))
    assert not silent.changed and path.read_bytes() == before, "no answer is no clean bill there, either"


def test_the_document_is_as_the_schema_of_cyclonedx_wants_it(
    project: Path, state_dir: Path, registry: NpmRegistry, tmp_path: Path
) -> None:
    try:
        validator = schema_validator()
    except ProgramUnavailable as error:
        lacking(f"the schema of CycloneDX: {error}")
    path = tmp_path / "backend.vex.json"
    registry.advisories = {"leftpad": [ADVISORY]}
    waiver = {"rule": "GHSA-35jh-*", "reason": "not reached", "expires": "2999-12-31"}
    for waivers in ([], [waiver]):
        assert audit(project, state_dir, waivers=waivers, vex=str(path)).changed
        document = json.loads(path.read_text())
        assert document["vulnerabilities"] and not [error.message for error in validator.iter_errors(document)]
    document["vulnerabilities"][0]["analysis"]["state"] = "ignored"
    assert [error.message for error in validator.iter_errors(document)], "the schema is none"


@pytest.mark.parametrize("status", [405, 404, 401])
def test_a_registry_without_audits_is_never_a_clean_bill(
    project: Path, state_dir: Path, registry: NpmRegistry, status: int
) -> None:
    assert audit(project, state_dir).result["summary"]["findings_total"] == 1
    registry.status = status
    result = audit(project, state_dir)
    assert not result.failed and result.result["audit"]["available"] is False
    assert result.result["audit"]["status"] == "not available" and str(status) in result.result["audit"]["reason"]
    assert "not available" in result.result["summary"]["headline"] and result.result["resolved"] == []
    assert CANARY not in result.output
    registry.status = 200
    again = audit(project, state_dir)
    assert not again.failed and again.result["findings"][0]["status"] == "known", "the baseline was left as it was"


def test_a_registry_that_cannot_be_reached(project: Path, state_dir: Path, registry: NpmRegistry) -> None:
    registry.shutdown()
    registry.server_close()
    result = audit(project, state_dir)
    assert not result.failed and not result.result["audit"]["available"]
    assert "ECONNREFUSED" in result.result["audit"]["reason"]
    assert not result.result["outdated_status"]["available"]


def test_a_project_without_lock_file_or_a_host_without_npm(project: Path, state_dir: Path) -> None:
    (project / "package-lock.json").unlink()
    result = audit(project, state_dir)
    assert not result.failed and "ENOLOCK" in result.result["audit"]["reason"]
    result = audit(project, state_dir, env={"PATH": "/nonexistent"})
    assert not result.failed and "no npm on this host" in result.result["audit"]["reason"]


def test_without_node_modules_the_lock_file_says_what_is_outdated(project: Path, state_dir: Path) -> None:
    """In a compose deployment node_modules is in the image only."""
    installed = audit(project, state_dir).result["outdated"]
    shutil.rmtree(project / "node_modules")
    result = audit(project, state_dir)
    assert result.result["outdated"] == installed and [item["name"] for item in installed] == ["leftpad"]
    assert "1 package outdated" in result.result["summary"]["headline"]


def test_a_workspace_named_like_a_public_package_is_not_looked_up(project: Path, state_dir: Path) -> None:
    """npm asks the registry for it by its name and calls the stranger's version newer."""
    own = json.loads((project / "package.json").read_text())
    (project / "packages" / "wrapper").mkdir(parents=True)
    (project / "packages" / "wrapper" / "package.json").write_text(json.dumps({"name": "wrapper", "version": "0.0.1"}))
    (project / "package.json").write_text(json.dumps({**own, "workspaces": ["packages/*"]}))
    shutil.rmtree(project / "node_modules" / "wrapper")
    (project / "node_modules" / "wrapper").symlink_to("../packages/wrapper")
    result = audit(project, state_dir)
    assert not result.failed and [item["name"] for item in result.result["outdated"]] == ["leftpad"]


def test_check_mode_writes_nothing(project: Path, state_dir: Path) -> None:
    result = audit(project, state_dir, check=True)
    assert not result.failed and result.result["summary"]["findings_total"] == 1 and not state_dir.exists()


def test_an_npm_that_hangs_is_ended(project: Path, state_dir: Path, tmp_path: Path) -> None:
    slow = tmp_path / "npm"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    result = audit(project, state_dir, npm=str(slow), timeout="1s")
    assert result.failed and "did not end within 1 s" in result.msg


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -9 $$", "npm was ended by signal 9"),
        ("echo '{}'; kill -9 $$", "npm was ended by signal 9"),
        ("exit 0", "it printed nothing"),
        ("exit 1", "it printed nothing"),
        ("echo 'npm warn something' >&2", "npm warn something"),
    ],
)
def test_an_npm_that_is_killed_or_silent_knows_nothing(
    project: Path, state_dir: Path, tmp_path: Path, script: str, reason: str
) -> None:
    fake = tmp_path / "npm"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    result = audit(project, state_dir, npm=str(fake))
    assert not result.failed, result.msg
    for status in (result.result["audit"], result.result["outdated_status"]):
        assert not status["available"] and reason in status["reason"]
    assert "newer versions not known" in result.result["summary"]["headline"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"path": "/nonexistent"}, "no npm project"),
        ({"npm": "/nonexistent/npm"}, "cannot be run"),
        ({"timeout": "x"}, "not a duration"),
    ],
)
def test_mistakes_are_told(project: Path, state_dir: Path, params: dict[str, Any], message: str) -> None:
    result = audit(project, state_dir, **params)
    assert result.failed and message in result.msg and "defect" not in result.msg
    with contextlib.suppress(FileNotFoundError):
        assert os.listdir(state_dir) == []


def test_on_the_oldest_python(project: Path, state_dir: Path, old_python: Path) -> None:
    result = audit(project, state_dir, python=old_python)
    assert not result.failed and result.result["summary"]["findings_total"] == 1, result.msg
