# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of a run, as an inventory chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_alerts_role import play
from tests.support.sandboxes import Sandbox

TAGS = ("--tags", "health_check,disk_check")
DOWN = {"health_check_url": "http://127.0.0.1:1/api/health"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


@pytest.mark.exhaustive
def test_an_inventory_chooses_what_is_told(native_sandbox: Sandbox, log: Path, tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    # A step that went well has severity high where an expression chooses it.
    wanted: dict[str, Any] = {"alerts_file": str(path), "alerts_when": "steps[?step=='disk']"}
    quiet = play("daily", native_sandbox, log, *TAGS, alerts_threshold="critical", **wanted).assert_ok()
    assert quiet.result("maintenance_alert")["summary"]["sent"] == 0 and not path.exists()
    play("daily", native_sandbox, log, *TAGS, **wanted).assert_ok()
    (line,) = path.read_text(encoding="utf-8").splitlines()
    told = json.loads(line)
    assert [(one["step"], one["severity"]) for one in told["new"]] == [("disk", "high")]
    # A failure that nobody has chosen is told to nobody.
    assert play("daily", native_sandbox, log, *TAGS, **wanted, **DOWN).rc == 2
    assert path.read_text(encoding="utf-8").splitlines() == [line]

    # A channel that makes no sense fails no run, and no other channel.
    hooks = [{"name": "ops", "shape": "slakc", "url": "http://127.0.0.1:1/x"}]
    lame = play("daily", native_sandbox, log, *TAGS, alerts_webhooks=hooks, **wanted).assert_ok()
    assert "slakc" in lame.output and "slack" in lame.output
