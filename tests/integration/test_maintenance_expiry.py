# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timer that ends maintenance: its program against a real mongod, and all of it on a host that boots systemd."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import ansible
import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.timer import ALERT_STATUS
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.expiry import program
from tests.sandbox.engine import Engine
from tests.sandbox.fetch import mongod_binary
from tests.sandbox.image import SYSTEMD_RUN_ARGUMENTS, systemd_image
from tests.sandbox.mongod import Mongod
from tests.sandbox.standin import api
from tests.support.extent import sampled
from tests.support.modules import ModuleResult, run_module

ROOT = Path(__file__).resolve().parents[2]
TEXT = '{ "smtp": {"pass": "canary-in-the-settings"}, "maintenance": {"enabled": false, "message": "Back soon"} }'
RETRY = 75


def stamp(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- the program, without systemd ---------------------------------------------------------------------------------------


@dataclass
class Shop:
    """A shop that can be closed, and the program that a timer would run."""

    mongod: Mongod
    database: str
    directory: Path

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    @property
    def flag(self) -> Path:
        return self.directory / "flag"

    def call(self, **params: Any) -> ModuleResult:
        params = {
            "path": self.flag,
            "state_dir": self.state_dir,
            "owner": "ops",
            "timer": "none",
            "application_setting": {"env_file": str(self.directory / ".env"), "address": self.mongod.address},
            **params,
        }
        result = run_module("maintenance_flag", params)
        assert not result.failed, result.msg
        return result

    def pass_the_end(self) -> None:
        """As if time had gone by."""
        note = self.state_dir / "maintenance.json"
        found = json.loads(note.read_text())
        found["expires"] = stamp(datetime.now(timezone.utc) - timedelta(seconds=2))
        note.write_text(json.dumps(found))

    def run(self, python: Path = Path(sys.executable)) -> tuple[int, str]:
        """What the timer's service would do. Nothing of this collection or of ansible is on its path."""
        path = self.directory / "expiry.pyz"
        path.write_bytes(program())
        environment = {"PATH": os.environ["PATH"]}
        command = [str(python), "-I", "-B", str(path), str(self.state_dir)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", timeout=60)
        output = done.stdout + done.stderr
        assert self.mongod.root_password not in output and "canary" not in output
        assert all(re.match(r"<[2-5]>", line) for line in output.splitlines()), output
        return done.returncode, output

    def text(self) -> str:
        with self.mongod.client() as client:
            return str(client[self.database].settings.find_one({"key": "site"})["value"])

    def closed(self) -> bool:
        with self.mongod.client() as client:
            return api.maintenance(client[self.database].settings.find_one({"key": "site"}), "192.0.2.1") is not None

    def log(self) -> str:
        path = self.state_dir / "maintenance-log.md"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def shop(mongod: Mongod, mongo_database: str, tmp_path: Path) -> Shop:
    with mongod.client() as client:
        client[mongo_database].settings.insert_one({"key": "site", "type": "json", "value": TEXT})
    (tmp_path / ".env").write_text(f"export MONGODB_URI='{mongod.uri_for(mongo_database)}' # the shop's\n")
    return Shop(mongod, mongo_database, tmp_path)


def test_the_end_opens_the_shop_exactly_as_it_was(shop: Shop) -> None:
    shop.call(expires="2h", on_expiry="lift", reason="Bigger disks")
    code, output = shop.run()
    assert code == 0 and "nothing to do before that" in output and shop.closed(), "its time is not over"
    shop.pass_the_end()
    code, output = shop.run()
    assert code == 0 and "taken down at its expiry" in output and "Bigger disks" in output
    assert shop.text() == TEXT and not shop.flag.exists() and not (shop.state_dir / "maintenance.json").exists()
    assert shop.log().count("taken down at its expiry") == 1
    code, output = shop.run()
    assert code == 0 and "nothing to do" in output and shop.log().count("- Maintenance window") == 1


def test_an_alert_leaves_it_closed_and_logs_once(shop: Shop) -> None:
    shop.call(expires="2h", reason="Bigger disks")
    shop.pass_the_end()
    for _ in range(2):
        code, output = shop.run()
        assert code == ALERT_STATUS and output.startswith("<2>") and "still closed" in output
    assert shop.closed() and shop.flag.exists()
    assert shop.log().count("still closed") == 1
    shop.call(state="absent")
    assert shop.text() == TEXT and shop.run()[0] == 0


def test_what_a_person_has_done_by_hand_is_over(shop: Shop) -> None:
    shop.call(expires="2h")
    shop.pass_the_end()
    with shop.mongod.client() as client:
        client[shop.database].settings.update_one({"key": "site"}, {"$set": {"value": TEXT}})
    shop.flag.unlink()
    code, output = shop.run()
    assert code == 0 and "down already" in output


def test_a_database_that_is_down_is_tried_again(shop: Shop) -> None:
    shop.call(expires="2h", on_expiry="lift")
    shop.pass_the_end()
    note = shop.state_dir / "maintenance.json"
    here = note.read_text()
    note.write_text(here.replace(shop.mongod.address, "127.0.0.1:1"))
    code, output = shop.run()
    assert code == RETRY and "refused" in output and shop.flag.exists() and shop.closed()
    assert shop.log().count("could not be taken down") == 1
    note.write_text(here)
    assert shop.run()[0] == 0 and shop.text() == TEXT
    assert "taken down at its expiry" in shop.log()


def test_what_was_killed_half_way_is_completed(shop: Shop) -> None:
    """The shop is open again, but flag and note were left."""
    shop.call(expires="2h", on_expiry="lift")
    shop.pass_the_end()
    with shop.mongod.client() as client:
        client[shop.database].settings.update_one({"key": "site"}, {"$set": {"value": TEXT}})
    assert shop.run()[0] == 0
    assert shop.text() == TEXT and not shop.flag.exists() and not (shop.state_dir / "maintenance.json").exists()


def test_it_does_not_act_in_the_middle_of_a_module(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import expiry as _expiry

    shop.call(expires="2h", on_expiry="lift")
    shop.pass_the_end()
    monkeypatch.setattr(_expiry, "LOCK_SECONDS", 0.1)
    with (shop.state_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert _expiry.main([str(shop.state_dir)]) == RETRY
    assert "is working" in capsys.readouterr().out and shop.closed()
    assert _expiry.main([str(shop.state_dir)]) == 0 and not shop.closed()


def test_a_connection_string_is_not_remembered_and_that_is_said(shop: Shop) -> None:
    shop.call(expires="2h", on_expiry="lift", application_setting={"uri": shop.mongod.uri_for(shop.database)})
    shop.pass_the_end()
    code, output = shop.run()
    assert code == ALERT_STATUS and output.startswith("<2>") and "not remembered" in output and shop.closed()
    assert "not remembered" in shop.log()


def test_on_the_oldest_python(shop: Shop, old_python: Path) -> None:
    shop.call(expires="2h", on_expiry="lift")
    shop.pass_the_end()
    code, output = shop.run(old_python)
    assert code == 0 and shop.text() == TEXT, output


# -- a host with systemd ------------------------------------------------------------------------------------------------

NAME = "expiry-test-host"
UNIT = "miniecom-maintenance-expiry"
STATE = "/var/lib/miniecom-maintenance"
FLAG = "/opt/miniecom/storage/.maintenance"
PACKAGES = "/usr/local/lib/python3.11/dist-packages"
CHECKOUT = "/usr/local/src/checkout"
MONGOD_UNIT = """[Service]
ExecStart=/usr/local/bin/mongod --dbpath /var/lib/mongodb --bind_ip 127.0.0.1 --wiredTigerCacheSizeGB 0.25
[Install]
WantedBy=multi-user.target
"""
PREPARE = f"""
mkdir -p /opt/miniecom/storage /var/lib/mongodb
echo 'MONGODB_URI=mongodb://127.0.0.1:27017/miniecom' > /opt/miniecom/.env
cat > /etc/systemd/system/mongod.service <<'END'
{MONGOD_UNIT}END
systemctl daemon-reload
systemctl enable --quiet --now mongod
"""


@dataclass
class Host:
    """A container that boots systemd, with the shop's database."""

    engine: Engine

    def shell(self, command: str, check: bool = True) -> str:
        return self.engine.docker("exec", NAME, "sh", "-c", command, check=check)

    def wait(self, what: str, met: Callable[[], Any], seconds: float = 90) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := met()):
            if time.monotonic() > deadline:
                pytest.fail(f"not in time: {what}\n{self.journal()}\n{self.shell('systemctl list-timers', False)}")
            time.sleep(0.2)
        return found

    def journal(self, *options: str) -> str:
        return self.shell(" ".join(["journalctl --no-pager -t miniecom-maintenance", *options]), check=False)

    def python(self, statement: str) -> str:
        program = f"import pymongo; s = pymongo.MongoClient('127.0.0.1').miniecom.settings; {statement}"
        return self.engine.docker("exec", NAME, "python3", "-c", program, check=False).strip()

    def text(self) -> str:
        return self.python("print(s.find_one({'key': 'site'})['value'])")

    def flag(self) -> bool:
        return bool(self.shell(f"ls {FLAG}", check=False).strip())

    def units(self) -> list[str]:
        return self.shell(f"cd /etc/systemd/system && find . -name '{UNIT}*' | sort", check=False).split()

    def call(self, check: bool = False, **params: Any) -> dict[str, Any]:
        """Call the module as Ansible does, packed and sent."""
        given = {
            "application_setting": {"env_file": "/opt/miniecom/.env", "address": "127.0.0.1:27017"},
            "owner": "ops",
            **params,
        }
        command = [sys.executable, "-m", "ansible", "adhoc", NAME, "-i", f"{NAME},"]
        command += ["-c", "community.docker.docker_api", "-m", "miniecom.maintenance.maintenance_flag"]
        command += ["-e", "ansible_python_interpreter=/usr/bin/python3", "-a", json.dumps(given)]
        command += ["-e", f"ansible_docker_docker_host={self.engine.docker_host}"]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        }
        done = subprocess.run(
            command + (["--check"] if check else []),
            capture_output=True,
            text=True,
            env=environment,
            cwd=ROOT,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout[done.stdout.index("=> {") + 3 :]))

    def module(
        self, kill_at: int | None = None, check: bool = False, refused: bool = False, **params: Any
    ) -> dict[str, Any]:
        """Run the module from the checkout; {} when it was killed at an action boundary."""
        given = {
            "application_setting": {"env_file": "/opt/miniecom/.env", "address": "127.0.0.1:27017"},
            "owner": "ops",
            "_ansible_check_mode": check,
            **params,
        }
        command = [
            "exec",
            "-i",
            "-w",
            "/",
            "-e",
            f"PYTHONPATH={CHECKOUT}/collections",
            "-e",
            "PYTHONDONTWRITEBYTECODE=1",
        ]
        if kill_at is not None:
            command += ["-e", f"MINIECOM_TEST_KILL_AT={kill_at}"]
        command += [NAME, "python3", f"{CHECKOUT}/tests/support/module_process.py", "maintenance_flag"]
        done = subprocess.run(
            ["docker", *command],
            env=self.engine.environment(),
            input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if kill_at is not None:
            assert done.returncode == 137, f"boundary {kill_at} was not reached: {done.stdout}{done.stderr}"
            return {}
        found = dict(json.loads(done.stdout))
        assert done.returncode == int(refused), done.stdout + done.stderr
        return found

    def refused(self, **params: Any) -> str:
        return str(self.module(refused=True, **params)["msg"])


@pytest.fixture(scope="module")
def host(docker_engine: Engine) -> Iterator[Host]:
    mounts = {str(mongod_binary()): "/usr/local/bin/mongod", str(ROOT): CHECKOUT}
    mounts[str(Path(ansible.__file__).parent)] = f"{PACKAGES}/ansible"
    for package in ("pymongo", "bson", "dns"):
        found = importlib.util.find_spec(package)
        assert found and found.submodule_search_locations
        mounts[found.submodule_search_locations[0]] = f"{PACKAGES}/{package}"
    volumes = [part for source, target in mounts.items() for part in ("--volume", f"{source}:{target}:ro")]
    docker_engine.docker(
        "run", "--detach", f"--name={NAME}", *SYSTEMD_RUN_ARGUMENTS, *volumes, systemd_image(docker_engine)
    )
    try:
        found_host = Host(docker_engine)
        found_host.wait("systemd", lambda: "running" in found_host.shell("systemctl is-system-running", check=False))
        found_host.shell(PREPARE)
        document = {"key": "site", "type": "json", "value": TEXT}
        found_host.wait("mongod", lambda: found_host.python(f"s.insert_one({document!r}); print('there')"))
        yield found_host
    finally:
        docker_engine.docker("rm", "--force", "--volumes", NAME)


def test_the_timer_of_a_host(host: Host) -> None:
    """Armed and removed; ringing for a person's window; ringing after a power cut for one that opens by itself."""
    planned = host.call(expires="2h", on_expiry="lift", check=True)
    assert planned["changed"] and planned["plan"][0]["action"] == "arm_timer" and host.units() == []

    up = host.call(expires="2h", on_expiry="lift")
    assert up["actions"][0]["action"] == "arm_timer" and up["timer"] == UNIT and up.get("warnings", []) == []
    assert host.units() == [f"./{UNIT}.service", f"./{UNIT}.timer", f"./timers.target.wants/{UNIT}.timer"]
    assert up["expires"][11:19] in host.shell("systemctl list-timers --no-pager | grep miniecom; date -u")
    assert host.shell(f"stat -c %a {STATE}/maintenance-expiry.pyz").strip() == "600"
    assert not host.call(expires="2h", on_expiry="lift")["changed"]
    down = host.call(state="absent")
    assert down["actions"][-1]["action"] == "disarm_timer" and host.units() == [] and host.text() == TEXT
    assert "miniecom" not in host.shell("systemctl list-timers --no-pager --all")

    # A person's window: nothing opens by itself, and everybody can see it.
    host.call(expires="6s", on_expiry="alert")
    host.wait("the alert", lambda: "failed" in host.shell(f"systemctl is-failed {UNIT}.service", check=False))
    assert host.flag() and "still closed" in host.journal("-p crit")
    assert host.shell(f"grep -c 'still closed' {STATE}/maintenance-log.md").strip() == "1"

    # It gets a later end. The power fails before that, and comes back after it.
    seconds = 8
    while True:
        end = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        moved = host.module(expires=stamp(end), on_expiry="lift", reason="Bigger disks")
        assert [action["action"] for action in moved["actions"]][:2] == ["arm_timer", "write_note"]
        assert host.shell("systemctl --failed --plain --no-legend").strip() == ""
        host.engine.docker("kill", NAME)
        if datetime.now(timezone.utc) < end - timedelta(seconds=1):
            break
        host.engine.docker("start", NAME)  # a slow machine
        host.wait("mongod", host.text)
        seconds *= 2
    time.sleep(max((end - datetime.now(timezone.utc)).total_seconds(), 0) + 1)
    host.engine.docker("start", NAME)
    host.wait("the shop opens after the boot", lambda: host.units() == [] and not host.flag())
    host.wait("mongod", lambda: host.text() == TEXT)
    assert "Bigger disks" in host.journal() and "taken down at its expiry" in host.shell(f"cat {STATE}/*log.md")
    assert host.shell("systemctl --failed --plain --no-legend").strip() == ""


def test_the_timer_starts_what_was_stopped(host: Host) -> None:
    """The database itself among it, which the application's setting needs; what did not run before does not run afterwards."""
    host.shell(
        "printf '[Service]\\nExecStart=/bin/sleep 3600\\n' > /etc/systemd/system/shop-worker.service;"
        "systemctl daemon-reload; systemctl start shop-worker; systemctl stop cron; systemd-run --unit=fleeting sleep 3600"
    )
    refused = host.refused(stop_services=["fleeting"])
    assert "gone as soon as it is stopped" in refused and not host.flag()

    def runs() -> list[str]:
        return host.shell("systemctl is-active mongod shop-worker cron", check=False).split()

    stop = {"stop_services": ["shop-worker", "cron", "mongod.service"]}
    planned = host.module(check=True, expires="2h", on_expiry="lift", **stop)
    assert runs() == ["active", "active", "inactive"]
    assert [entry["target"] for entry in planned["plan"] if entry["action"] == "stop_service"] == [
        "unit shop-worker.service",
        "unit mongod.service",
    ]
    up = host.module(expires="2h", on_expiry="lift", **stop)
    assert [e["action"] for e in up["plan"]] == [e["action"] for e in planned["plan"]]
    assert up["stopped"] == ["shop-worker.service", "mongod.service"]
    assert runs() == ["inactive", "inactive", "inactive"]
    assert not host.module(expires="2h", on_expiry="lift", **stop)["changed"]

    host.module(expires="3s", on_expiry="lift", **stop)
    host.wait("the shop opens", lambda: host.units() == [] and not host.flag())
    assert runs()[0] == "active" and runs()[2] == "inactive" and host.text() == TEXT
    assert host.shell("systemctl --failed --plain --no-legend").strip() == ""


def test_killed_at_every_boundary_with_a_timer(host: Host) -> None:
    """Whatever is left, the same call completes it; and nothing that rings is left of one that was taken down."""
    window = {"expires": "2h", "on_expiry": "lift"}
    entry = host.module(check=True, **window)["plan"]
    assert "arm_timer" in [action["action"] for action in entry]
    leaving = 0
    for number in sampled(range(2 * len(entry))):
        host.module(kill_at=number, **window)
        if host.python("print('true' in s.find_one({'key': 'site'})['value'])") == "True":
            assert f"./{UNIT}.timer" in host.units(), "a shop that is closed has a timer"
        host.module(**window)
        assert len(host.units()) == 3
        leaving = leaving or len(host.module(check=True, state="absent")["plan"])
        if number < 2 * leaving:
            host.module(kill_at=number, state="absent")
        host.module(state="absent")
        assert host.units() == [] and not host.flag() and host.text() == TEXT
    assert not host.module(state="absent")["changed"]
