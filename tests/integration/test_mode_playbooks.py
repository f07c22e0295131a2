# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance mode of a shop in containers with an nginx in front, by its playbooks, as visitors and operators see it."""

from __future__ import annotations

import http.client
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_playbooks import INVENTORY, rows
from tests.sandbox.compose import Compose
from tests.sandbox.image import nginx_image
from tests.support.playbooks import PlaybookRun, run_playbook
from tests.support.sandboxes import Sandbox

# The nginx of the shop's compose file on an image that has one, and a health check that a test can break: so that a restart
# helps, with a file, or does not, with a directory.
OVERRIDE = """\
services:
  nginx:
    image: {nginx}
    restart: unless-stopped
  frontend:
    command: [sh, -c, "rm -f /tmp/ill; exec python3 server.py"]
    healthcheck:
      test: [CMD-SHELL, "! [ -e /tmp/ill ]"]
      interval: 500ms
      retries: 1
"""
REFUSED = "location = /-miniecom-maintenance-page {}"
PROFILES = ("--profile", "nginx", "--profile", "worker", "--profile", "tools")


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


class Front:
    """The sandbox's shop with its nginx in front."""

    def __init__(self, sandbox: Sandbox, log: Path) -> None:
        self.sandbox, self.log = sandbox, log
        self.made = Compose(sandbox.directory)
        self.page = sandbox.directory / "page"
        self.config = sandbox.root / "nginx/default.conf"
        self.override = sandbox.root / "docker-compose.override.yml"

    def compose(self, *arguments: str) -> str:
        return self.made.engine.docker("compose", *PROFILES, *arguments, cwd=self.sandbox.root, timeout=120)

    def inspect(self, name: str) -> dict[str, Any]:
        return dict(self.made.engine.api("GET", f"/containers/miniecom_{name}/json"))

    def running(self) -> list[str]:
        return sorted(self.compose("ps", "--services", "--status", "running").split())

    def begun(self) -> dict[str, str]:
        """When each container that runs was started."""
        return {name: str(self.inspect(name)["State"]["StartedAt"]) for name in self.running()}

    def address(self, name: str) -> str:
        networks = self.inspect(name)["NetworkSettings"]["Networks"]
        return str(next(iter(networks.values()))["IPAddress"])

    def ask(self, path: str = "/", method: str = "GET") -> Answer:
        """What a visitor gets; 0 where nothing answers."""
        connection = http.client.HTTPConnection(self.address("nginx"), 80, timeout=20)
        try:
            connection.request(method, path, headers={"Host": "shop.example"})
            got = connection.getresponse()
            return Answer(got.status, dict(got.getheaders()), got.read().decode())
        except OSError as error:
            return Answer(0, {}, str(error))
        finally:
            connection.close()

    def ask_from(self, name: str, path: str = "/") -> int:
        """What nginx answers to another container, which is another address than that of the other visitors."""
        script = (
            "import http.client, sys; c = http.client.HTTPConnection('nginx', timeout=20); "
            "c.request('GET', sys.argv[1]); print(c.getresponse().status)"
        )
        return int(self.made.engine.docker("exec", f"miniecom_{name}", "python3", "-c", script, path))

    def play(self, name: str, *arguments: str, **variables: Any) -> PlaybookRun:
        extra = ("-e", json.dumps(variables)) if variables else ()
        return run_playbook(name, INVENTORY, *extra, *arguments, log=self.log, env=self.sandbox.environment())

    def status(self) -> tuple[int, str, dict[str, Any]]:
        """How maintenance_status ends, its sentence, and what it knows."""
        run = self.play("maintenance_status")
        (told,) = run.result("maintenance_report")["lines"]
        return run.rc, told, run.result("maintenance_flag_info")

    def setting(self) -> bool:
        """Whether the application itself is told to turn visitors away."""
        with self.made.client() as client:
            found = client[self.made.facts["database"]].settings.find_one({"key": "site"})
        return bool(json.loads(found["value"]).get("maintenance", {}).get("enabled"))


