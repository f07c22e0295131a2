# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""maintenance_alert, against a real mail server and a real web server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.memory import load_told, told_path
from tests.support.certificates import make_certificates
from tests.support.kill import kill_at_every_change
from tests.support.modules import ModuleResult, run_module
from tests.support.receivers import Postbox, Requests, mail_server, web_server

PASSWORD = "Canary-smtp #4417 'x'"
CANARIES = (PASSWORD, "Canary-razorpay-9911", "Canary-mongo-3391", "T0CANARY/B0CANARY/x8canary")
BACKUP = {"kind": "step", "step": "backup", "severity": "critical", "text": "cannot write the backup. Make room."}
HEALTH = {"kind": "step", "step": "health", "severity": "critical", "text": "the shop is down"}
WELL = {"name": "weekly maintenance", "status": "ok", "host": "shop1", "verdict": "all well"}
ILL = {"name": "weekly maintenance", "status": "failed", "host": "shop1", "verdict": "1 of 3 steps failed: backup"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make_certificates(directory, "localhost")
    return directory


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def write_env(path: Path, port: int, **more: str) -> None:
    values = {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(port),
        "ALERT_EMAIL": "Ops Team <ops@example.org>",
        "RAZORPAY_KEY_SECRET": CANARIES[1],
        "MONGO_URI": f"mongodb://shop:{CANARIES[2]}@mongo/shop",
        **more,
    }
    path.write_text("".join(f'{key}="{value}"\n' for key, value in values.items()))


class Alerts:
    """Calls of the module on one host; what it says never holds a secret."""

    def __init__(self, tmp_path: Path, env_file: Path) -> None:
        self.state_dir = tmp_path / "state"
        self.shared: dict[str, Any] = {"env_file": str(env_file), "state_dir": str(self.state_dir)}

    def __call__(self, run: dict[str, str], *problems: dict[str, str], **options: Any) -> ModuleResult:
        check, python = options.pop("check", False), options.pop("python", None)
        params = {**self.shared, "run": run, "problems": list(problems), **options}
        result = run_module("maintenance_alert", params, check=check, diff=check, python=python)
        kept = "".join(path.read_text() for path in self.state_dir.rglob("*") if path.is_file())
        for canary in CANARIES:
            # What Ansible itself repeats of the options is the caller's.
            assert canary not in json.dumps({**result.result, "invocation": ""}) + result.stderr + kept
        return result


@pytest.fixture
def alerts(tmp_path: Path, env_file: Path) -> Alerts:
    return Alerts(tmp_path, env_file)


@pytest.fixture
def post(env_file: Path) -> Iterator[Postbox]:
    """A mail server of this host that asks for nothing, and the shop's environment file that names it."""
    with mail_server() as box:
        write_env(env_file, box.port)
        yield box


@pytest.fixture
def web() -> Iterator[Requests]:
    with web_server() as requests:
        yield requests


def test_new_once_again_after_its_time_and_when_it_is_over(alerts: Alerts, post: Postbox) -> None:
    checked = alerts(ILL, BACKUP, mail={}, check=True)
    assert checked.changed and not post.mails and not alerts.state_dir.exists(), "check mode tells nobody"
    assert checked.result["plan"][0]["reason"] == "1 new"

    first = alerts(ILL, BACKUP, mail={})
    assert not first.failed, first.msg
    assert first.result["plan"] == checked.result["plan"]
    ((recipients, mail),) = post.mails
    assert recipients == ["ops@example.org"]
    assert mail["Subject"] == "[shop1] critical: backup (weekly maintenance)"
    assert "cannot write the backup. Make room." in mail.get_content()

    again = alerts(ILL, BACKUP, mail={})
    assert not again.changed and len(post.mails) == 1
    assert again.result["kept"] == [{"target": "mail", "reason": "told before: step:backup"}]
    assert alerts(ILL, BACKUP, mail={}, repeat_after="0s").result["summary"]["sent"] == 0, "0 is never, not always"

    other = alerts(ILL, BACKUP, HEALTH, mail={}, looked_at=["disk"])
    assert other.changed
    assert "the shop is down" in post.texts()[-1] and "Make room" not in post.texts()[-1]

    # Nobody looked at the backup this time: it still stands.
    assert alerts(WELL, mail={}, looked_at=["health"]).changed
    assert post.texts()[-1].startswith("[shop1] over: health (weekly maintenance)\n")
    over = alerts(WELL, mail={}, looked_at=["health", "backup"])
    assert over.changed and post.texts()[-1].startswith("[shop1] over: backup")
    assert not alerts(WELL, mail={}, looked_at=["health", "backup"]).changed
    assert load_told(str(alerts.state_dir)) == []
    assert alerts(ILL, BACKUP, mail={}).changed, "its return is news"


def test_secrets_are_in_no_message(alerts: Alerts, post: Postbox, web: Requests, tmp_path: Path) -> None:
    text = f"refused: mongodb://shop:{CANARIES[2]}@mongo with {CANARIES[1]}"
    options = {"mail": {}, "webhooks": [{"url": web.url}], "file": str(tmp_path / "alerts.jsonl")}
    assert not alerts(dict(ILL, verdict=text), dict(BACKUP, text=text), **options).failed
    for told in (post.texts()[0], json.dumps(web.seen), (tmp_path / "alerts.jsonl").read_text()):
        assert "refused" in told
        assert not [canary for canary in CANARIES if canary in told]


@pytest.mark.parametrize("how", ["starttls", "at once", "plain, on this host"])
def test_logging_in(how: str, alerts: Alerts, env_file: Path, certificates: Path) -> None:
    user = "shop@example.org"
    kind = {"user": user, "password": PASSWORD}
    ca: dict[str, Any] = {"ca_file": str(certificates / "ca.pem"), "host": "localhost"}
    with mail_server(
        None if how.startswith("plain") else certificates,
        at_once=how == "at once",
        before_tls=how.startswith("plain"),
        **kind,
    ) as box:
        write_env(env_file, box.port, SMTP_USER=user, SMTP_PASS=PASSWORD, SMTP_SECURE=str(how == "at once").lower())
        done = alerts(ILL, BACKUP, mail={} if how.startswith("plain") else ca)
        assert not done.failed, done.msg
        assert box.logins == [True]
        assert box.mails[0][1]["From"] == user

        write_env(
            env_file, box.port, SMTP_USER=user, SMTP_PASS="Canary-wrong-0000", SMTP_SECURE=str(how == "at once").lower()
        )
        wrong = alerts(ILL, HEALTH, mail={} if how.startswith("plain") else ca)
        assert wrong.failed and "refuses user or password" in wrong.msg and "SMTP_PASS" in wrong.msg
        assert "Canary-wrong" not in wrong.stdout
        if ca["ca_file"] and not how.startswith("plain"):
            write_env(env_file, box.port, SMTP_USER=user, SMTP_PASS=PASSWORD, SMTP_SECURE=str(how == "at once").lower())
            stranger = alerts(ILL, HEALTH, mail={"host": "localhost"})
            assert stranger.failed and "certificate is not trusted" in stranger.msg
            assert box.logins.count(True) == 1, "no password for a stranger"


def test_no_password_goes_over_a_network_in_plain_text(alerts: Alerts, env_file: Path) -> None:
    with mail_server(user="shop", password=PASSWORD, before_tls=True) as box:
        # Another spelling of this host's address, which is not known to stay on it.
        write_env(env_file, box.port, SMTP_USER="shop", SMTP_PASS=PASSWORD, SMTP_HOST="127.1")
        refused = alerts(ILL, BACKUP, mail={})
        assert refused.failed and "plain text" in refused.msg
        assert box.logins == []
        assert not alerts(ILL, BACKUP, mail={"security": "none"}).failed, "unless somebody says so"


@pytest.mark.parametrize(
    ("refuse", "told"),
    [
        ("ops@example.org", "refuses every recipient.*550 no such user"),
        ("data", "does not take the message.*552 mailbox full"),
    ],
)
def test_a_server_that_refuses_is_quoted_and_asked_again(refuse: str, told: str, alerts: Alerts, post: Postbox) -> None:
    post.refuse.add(refuse)
    refused = alerts(ILL, BACKUP, mail={})
    assert refused.failed
    import re

    assert re.search(told, refused.msg), refused.msg
    assert refused.result["actions"][0]["status"] == "failed"
    post.refuse.clear()
    assert not alerts(ILL, BACKUP, mail={}).failed
    assert len(post.mails) == 1


def test_one_recipient_of_two_is_told_and_the_other_named(alerts: Alerts, post: Postbox) -> None:
    post.refuse.add("gone@example.org")
    done = alerts(ILL, BACKUP, mail={"to": ["ops@example.org", "gone@example.org"]})
    assert not done.failed
    assert "gone@example.org" in str(done.result["warnings"]), done.result
    assert done.result["actions"][0]["note"] == "refused for gone@example.org (550 no such user here)"


def test_no_server_no_settings_no_file(alerts: Alerts, env_file: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write_env(env_file, port)
    down = alerts(ILL, BACKUP, mail={})
    assert down.failed and "ECONNREFUSED" in down.msg and f"127.0.0.1:{port}" in down.msg
    assert "does not resolve" in alerts(ILL, BACKUP, mail={"host": "no-such-host.invalid"}).msg
    env_file.write_text("ALERT_EMAIL=ops@example.org\n")
    assert "Set SMTP_HOST" in alerts(ILL, BACKUP, mail={}).msg
    env_file.unlink()
    assert "cannot read the environment file" in alerts(ILL, BACKUP, mail={}).msg


def test_webhooks_in_their_shapes(alerts: Alerts, env_file: Path, web: Requests) -> None:
    write_env(env_file, 25, SLACK_WEBHOOK_URL=f"{web.url}/{CANARIES[3]}")
    hooks = [
        {"name": "ops", "shape": "slack", "url_key": "SLACK_WEBHOOK_URL"},
        {"shape": "teams", "url": f"{web.url}/teams"},
        {"url": f"{web.url}/generic"},
    ]
    assert not alerts(ILL, BACKUP, webhooks=hooks).failed
    (slack, teams, generic) = web.seen
    assert slack[:2] == ("POST", f"/{CANARIES[3]}")
    assert "Make room" in slack[2]["text"]
    assert teams[2]["attachments"][0]["content"]["type"] == "AdaptiveCard"
    assert generic[2]["new"][0]["key"] == "step:backup"

    web.status = 404
    gone = alerts(ILL, HEALTH, webhooks=hooks)
    assert gone.failed and gone.result["summary"]["undelivered"] == 3
    assert "no_such_hook" in gone.msg and "was revoked" in gone.msg
    web.status, web.location = 307, f"{web.url}/elsewhere"
    assert "not followed" in alerts(ILL, HEALTH, webhooks=hooks[:1]).msg
    assert not [path for _method, path, _body in web.seen if "elsewhere" in path]
    web.status, web.location = 200, ""
    assert alerts(ILL, HEALTH, webhooks=hooks).result["summary"]["sent"] == 3
    assert "no address is known" in alerts(ILL, BACKUP, webhooks=[{"name": "x", "url_key": "NOT_THERE"}]).msg
    assert "two channels" in alerts(ILL, BACKUP, webhooks=[hooks[0], hooks[0]]).msg


def test_a_webhook_over_tls_is_checked(alerts: Alerts, env_file: Path, certificates: Path) -> None:
    with web_server(certificates) as web:
        write_env(env_file, 25)
        hook = {"url": f"{web.url}/x"}
        stranger = alerts(ILL, BACKUP, webhooks=[hook])
        assert stranger.failed and "certificate of the web service is not trusted" in stranger.msg
        assert not web.seen
        assert not alerts(ILL, BACKUP, webhooks=[{**hook, "ca_file": str(certificates / "ca.pem")}]).failed


def test_one_channel_that_fails_keeps_no_other_from_hearing(
    alerts: Alerts, post: Postbox, web: Requests, tmp_path: Path
) -> None:
    path = tmp_path / "alerts.jsonl"
    web.status = 500
    options = {"webhooks": [{"url": f"{web.url}/{CANARIES[3]}"}], "mail": {}, "file": str(path)}
    partly = alerts(ILL, BACKUP, **options)
    assert partly.failed and "1 of 3 actions failed" in partly.msg
    assert len(post.mails) == 1 and len(path.read_text().splitlines()) == 1
    web.status = 200
    again = alerts(ILL, BACKUP, **options).result["summary"]
    assert (again["headline"], again["undelivered"]) == ("told generic 1", 0)
    assert len(post.mails) == 1, "who was told is not told again"


def test_the_heartbeat_is_pinged_when_a_run_ends_well(alerts: Alerts, env_file: Path, web: Requests) -> None:
    write_env(env_file, 25)
    beat = {"url": f"{web.url}/ping/{{run}}"}
    assert alerts(ILL, BACKUP, heartbeat=beat).result["kept"][0]["reason"] == "the run failed"
    assert not web.seen
    for _ in range(2):
        well = alerts(WELL, heartbeat=beat)
        assert not well.failed and not well.changed
    assert web.seen == [("GET", "/ping/weekly-maintenance", None)] * 2
    web.status = 503
    assert alerts(WELL, heartbeat=beat).failed


def test_the_file_of_alerts_is_no_way_for_anybody_to_write_elsewhere(
    alerts: Alerts, env_file: Path, tmp_path: Path
) -> None:
    write_env(env_file, 25)
    target, link = tmp_path / "passwd", tmp_path / "link.jsonl"
    target.write_text("root\n")
    link.symlink_to(target)
    refused = alerts(ILL, BACKUP, file=str(link))
    assert refused.failed and "is a link" in refused.msg
    assert target.read_text() == "root\n"
    path = tmp_path / "alerts.jsonl"
    assert not alerts(ILL, BACKUP, file=str(path)).failed
    assert path.stat().st_mode & 0o777 == 0o600


def begun_and_ended(state_dir: Path) -> str:
    shared = {"state_dir": str(state_dir), "name": "weekly maintenance", "owner": "test"}
    begun = run_module("maintenance_run", {**shared, "state": "begun"})
    run_id = str(begun.result["run_id"])
    assert not run_module("maintenance_run", {**shared, "state": "ended", "run_id": run_id, "status": "failed"}).failed
    return run_id


def test_what_became_of_an_alert_is_in_the_record_and_in_the_log(alerts: Alerts, post: Postbox, web: Requests) -> None:
    run_id = begun_and_ended(alerts.state_dir)
    web.status = 500
    hook = {"name": "ops", "url": f"{web.url}/{CANARIES[3]}"}
    assert alerts(dict(ILL, run_id=run_id), BACKUP, mail={}, webhooks=[hook]).failed
    assert f"runs/{run_id}.json" in post.texts()[0]
    record = json.loads((alerts.state_dir / "runs" / f"{run_id}.json").read_text())
    assert [(entry["channel"], entry["status"]) for entry in record["alerts"]] == [("mail", "sent"), ("ops", "failed")]
    assert "code 500" in record["alerts"][1]["error"]
    events = (alerts.state_dir / "runs" / f"{run_id}.jsonl").read_text()
    assert json.loads(events.splitlines()[-1])["event"] == "alerted"
    log = (alerts.state_dir / "maintenance-log.md").read_text()
    assert "**Alert not sent** (ops)" in log
    # The run is over: nobody is kept from beginning the next one.
    assert not run_module("maintenance_run", {"state": "begun", "state_dir": str(alerts.state_dir), "name": "x"}).failed


def test_findings_are_over_when_the_record_has_them_no_more(alerts: Alerts, post: Postbox) -> None:
    finding = {"kind": "finding", "id": "open-1", "step": "permissions", "severity": "high", "text": "/x: open to all"}

    def run_with(*ids: str) -> dict[str, str]:
        run_id = begun_and_ended(alerts.state_dir)
        with (alerts.state_dir / "runs" / f"{run_id}.jsonl").open("a") as events:
            entry = {"event": "ended", "findings": [{"id": one, "status": "known"} for one in ids]}
            events.write(json.dumps(entry) + "\n")
        return dict(WELL, run_id=run_id)

    assert alerts(run_with("open-1"), finding, mail={}).changed
    # Known by now, and none of the problems: it stands all the same.
    assert not alerts(run_with("open-1"), mail={}, looked_at=["permissions"]).changed
    assert alerts(run_with("other"), mail={}, looked_at=["permissions"]).changed
    assert "Over:\n  permissions: /x: open to all" in post.texts()[-1]


def test_whenever_it_is_killed_everybody_hears_and_then_nobody_twice(tmp_path: Path) -> None:
    with mail_server() as box:

        def prepare(world: Path) -> tuple[str, dict[str, Any]]:
            box.mails.clear()
            write_env(world / ".env", box.port)
            params = {
                "env_file": str(world / ".env"),
                "state_dir": str(world / "state"),
                "mail": {},
            }
            return "maintenance_alert", {**params, "run": ILL, "problems": [BACKUP]}

        def inspect(world: Path) -> None:
            told = len(box.mails)
            params = {
                "env_file": str(world / ".env"),
                "state_dir": str(world / "state"),
                "mail": {},
            }
            again = run_module("maintenance_alert", {**params, "run": ILL, "problems": [BACKUP]})
            assert not again.failed, again.msg
            # Killed after it was sent and before that was noted, it is told once more: better than never.
            assert 1 <= len(box.mails) <= told + 1 <= 2
            told = len(box.mails)
            assert not run_module("maintenance_alert", {**params, "run": ILL, "problems": [BACKUP]}).changed
            assert len(box.mails) == told
            assert [path.name for path in (world / "state" / "alerts").iterdir() if "partial" in path.name] == []

        assert kill_at_every_change(tmp_path, prepare, inspect) >= 6


@pytest.mark.parametrize("text", ["", "no json", "[1, {}]", '[{"problem": {"kind": "step"}}]', '{"a": 1}'])
def test_a_memory_that_makes_no_sense_is_begun_anew(text: str, alerts: Alerts, post: Postbox) -> None:
    assert not alerts(ILL, BACKUP, mail={}).failed
    Path(told_path(str(alerts.state_dir))).write_text(text)
    assert alerts(ILL, BACKUP, mail={}).changed
    assert not alerts(ILL, BACKUP, mail={}).changed


def test_on_the_oldest_python(
    alerts: Alerts, env_file: Path, certificates: Path, web: Requests, old_python: Path
) -> None:
    with mail_server(certificates, user="shop", password=PASSWORD) as box:
        write_env(env_file, box.port, SMTP_USER="shop", SMTP_PASS=PASSWORD)
        mail = {"host": "localhost", "ca_file": str(certificates / "ca.pem"), "sender": "shop@example.org"}
        done = alerts(ILL, BACKUP, mail=mail, webhooks=[{"url": web.url}], python=str(old_python))
        assert not done.failed, done.msg
        assert len(box.mails) == 1 and len(web.seen) == 1
