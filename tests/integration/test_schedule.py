# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scheduled jobs on a host that boots systemd, with timers and a cron that really fire, and playbooks that really run."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sandbox.engine import Engine
from tests.sandbox.fetch import mongod_binary
from tests.sandbox.image import SYSTEMD_RUN_ARGUMENTS, systemd_image
from tests.support.delivery import checkout, install

ROOT = Path(__file__).resolve().parents[2]
NAME = "schedule-test-host"
CHECKOUT = "/usr/local/src/checkout"
PACKAGES = "/usr/local/lib/python3.11/dist-packages"
PLAYBOOK = "/usr/local/bin/ansible-playbook"
STUB = "/srv/plays/stub"
DIRECTORY = "/etc/miniecom-maintenance/schedule"
UNITS = "/etc/systemd/system"
CRON_FILE = "/etc/cron.d/miniecom-maintenance"
JOB = "miniecom-maintenance-job-"
EVERY_MOMENT = "*:*:0/2"
NEVER = "2199-01-01 00:00"
PREPARE = f"""
mkdir -p /opt/miniecom/storage /opt/miniecom/backend /var/lib/mongodb /srv/plays
echo 'MONGODB_URI=mongodb://127.0.0.1:27017/miniecom' > /opt/miniecom/.env
cat > /etc/systemd/system/mongod.service <<'END'
[Service]
ExecStart=/usr/local/bin/mongod --dbpath /var/lib/mongodb --bind_ip 127.0.0.1 --wiredTigerCacheSizeGB 0.25
[Install]
WantedBy=multi-user.target
END
cat > {PLAYBOOK} <<'END'
#!/usr/bin/python3
import sys
from ansible.cli.playbook import main
sys.exit(main())
END
chmod 755 {PLAYBOOK}
cat > /srv/plays/hosts.yml <<'END'
miniecom:
  hosts:
    localhost:
      ansible_connection: local
      ansible_python_interpreter: /usr/bin/python3
      prerequisites_method: none
      prerequisites_python: /usr/bin/python3
END
cat > {STUB} <<'END'
#!/bin/sh
# Stands for ansible-playbook where only the start and the end of a job matter.
name=$(basename "$1" .yml)
echo "$name begins" >> /srv/plays/log
sleep 1
echo "$name ends" >> /srv/plays/log
test "$name" != broken || exit 2
END
chmod 755 {STUB}
cat > /srv/plays/alert <<'END'
#!/bin/sh
echo "$MINIECOM_JOB $MINIECOM_STATUS" >> /srv/plays/alerts
END
chmod 755 /srv/plays/alert
ln -snf /usr/share/zoneinfo/Europe/Berlin /etc/localtime
systemctl daemon-reload
systemctl enable --quiet --now mongod
"""