def wait_for(condition: Callable[[], object], what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def base(compose_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The shop as a production host has it: nginx and worker run, the database's web page does not."""
    front = Front(compose_sandbox, tmp_path_factory.mktemp("mode") / "tasks.jsonl")
    before = front.config.read_text(encoding="utf-8")
    front.override.write_text(OVERRIDE.format(nginx=nginx_image(front.made.engine)), encoding="utf-8")
    # The shop's own file names a port that its API does not listen on.
    front.config.write_text(before.replace("api:3000", "api:3001"), encoding="utf-8")
    try:
        front.compose("up", "--detach", "--no-build", "nginx", "worker", "frontend")
        front.compose("up", "--no-start", "--no-build", "mongo-express")
        wait_for(lambda: front.ask("/api/health").status == 200, lambda: front.compose("logs", "nginx"))
        yield front
    finally:
        front.override.unlink()
        front.config.write_text(before, encoding="utf-8")
        for name in ("nginx", "worker", "mongo-express"):
            front.compose("rm", "--stop", "--force", name)
        front.compose("up", "--detach", "--no-build", "frontend")
        shutil.rmtree(front.page, ignore_errors=True)
        for name in ("nginx.json", "restarts.json"):
            (compose_sandbox.directory / "state" / name).unlink(missing_ok=True)


@pytest.fixture
def front(base: Front) -> Iterator[Front]:
    """The same, and open again whatever a test has left."""
    yield base
    if "nginx" not in base.running():
        base.compose("start", "nginx")
    if (base.sandbox.root / "storage/.maintenance").exists() or (
        base.sandbox.directory / "state/maintenance.json"
    ).exists():
        base.play("exit_maintenance", maintenance_mode_force=True).assert_ok()


@pytest.fixture(scope="module")
def ready(base: Front) -> Front:
    """The same, and nginx sees the directory of the page, as the operator was told to let it."""
    told = base.play("enter_maintenance", "--check").assert_ok().result("maintenance_nginx")
    (volume,) = [line for line in told["compose_override"].splitlines() if line.lstrip().startswith("- ")]
    text = base.override.read_text(encoding="utf-8")
    base.override.write_text(text.replace("  frontend:", f"    volumes:\n{volume}\n  frontend:"), encoding="utf-8")
    base.compose("up", "--detach", "--no-build", "--no-deps", "nginx")
    wait_for(lambda: base.ask().status == 200, lambda: base.compose("logs", "nginx"))
    return base


# -- without nginx's help --------------------------------------------------------------------------------------------------


def test_until_nginx_sees_its_page_the_application_turns_visitors_away(front: Front) -> None:
    entered = front.play("enter_maintenance").assert_ok()
    assert entered.result("maintenance_flag")["layers"] == ["flag", "application"]
    told = entered.result("maintenance_nginx")
    assert not told["applicable"] and "does not see" in told["reason"]
    assert "does not see" in " ".join(entered.output.split()), "whoever reads the output is told"
    away = front.ask("/api/health")
    assert away.status == 503 and "Retry-After" not in away.headers, "health is closed as well, and enter has said so"
    assert "health and webhooks included" in str(rows(entered)["maintenance mode"]["headline"])
    rc, told_status, found = front.status()
    assert rc == 0 and "answers that it is in maintenance" in told_status and found["maintenance"]["consistent"]
    front.play("exit_maintenance").assert_ok()
    assert front.ask("/api/health").status == 200 and not front.setting()


@pytest.mark.exhaustive
def test_what_nginx_does_not_accept_is_taken_back_and_said(front: Front, ready: Front) -> None:
    """Where nginx was asked for by name that is the end of it; otherwise the application turns visitors away."""
    before = front.config.read_text(encoding="utf-8")
    broken = before.replace("server_name _;", f"server_name _;\n    {REFUSED}")
    front.config.write_text(broken, encoding="utf-8")
    try:
        refused = front.play("enter_maintenance", maintenance_mode_layers=["nginx"])
        assert refused.rc != 0 and "duplicate location" in refused.output
        assert "does not accept" in str(rows(refused)["run"]["headline"])
        assert front.ask("/api/health").status == 200 and not front.setting()
        assert not (front.sandbox.root / "storage/.maintenance").exists()

        entered = front.play("enter_maintenance").assert_ok()
        assert entered.result("maintenance_flag")["layers"] == ["flag", "application"]
        assert "nginx could not be set up, so the application turns visitors away" in entered.output
        assert front.config.read_text(encoding="utf-8") == broken, "what was put in was taken out again"
        assert front.ask("/api/products").status == 503 and front.ask().status == 200
        front.play("exit_maintenance").assert_ok()
    finally:
        front.config.write_text(before, encoding="utf-8")

    # Left alone, it is not even looked at.
    alone = front.play("enter_maintenance", maintenance_mode_nginx="none").assert_ok()
    assert alone.result("maintenance_flag")["layers"] == ["flag", "application"]
    assert not [task for task in alone.tasks if task["action"].endswith("maintenance_nginx") and task["status"] == "ok"]
    assert front.config.read_text(encoding="utf-8") == before and front.setting()
    front.play("exit_maintenance").assert_ok()
    assert not front.setting()


# -- with it -----------------------------------------------------------------------------------------------------------


def test_nginx_turns_visitors_away_and_lets_them_in_again(front: Front, ready: Front) -> None:
    before = front.config.read_text(encoding="utf-8")
    options = {"maintenance_mode_reason": "New kiln", "maintenance_mode_allow_ips": [front.address("api")]}
    checked = front.play("enter_maintenance", "--check", "--diff", **options).assert_ok()
    assert checked.result("maintenance_nginx")["changed"]
    assert front.config.read_text(encoding="utf-8") == before and front.ask().status == 200

    for again in (False, True):
        entered = front.play("enter_maintenance", **options).assert_ok()
        assert entered.result("maintenance_nginx")["changed"] is not again
        done = entered.result("maintenance_flag")
        assert done["changed"] is not again and done["layers"] == ["flag", "nginx"]
        if not again:
            told = checked.result("maintenance_flag")["plan"]
            # Check mode has told all of it, and of nginx that it assumes it to be set up by then.
            assert [(one["action"], one["target"]) for one in done["plan"]] == [
                (one["action"], one["target"]) for one in told
            ]
        assert not front.setting(), "so that health and webhooks stay open"

        away = front.ask("/cart")
        assert away.status == 503 and "New kiln" in away.body and away.headers["Content-Type"].startswith("text/html")
        assert parsedate_to_datetime(away.headers["Retry-After"]).strftime("%Y-%m-%dT%H:%M:%SZ") == done["expires"]
        told = front.ask("/api/products")
        assert told.status == 503 and json.loads(told.body)["maintenance"] is True and "Retry-After" in told.headers
        assert json.loads(front.ask("/api/health").body)["mongoConnected"] is True
        assert front.ask("/health").body == "healthy\n"
        for path in ("/api/webhooks/razorpay", "/api/payments/webhook"):
            assert front.ask(path, "POST").status == 401, "the API's own answer to a stranger"
        assert front.ask_from("api") == 200, "an allowed address"
        assert front.ask_from("frontend") == 503, "any other"
    for again in (False, True):
        left = front.play("exit_maintenance").assert_ok()
        assert left.result("maintenance_flag")["changed"] is not again
        assert front.ask("/cart").status == 200 and front.ask("/api/products").status == 200
    assert front.ask_from("frontend") == 200
    assert "maintenance is not up" in front.status()[1]


@pytest.mark.exhaustive
def test_what_ran_runs_again_and_nothing_else_also_behind_a_reboot(front: Front, ready: Front) -> None:
    ran, begun = front.running(), front.begun()
    assert "worker" in ran and "mongo-express" not in ran
    stopping = {"maintenance_mode_stop_services": ["worker", "mongo-express", "frontend"]}
    checked = front.play("enter_maintenance", "--check", **stopping).assert_ok()
    assert front.running() == ran
    entered = front.play("enter_maintenance", **stopping).assert_ok()
    # Where nginx was not set up yet, check mode marks what it assumes of it.
    would, did = (
        [(entry["action"], entry["target"]) for entry in run.result("maintenance_flag")["plan"]]
        for run in (checked, entered)
    )
    assert would == did
    assert entered.result("maintenance_flag")["stopped"] == ["miniecom_worker", "miniecom_frontend"]
    rest = sorted(set(ran) - {"worker", "frontend"})
    assert front.running() == rest
    assert front.begun() == {name: begun[name] for name in rest}, "nothing else was touched"

    # The host boots in the middle of it: what was stopped stays stopped, and nginx still turns visitors away.
    front.made.engine.restart()
    wait_for(lambda: front.ask("/api/health").status == 200, lambda: front.compose("ps", "--all"))
    assert front.running() == rest and front.ask().status == 503
    rc, told, found = front.status()
    assert rc == 0 and found["maintenance"]["consistent"], found["maintenance"]["problems"]
    assert "maintenance is up in nginx" in told and "stopped for it: miniecom_worker, miniecom_frontend" in told

    # As where nginx does not start with the host: nobody is told that visitors are turned away.
    front.compose("stop", "nginx")
    found = front.status()[2]
    assert found["maintenance"]["active"] and not found["maintenance"]["consistent"]
    assert "miniecom_nginx does not run" in str(found["maintenance"]["problems"])
    front.compose("start", "nginx")
    wait_for(lambda: front.ask().status == 503, lambda: front.compose("logs", "nginx"))

    left = front.play("exit_maintenance").assert_ok()
    assert front.running() == ran and front.inspect("mongo_express")["State"]["Status"] == "created"
    assert [
        entry["target"] for entry in left.result("maintenance_flag")["plan"] if entry["action"] == "start_service"
    ] == [
        "container miniecom_frontend",
        "container miniecom_worker",
    ]
    assert front.ask().status == 200
    begun = front.begun()
    assert front.play("exit_maintenance").assert_ok().changed() == [] and front.begun() == begun


# -- restarting what is unhealthy --------------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_what_is_unhealthy_is_restarted_when_told_and_once(front: Front) -> None:
    def health(state: str) -> None:
        wait_for(
            lambda: front.inspect("frontend")["State"]["Health"]["Status"] == state, lambda: front.inspect("frontend")
        )

    def look(name: str = "health", *arguments: str) -> PlaybookRun:
        return front.play(name, *arguments, health_check_restart=["api", "frontend"])

    health("healthy")
    front.made.engine.docker("exec", "miniecom_frontend", "touch", "/tmp/ill")
    health("unhealthy")
    begun = front.begun()
    front.play("health").assert_ok()
    assert front.begun() == begun, "nobody has told it to"

    flag = front.sandbox.root / "storage/.maintenance"
    flag.write_text("2026-11-29T03:00:00Z|by hand\n", encoding="utf-8")
    closed = look("daily", "--tags", "health_check").assert_ok()
    assert front.begun() == begun and "the shop is in maintenance" in str(rows(closed)["restarts"]["headline"])
    flag.unlink()

    checked = look("daily", "--check", "--tags", "health_check").assert_ok()
    assert rows(checked)["restarts"]["status"] == "would" and front.begun() == begun
    done = look("daily", "--tags", "health_check").assert_ok()
    told = rows(done)
    assert (told["restarts"]["status"], told["health"]["status"]) == ("changed", "ok")
    assert "miniecom_frontend was restarted" in str(told["restarts"]["headline"])
    after = front.begun()
    assert {name for name in begun if after[name] != begun[name]} == {"frontend"}

    # It was well in between; and whoever wants to hears of it.
    front.made.engine.docker("exec", "miniecom_frontend", "touch", "/tmp/ill")
    health("unhealthy")
    hears = {"alerts_file": str(front.log.with_name("alerts.jsonl")), "alerts_when": "steps[?step=='restarts']"}
    front.play("health", health_check_restart=["frontend"], **hears).assert_ok()
    after, begun = front.begun(), after
    assert {name for name in begun if after[name] != begun[name]} == {"frontend"}
    (line,) = Path(hears["alerts_file"]).read_text(encoding="utf-8").splitlines()
    assert "miniecom_frontend was restarted" in json.loads(line)["new"][0]["text"]

    # What no restart helps is restarted once, by whichever run comes first, and then only told.
    front.made.engine.docker("exec", "miniecom_frontend", "mkdir", "/tmp/ill")
    try:
        health("unhealthy")
        vain = look()
        assert vain.rc != 0 and "a restart has not helped" in vain.output
        last = front.begun()
        assert last["frontend"] != after["frontend"]
        again = look("daily", "--tags", "health_check").assert_ok()
        assert front.begun() == last and "has not helped" in again.output
        assert "a second time" in str(rows(again)["restarts"]["headline"])
    finally:
        front.made.engine.docker("exec", "miniecom_frontend", "rmdir", "/tmp/ill")
        health("healthy")
