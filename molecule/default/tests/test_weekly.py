# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the weekly run has left on the host, seen by an operator who reaches root through sudo."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

STATE = "/var/lib/miniecom-maintenance"
SHOP = "/opt/miniecom"
VENV = "/opt/miniecom-maintenance/venv"


def test_the_operator_is_not_root(host: Any) -> None:
    assert host.user().name == "ops"


def test_state_is_for_root_alone(host: Any) -> None:
    assert host.run(f"ls {STATE}").rc != 0, "an ordinary user sees into the state directory"
    with host.sudo():
        directory = host.file(STATE)
        assert (directory.user, directory.group, directory.mode) == ("root", "root", 0o700)
        open_to_others = host.run(f"find {STATE} -perm /o=rwx ! -type l").stdout
        assert open_to_others == ""


def test_the_run_is_over(host: Any) -> None:
    with host.sudo():
        assert host.run(f"find {STATE}/leftovers -type f").stdout == ""
        assert not host.file(f"{STATE}/lease.json").exists


def test_records_and_log(host: Any) -> None:
    with host.sudo():
        runs = sorted(host.run(f"ls {STATE}/runs").stdout.split())
        # converge and idempotence, then entering (twice) and leaving maintenance and a third week, a backup that the controller fetches and
        # the drill with that; check mode leaves none
        assert len([name for name in runs if name.endswith(".jsonl")]) == 8
        for name in runs:
            if name.endswith(".json"):
                json.loads(host.file(f"{STATE}/runs/{name}").content_string)
        log = host.file(f"{STATE}/maintenance-log.md").content_string
    assert log.startswith("# Maintenance Log")
    assert len(re.findall(r"Weekly maintenance: ok", log)) == 3


def test_one_backup_that_stock_programs_can_read(host: Any) -> None:
    """The second run has reused it; the old ones are thinned out; strangers' files are left alone."""
    with host.sudo():
        names = host.run(f"ls {SHOP}/storage/backups").stdout.split()
        ours = [name for name in names if host.file(f"{SHOP}/storage/backups/{name}").size > 100_000]
        assert len(ours) == 1
        path = f"{SHOP}/storage/backups/{ours[0]}"
        archive = host.file(path)
        assert (archive.user, archive.mode) == ("root", 0o600)
        listed = host.check_output(f"tar -tzf {path}")
    directory = ours[0].removesuffix(".tar.gz")
    for part in ("mongo.archive.gz", "manifest.json", ".env", "docker-compose.yml", "uploads/", "invoices/", "labels/"):
        assert f"{directory}/{part}" in listed
    dated = [name for name in names if re.fullmatch(r"\d{8}_\d{6}\.tar\.gz", name)]
    assert 14 < len(dated) < 40
    assert "NOTES.txt" in names and "keep" in names


def test_logs_are_rotated_compressed_and_aged(host: Any) -> None:
    logs = f"{SHOP}/storage/logs"
    assert host.file(f"{logs}/ops.log").size == 0
    assert host.run(f"find {logs} -name '*.log' -mtime +7 -size +0").stdout == ""
    assert host.run(f"find {logs} -name '*.gz' -mtime +30").stdout == ""
    assert host.run(f"gzip -t {logs}/*.gz").rc == 0


def test_libraries_are_in_their_own_environment(host: Any) -> None:
    assert host.run(f"{VENV}/bin/python -c 'import pymongo, docker'").rc == 0


def test_the_shop_and_the_system_are_well(host: Any) -> None:
    for unit in ("miniecom-mongod", "miniecom-api", "miniecom-frontend", "ssh", "cron"):
        assert host.service(unit).is_running
    probe = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:3001/api/health').read().decode())"
    assert json.loads(host.check_output(f'python3 -c "{probe}"'))["mongoConnected"] is True
    assert host.run("systemctl is-system-running").stdout.strip() == "running"


def test_no_job_was_scheduled_by_the_run(host: Any) -> None:
    with host.sudo():
        assert host.run("crontab -l -u root").rc != 0
        assert host.run("grep -rl miniecom-maintenance /etc/cron.d /etc/cron.daily /etc/crontab").stdout == ""
    timers = host.check_output("systemctl list-timers --all --no-legend")
    # side_effect.yml has made one of the shop's own.
    assert "miniecom" not in timers.replace("miniecom-disk", "")


def test_nothing_is_left_lying_about(host: Any) -> None:
    with host.sudo():
        found = host.run("find / -xdev ( -path /proc -o -path /sys ) -prune -o -name '*.miniecom-partial' -print")
        assert found.stdout == ""
        for home in ("/home/ops", "/root"):
            assert host.run(f"find {home}/.ansible/tmp -mindepth 1 -name 'ansible-tmp-*' -mmin +5").stdout == ""
        assert host.run("find /tmp -name 'miniecom*' -o -name 'ansible*'").stdout == ""


def secrets(host: Any) -> set[str]:
    """The passwords and keys of the shop's environment file."""
    found = set()
    with host.sudo():
        text = host.file(f"{SHOP}/.env").content_string
    for line in text.splitlines():
        key, _, value = line.removeprefix("export ").partition("=")
        value = value.strip().strip("\"'").partition(" #")[0]
        if any(word in key for word in ("PASSWORD", "SECRET", "SMTP_PASS", "PASSPHRASE")) and len(value) > 8:
            found.add(value)
    assert len(found) >= 3
    return found


def test_no_secret_is_in_journal_state_or_records(host: Any) -> None:
    with host.sudo():
        told = host.run("journalctl --no-pager -o cat").stdout_bytes.decode("utf-8", "replace")
        files = host.run(f"find {STATE} -type f ! -path '*/kingfisher/*' -exec cat {{}} +")
    told += files.stdout_bytes.decode("utf-8", "replace")
    records = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "record"
    kept = list(records.glob("*.json"))
    assert kept, "the controller has no copy of the records"
    told += "".join(path.read_text(encoding="utf-8") for path in kept)
    for secret in secrets(host):
        assert secret not in told
