# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The SARIF logs of real audits, held against the standard's own schema and taken in by a viewer of somebody else's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.conftest import lacking
from tests.integration.test_port_audit import NO_ENGINE, listening
from tests.sandbox.fetch import ProgramUnavailable
from tests.sandbox.mongod import free_port
from tests.support.modules import run_module
from tests.support.sarif_tools import imported, official_schema

LEVELS = {"low": "note", "medium": "warning", "high": "error", "critical": "error"}
# What a log must get right: blanks, a line feed, what is no UTF-8, what means something in an address.
NAMES = (b".env", b".env.a b", b".env.\n1", b".env.caf\xe9", b".env.50%#?")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    for name in NAMES:
        path = os.path.join(os.fsencode(root), name)
        with open(path, "wb") as handle:
            handle.write(b"A=1\n")
        os.chmod(path, 0o644)
    (root / "mailer.js").write_text("// the relay\nconst smtpPassword = 'Example-fresh-9917';\n")
    return root


def audits(root: Path, state_dir: Path, place: Path) -> dict[str, list[dict[str, Any]]]:
    """Run the audits, twice each, with one finding waived in between; findings of each as it told them."""
    state, told = str(state_dir), {}
    given: dict[str, dict[str, Any]] = {
        "perm_audit": {"paths": [str(root)], "docker_socket": []},
        "secret_scan": {"paths": [str(root)]},
        "port_audit": {"docker_host": NO_ENGINE},
    }
    for name, params in given.items():
        params |= {"state_dir": state, "sarif": str(place / f"{name}.sarif"), "fail_on": "never"}
        first = run_module(name, params)
        assert not first.failed and first.result["findings"], first.msg
        found = first.result["findings"][0]["id"]
        waiver = {"state_dir": state, "finding": found, "reason": "ticket 7", "expires": "90d"}
        assert run_module("finding_waiver", waiver).changed
        second = run_module(name, params)
        assert not second.failed, second.msg
        told[name] = second.result["findings"]
        assert {item["status"] for item in told[name]} >= {"waived"}
    return told


def test_what_the_audits_write_is_sarif_and_a_viewer_shows_it(shop: Path, scan_state: Path, tmp_path: Path) -> None:
    try:
        schema = official_schema()
    except ProgramUnavailable as error:
        lacking(f"the schema of SARIF: {error}")
    with listening("0.0.0.0", free_port()):
        told = audits(shop, scan_state, tmp_path)
    logs = [tmp_path / f"{name}.sarif" for name in told]
    validator = jsonschema.Draft4Validator(schema)
    for log in logs:
        content = json.loads(log.read_text(encoding="utf-8"))
        assert not [error.message for error in validator.iter_errors(content)], log.name
        assert [error.message for error in validator.iter_errors(content | {"version": "2.0.0"})], "the schema is none"
    try:
        rows = imported(logs, tmp_path)
    except ProgramUnavailable as error:
        lacking(f"a viewer of SARIF logs: {error}")
    shown = {name: [row for row in rows if row["Tool"] == f"miniecom.maintenance.{name}"] for name in told}
    for name, findings in told.items():
        expected = sorted((LEVELS[item["severity"]], item["rule"], item.get("line") or 1) for item in findings)
        assert sorted((row["Severity"], row["Code"], int(row["Line"])) for row in shown[name]) == expected
    places = {unquote(row["Location"].removeprefix("file://")) for row in shown["perm_audit"]}
    # A control character and what is no UTF-8 are told as everywhere else, by escapes.
    names = [repr(name)[2:-1] for name in NAMES]
    assert places >= {item["target"] for item in told["perm_audit"]} >= {f"{shop}/{name}" for name in names}
    [secret] = [row for row in shown["secret_scan"] if row["Code"] == "hard-coded-secret"]
    assert secret["Location"] == f"file://{shop}/mailer.js" and secret["Line"] == "2"
    assert "Example-fresh-9917" not in "".join(log.read_text(encoding="utf-8") for log in logs)
