# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks tell who should know how they ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.playbooks import ROOT, PlaybookRun, run_playbook
from tests.support.receivers import mail_server, web_server
from tests.support.sandboxes import Sandbox

INVENTORY = ROOT / "inventories" / "sandbox"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def play(name: str, sandbox: Sandbox, log: Path, *arguments: str, **variables: Any) -> PlaybookRun:
    extra = ("-e", json.dumps(variables)) if variables else ()
    return run_playbook(name, INVENTORY, *extra, *arguments, log=log, env=sandbox.environment())


def calls(run: PlaybookRun) -> list[str]:
    return [task["action"].rpartition(".")[2] for task in run.module_calls("sandbox")]


def test_a_run_tells_what_failed_and_later_that_it_is_over(native_sandbox: Sandbox, log: Path) -> None:
    tags = ("--tags", "health_check")
    quiet = play("daily", native_sandbox, log, *tags).assert_ok()
    assert "maintenance_alert" not in calls(quiet), "nothing configured, nothing called"
    with mail_server() as box, web_server() as web:
        told = {
            "alerts_mail": True,
            "alerts_mail_host": "127.0.0.1",
            "alerts_mail_port": box.port,
            "alerts_mail_user": "nobody",
            "alerts_mail_password_key": "NO_SUCH_KEY",
            "alerts_mail_sender": "shop@example.org",
            "alerts_webhooks": [{"name": "ops", "shape": "slack", "url": f"{web.url}/T0/B0/not-shown-canary"}],
            "alerts_heartbeat": {"url": f"{web.url}/beat/{{run}}"},
        }
        closed = {"health_check_url": "http://127.0.0.1:1/api/health"}

        checked = play("daily", native_sandbox, log, *tags, "--check", **told, **closed)
        assert checked.rc == 2 and not box.mails and not web.seen, "check mode tells nobody"
        assert checked.result("maintenance_alert")["plan"][0]["reason"] == "1 new"

        failed = play("daily", native_sandbox, log, *tags, **told, **closed)
        assert failed.rc == 2
        (text,) = box.texts()
        assert text.startswith("[sandbox] critical: health (daily look)\n") and "connection refused" in text
        assert box.mails[0][0] == ["ops@example.org"], "ALERT_EMAIL of the shop's environment file"
        (slack,) = web.seen
        assert slack[0] == "POST", "no heartbeat of a run that failed"
        assert not [secret for secret in native_sandbox.secrets() if secret in failed.output + text + json.dumps(slack)]
        assert "not-shown-canary" not in failed.output

        # The hourly look at the shop's health has no record, and knows of it all the same.
        assert play("health", native_sandbox, log, **told, **closed).rc == 2
        assert len(box.mails) == 1, "nobody is told twice"
        play("health", native_sandbox, log, **told).assert_ok()
        assert box.texts()[-1].startswith("[sandbox] over: health (health)\n")
        assert web.seen[-1][:2] == ("GET", "/beat/health")

        # A channel that is out of order is told of, and fails nothing.
        web.status = 500
        lame = play("daily", native_sandbox, log, *tags, **told).assert_ok()
        assert "code 500" in lame.output
        record = json.loads(Path(lame.result("maintenance_report")["record_path"]).read_text())
        assert record["status"] == "ok"
        assert [(entry["channel"], entry["status"]) for entry in record["alerts"]] == [("heartbeat", "failed")]

        # A slip in the expression keeps nobody from hearing.
        slip = play("daily", native_sandbox, log, *tags, **told, **closed, alerts_when="steps[?")
        assert slip.rc == 2
        assert "alerts_when" in box.texts()[-1] and "connection refused" in box.texts()[-1]