@dataclass
class Host:
    """A container that boots systemd, with the shop's database, Ansible and this collection."""

    engine: Engine

    def shell(self, command: str, check: bool = True) -> str:
        return self.engine.docker("exec", NAME, "sh", "-c", command, check=check)

    def wait(self, what: str, met: Callable[[], Any], seconds: float = 120) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := met()):
            if time.monotonic() > deadline:
                state = self.shell("systemctl list-timers --all; journalctl --no-pager -n 80", False)
                pytest.fail(f"not in time: {what}\n{state}")
            time.sleep(0.3)
        return found

    def journal(self, job: str) -> str:
        return self.shell(f"journalctl --no-pager -o cat -t miniecom-maintenance-{job}", check=False)

    def call(
        self,
        jobs: list[dict[str, Any]],
        check: bool = False,
        kill_at: int | None = None,
        fails: bool = False,
        **params: Any,
    ) -> dict[str, Any]:
        """Run the module from the checkout; {} when it was killed at an action boundary."""
        given = {
            "jobs": jobs,
            "ansible_playbook": STUB,
            "inventory": ["/srv/plays/hosts.yml"],
            "environment": {"ANSIBLE_COLLECTIONS_PATH": f"{CHECKOUT}/collections", "PYTHONDONTWRITEBYTECODE": "1"},
            "check_playbooks": False,
            "_ansible_check_mode": check,
            "_ansible_diff": check,
            **params,
        }
        command = ["docker", "exec", "-i", "-w", "/", "-e", f"PYTHONPATH={CHECKOUT}/collections"]
        command += ["-e", "PYTHONDONTWRITEBYTECODE=1"]
        if kill_at is not None:
            command += ["-e", f"MINIECOM_TEST_KILL_AT={kill_at}"]
        command += [NAME, "python3", f"{CHECKOUT}/tests/support/module_process.py", "schedule_jobs"]
        done = subprocess.run(
            command,
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
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def files(self) -> set[str]:
        """All files of ours."""
        places = f"{UNITS} /etc/cron.d {DIRECTORY} /var/lib/systemd/timers"
        found = self.shell(f"find {places} -name '*miniecom*' -o -path '{DIRECTORY}/*'", check=False)
        return set(found.split())

    def soon(self, seconds: int = 10) -> str:
        """A moment that comes when the module has ended, as a job is told of it."""
        return self.shell(f"date -d '+{seconds} seconds' '+%Y-%m-%d %H:%M:%S'").strip()

    def log(self) -> list[str]:
        return self.shell("cat /srv/plays/log", check=False).splitlines()


@pytest.fixture(scope="module")
def booted(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    places = [tmp_path_factory.mktemp(name) for name in ("source", "built", "installed")]
    mounts = {
        # Where Ansible looks by itself.
        str(install(checkout(places[0]), places[1], places[2])): "/usr/share/ansible/collections",
        str(mongod_binary()): "/usr/local/bin/mongod",
        str(ROOT): CHECKOUT,
        sysconfig.get_paths()["purelib"]: PACKAGES,
    }
    volumes = [part for source, target in mounts.items() for part in ("--volume", f"{source}:{target}:ro")]
    docker_engine.docker(
        "run", "--detach", f"--name={NAME}", *SYSTEMD_RUN_ARGUMENTS, *volumes, systemd_image(docker_engine)
    )
    try:
        found = Host(docker_engine)
        found.wait("systemd", lambda: "running" in found.shell("systemctl is-system-running", check=False))
        found.shell(PREPARE)
        yield found
    finally:
        docker_engine.docker("rm", "--force", "--volumes", NAME)


@pytest.fixture
def host(booted: Host) -> Iterator[Host]:
    booted.shell("rm -f /srv/plays/log /srv/plays/alerts")
    yield booted
    booted.call([])
    assert booted.files() == set(), "an empty list leaves nothing of ours"


def test_a_timer_fires_and_runs_a_playbook_of_ours(host: Host) -> None:
    jobs: list[dict[str, Any]] = [
        {"name": "status", "playbook": "maintenance_status", "when": NEVER},
        {"name": "weekly", "when": "Sun 02:30", "jitter": "10m", "variables": {"backup_fresh_within": "canary"}},
    ]
    planned = host.call(jobs, check=True, ansible_playbook=PLAYBOOK, check_playbooks=True)
    assert host.files() == set()
    made = host.call(jobs, ansible_playbook=PLAYBOOK)
    assert made["plan"] == planned["plan"] and made["changed"]
    assert "OnCalendar=Sun *-*-* 03:30:00\n" in planned["diff"]["after"] and "canary" not in str(planned["diff"])
    assert made["jobs"][1]["moved"] and made["jobs"][1]["time_zone"] == "Europe/Berlin"
    assert any("would not run at all" in str(text) for text in made["warnings"])
    # Also when the test runs at an hour that jobs are moved out of.
    jobs[0].update(when=host.soon(20), clock_change="keep")
    host.call(jobs, ansible_playbook=PLAYBOOK)
    host.wait("the playbook's end", lambda: "ended after" in host.journal("status"), 240)
    said = host.journal("status")
    assert "maintenance mode" in said and "ended after" in said and "with status 0" in said, said
    timer = host.shell(f"systemctl show -p Persistent,RandomizedDelayUSec,NextElapseUSecRealtime {JOB}weekly.timer")
    assert "RandomizedDelayUSec=10min" in timer and "Persistent=yes" in timer
    variables = f"{DIRECTORY}/weekly.variables.json"
    assert host.shell(f"stat -c '%a %U' {DIRECTORY} {variables}").split() == ["700", "root", "600", "root"]
    again = host.call(jobs, ansible_playbook=PLAYBOOK)
    assert not again["changed"] and len(again["kept"]) == 2
    host.shell(f"systemctl stop {JOB}weekly.timer")
    mended = host.call(jobs, ansible_playbook=PLAYBOOK)
    assert [entry["action"] for entry in mended["actions"]] == ["schedule_job"]


def test_taking_a_job_out_of_the_list_removes_its_timer_and_only_ours(host: Host) -> None:
    host.shell(
        f"printf '[Timer]\\nOnCalendar={NEVER}\\n' > {UNITS}/{JOB}theirs.timer; "
        f"printf '[Service]\\nExecStart=true\\n' > {UNITS}/{JOB}theirs.service; "
        f"printf '[Timer]\\nOnCalendar={NEVER}\\n' > {UNITS}/other.timer"
    )
    try:
        jobs = [{"name": "weekly", "when": "Sun 03:00"}, {"name": "backup", "when": "04:00"}]
        host.call(jobs)
        less = host.call(jobs[:1])
        assert [entry["target"] for entry in less["actions"]] == ["job backup"]
        assert not [path for path in host.files() if "backup" in path]
        assert {"target": f"{UNITS}/{JOB}theirs.timer", "reason": "not made by this module"} in less["kept"]
        refused = host.call([*jobs, {"name": "theirs", "when": "05:00"}], fails=True)
        assert "not made by this module" in refused["msg"] and not refused["actions"]
        host.call([])
        assert sorted(host.files()) == [f"{UNITS}/{JOB}theirs.service", f"{UNITS}/{JOB}theirs.timer"]
        assert host.shell(f"cat {UNITS}/other.timer")
    finally:
        host.shell(f"rm -f {UNITS}/{JOB}theirs.* {UNITS}/other.timer; systemctl daemon-reload")


def test_jobs_that_collide_run_one_after_the_other(host: Host) -> None:
    when = host.soon(20)
    names = ["one", "two", "three"]
    jobs = [{"name": name, "playbook": f"/srv/plays/{name}.yml", "when": when} for name in names]
    made = host.call(jobs, clock_change="keep")
    assert [entry["jobs"] for entry in made["collisions"]] == [names]
    host.wait("all three", lambda: len(host.log()) == 6)
    log = [line.split() for line in host.log()]
    for begins, ends in zip(log[::2], log[1::2]):
        assert begins[0] == ends[0] and (begins[1], ends[1]) == ("begins", "ends"), log
    assert {line[0] for line in log} == set(names)
    assert any("waits for another one" in host.journal(name) for name in names)


def test_a_failure_calls_the_alert_and_is_in_the_journal(host: Host) -> None:
    jobs = [{"name": "broken", "playbook": "/srv/plays/broken.yml", "when": NEVER}]
    host.call(jobs, alert_command=["/srv/plays/alert"])
    host.shell(f"systemctl start {JOB}broken.service", check=False)
    host.wait("the alert", lambda: host.shell("cat /srv/plays/alerts", check=False).strip() == "broken 2")
    critical = host.shell("journalctl --no-pager -o cat -p crit -t miniecom-maintenance-broken")
    assert "the scheduled job broken failed (status 2)" in critical
    # Killed at once, it cannot tell of itself: systemd does.
    host.shell("rm /srv/plays/alerts")
    jobs[0]["playbook"] = "/srv/plays/slow.yml"
    host.call(jobs, alert_command=["/srv/plays/alert"])
    host.shell(f"systemctl start --no-block {JOB}broken.service")
    host.wait("its beginning", host.log)
    host.shell(f"systemctl kill --signal=KILL {JOB}broken.service")
    host.wait("the alert", lambda: host.shell("cat /srv/plays/alerts", check=False).startswith("broken "))


def test_what_was_missed_waits_for_a_healthy_mongod_after_the_boot(host: Host) -> None:
    jobs = [{"name": "missed", "playbook": "/srv/plays/slow.yml", "when": "*-*-* *:*:00"}]
    host.call(jobs, mongod_address="127.0.0.1:27017")
    host.shell("systemctl disable --quiet --now mongod")
    # As if the host had been down for an hour.
    host.shell(
        f"systemctl stop {JOB}missed.timer; touch -d '1 hour ago' /var/lib/systemd/timers/stamp-{JOB}missed.timer"
    )
    host.shell("rm -f /srv/plays/log; journalctl --rotate -q; journalctl --vacuum-time=1s -q", check=False)
    host.engine.docker("kill", NAME)
    host.engine.docker("start", NAME)
    host.wait("its waiting", lambda: "waits for MongoDB" in host.journal("missed"))
    assert host.log() == []
    host.shell("systemctl enable --quiet --now mongod")
    host.wait("the run", lambda: host.log()[:2] == ["slow begins", "slow ends"])


def test_a_changed_time_does_not_catch_up_on_what_it_would_have_run(host: Host) -> None:
    """A timer that is told of an earlier time would run at once, in the middle of the day."""
    job = {"name": "changed", "playbook": "/srv/plays/slow.yml", "when": NEVER}
    host.call([job])
    host.shell(
        f"systemctl stop {JOB}changed.timer; touch -d '3 days ago' /var/lib/systemd/timers/stamp-{JOB}changed.timer"
    )
    hour = host.shell("date -d '-2 hours' +%H:%M").strip()
    host.call([{**job, "when": hour}])
    host.shell(f"systemctl is-active {JOB}changed.timer")
    assert (
        host.log() == [] and host.shell(f"systemctl is-active {JOB}changed.service", check=False).strip() == "inactive"
    )


def test_cron_fires_and_takes_over_from_systemd(host: Host) -> None:
    jobs = [{"name": "minute", "playbook": "/srv/plays/slow.yml", "when": "*:*"}]
    host.call([{**jobs[0], "when": NEVER}])
    for refused, why in ((EVERY_MOMENT, "seconds"), ("Sun *-*-1..7 03:00", "a day of the week"), (NEVER, "a year")):
        result = host.call([{**jobs[0], "when": refused}], kind="cron", fails=True)
        assert why in result["msg"] and not result["actions"]
    assert f"{UNITS}/{JOB}minute.timer" in host.files()
    planned = host.call(jobs, kind="cron", check=True)
    made = host.call(jobs, kind="cron", alert_command=["/srv/plays/alert"])
    assert made["plan"] == planned["plan"]
    assert not [path for path in host.files() if path.startswith((UNITS, "/var/lib"))]
    assert "* * * * * root /usr/bin/python3 -B " in host.shell(f"cat {CRON_FILE}")
    host.wait("cron", lambda: "slow ends" in host.log())
    host.wait("the log", lambda: "with status 0" in host.journal("minute"))
    assert not host.call(jobs, kind="cron", alert_command=["/srv/plays/alert"])["changed"]


def test_another_user_runs_the_jobs(host: Host) -> None:
    jobs = [{"name": "theirs", "playbook": "/srv/plays/slow.yml", "when": NEVER}]
    host.call(jobs, user="ops")
    host.shell("touch /srv/plays/log; chmod 666 /srv/plays/log")
    host.shell(f"systemctl start {JOB}theirs.service")
    assert host.log() == ["slow begins", "slow ends"]
    assert host.shell(f"stat -c '%a %U %G' {DIRECTORY}/theirs.variables.json").split() == ["640", "root", "ops"]


def test_killed_at_every_boundary(host: Host) -> None:
    """Whatever is left, the same call completes it, and the next one removes all of it."""
    jobs = [{"name": "weekly", "when": "Sun 03:00"}]
    actions = len(host.call(jobs, check=True)["plan"])
    for number in range(2 * actions):
        host.call(jobs, kill_at=number)
        host.call(jobs)
        assert not host.call(jobs)["changed"]
        leaving = len(host.call([], check=True)["plan"])
        if number < 2 * leaving:
            host.call([], kill_at=number)
        host.call([])
        assert host.files() == set()


def test_what_is_wrong_is_told_before_anything_is_changed(host: Host) -> None:
    job = {"name": "weekly", "when": "Sun 03:00"}
    for wrong, told in (
        ({"time_zone": "Europe/Nowhere"}, "does not know this time zone"),
        ({"playbook": "nothing_of_ours"}, "Ansible cannot run the playbook"),
    ):
        result = host.call([{**job, **wrong}], fails=True, ansible_playbook=PLAYBOOK, check_playbooks=True)
        assert told in result["msg"], result["msg"]
    assert host.files() == set()


def readme_play() -> str:
    """The example in the role's README."""
    text = (ROOT / "roles/schedule/README.md").read_text(encoding="utf-8")
    return text.partition("## Example\n\n```yaml\n")[2].partition("```")[0]


def readme_jobs() -> list[dict[str, Any]]:
    """Those of the example in the role's README."""
    (play,) = yaml.safe_load(readme_play())
    jobs: list[dict[str, Any]] = play["tasks"][0]["vars"]["schedule_jobs"]
    return jobs


def test_the_example_of_the_readme_runs_as_printed(host: Host) -> None:
    """On a control node, which the machine that boots systemd is for itself: it has Ansible beside its Python."""
    beside = "/usr/bin/ansible-playbook"
    host.engine.docker("exec", "-i", NAME, "sh", "-c", "cat > /srv/plays/example.yml", input=readme_play())
    host.shell(f"ln -s {PLAYBOOK} {beside}")
    command = ["exec", "-e", "ANSIBLE_NOCOLOR=1", "-e", "LC_ALL=C.UTF-8", "-w", "/srv/plays", NAME]
    command += [beside, "example.yml", "-i", "hosts.yml"]
    try:
        assert "changed=1 " in host.engine.docker(*command)
        timers = [f"{JOB}{job['name']}.timer" for job in readme_jobs()]
        assert {f"{UNITS}/{timer}" for timer in timers} <= host.files() and len(timers) == 3
        assert host.shell(f"systemctl is-active {' '.join(timers)}").split() == ["active"] * 3
        assert "changed=0 " in host.engine.docker(*command)
        # The program, the inventory and the user that the role has found do run a job.
        said = host.journal("health")
        host.shell(f"systemctl start {JOB}health.service", check=False)
        more = host.journal("health").removeprefix(said)
        assert "the shop is down" in more and "with status 2" in more, more
    finally:
        host.shell(f"rm -f {beside} /srv/plays/example.yml")


def test_the_playbook_schedules_on_the_host_and_switches_the_shops_own_jobs_off_and_on(host: Host) -> None:
    host.shell(
        "mkdir -p /opt/miniecom/scripts; printf 'find /opt/miniecom/storage/backups -mtime +14 -delete\\n' > "
        "/opt/miniecom/scripts/rotate_backups.sh; chmod 755 /opt/miniecom/scripts/rotate_backups.sh; "
        "printf '30 1 * * * root /opt/miniecom/scripts/rotate_backups.sh\\n' > /etc/cron.d/shop; "
        f"printf '[Service]\\nExecStart=/opt/miniecom/scripts/rotate_backups.sh\\n' > {UNITS}/shop-rotate.service; "
        f"printf '[Timer]\\nOnCalendar={NEVER}\\n[Install]\\nWantedBy=timers.target\\n' > {UNITS}/shop-rotate.timer; "
        "systemctl daemon-reload; systemctl enable --quiet --now shop-rotate.timer"
    )
    seen = (
        f"cat /etc/cron.d/shop; find {UNITS}/timers.target.wants -name 'shop*' -printf '%f %l\\n'; "
        "systemctl is-active shop-rotate.timer"
    )
    before = host.shell(seen)
    assert len(before.splitlines()) == 3
    given = {
        "schedule_on": "host",
        "schedule_ansible_playbook": PLAYBOOK,
        "schedule_environment": {"PYTHONDONTWRITEBYTECODE": "1"},
        "schedule_jobs": readme_jobs(),
        "schedule_variables": {"prerequisites_method": "none", "prerequisites_python": "/usr/bin/python3"},
        "context_cron_paths": ["/etc/cron.d", UNITS],
        "alerts_file": "/srv/plays/alerted.jsonl",
    }

    def play(shop_jobs: str, *more: str) -> str:
        variables = json.dumps({**given, "schedule_shop_jobs": shop_jobs})
        command = [f"{PLAYBOOK}", "miniecom.maintenance.schedule", "-i", "/srv/plays/hosts.yml", "-e", variables, *more]
        environment = [
            "-e",
            "ANSIBLE_NOCOLOR=1",
            "-e",
            "LC_ALL=C.UTF-8",
        ]
        return host.engine.docker("exec", *environment, NAME, *command)

    planned = play("off", "--check", "--diff")
    assert host.files() == set() and "OnCalendar=*-*-* *:00:00" in planned
    assert "would switch off 2 jobs of the shop" in planned and host.shell(seen) == before
    done = play("off")
    assert "switched off 2 jobs of the shop" in done and "health" in done, done
    assert {f"{UNITS}/{JOB}{name}.timer" for name in ("health", "weekly", "orphans")} <= host.files()
    assert host.shell("systemctl is-active shop-rotate.timer", check=False).strip() == "inactive"
    assert host.shell("cat /etc/cron.d/shop").startswith("# switched off by miniecom.maintenance: 30 1 ")
    assert "changed=0 " in play("off")
    job = json.loads(host.shell(f"cat {DIRECTORY}/health.json"))
    assert job["ready"]["address"] == "127.0.0.1:27017"
    # By itself, from the installed collection, the host sees that its shop is down, and tells of it.
    host.shell(f"systemctl start {JOB}health.service", check=False)
    said = host.journal("health")
    assert "the shop is down" in said and "with status 2" in said, said
    told = "the scheduled job health failed (status 2)"
    host.wait("the alert", lambda: told in host.shell("cat /srv/plays/alerted.jsonl", check=False))
    assert host.shell("stat -c %a /etc/miniecom-maintenance/alert-channels.json").strip() == "600"
    play("restored")
    assert host.shell(seen) == before
    host.shell("systemctl disable --quiet --now shop-rotate.timer; rm -f /etc/cron.d/shop")
