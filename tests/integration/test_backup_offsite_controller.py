# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_offsite with the controller as the place, by the role and Ansible's local connection, and over ssh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import lacking
from tests.integration.test_backup_offsite import backup
from tests.integration.test_backup_role import play
from tests.integration.test_weekly_faults import kill_with_all_below, wait_for
from tests.sandbox.apt import PackagesUnavailable
from tests.sandbox.offsite import USER, offsite_programs, ssh_server
from tests.support.playbooks import ROOT, environment


def test_the_controller_fetches_tells_the_age_and_gives_back(tmp_path: Path) -> None:
    here, root, other = (tmp_path / name for name in ("backups", "controller", "recovery"))
    for made in (here, root, other):
        made.mkdir()
    place = root / "localhost"
    last = datetime.now().replace(microsecond=0) - timedelta(hours=60)
    # More than one part of a journey; the oldest is not wanted there.
    archives = [backup(here, last - timedelta(days=day), 9_000_000 if day == 1 else 50_000) for day in range(3)]
    # What a run that was killed has left of one, and of one that is gone here.
    place.mkdir()
    (place / f".{archives[1].name}.miniecom-partial").write_bytes(archives[1].read_bytes()[:5000])
    (place / ".20200101_000000.tar.gz.enc.miniecom-partial").write_bytes(b"x")
    variables: dict[str, Any] = {
        "context_result": {"context": {"settings": {}, "mongo": {"database": "miniecom"}, "blocking_jobs": []}},
        "context_state_dir": str(tmp_path / "state"),
        "backup_dest": str(here),
        "backup_offsite_method": "controller",
        "backup_offsite_target": str(root),
        "backup_offsite_keep_last": 2,
        "backup_offsite_keep_daily": 0,
        "backup_offsite_keep_weekly": 0,
        "backup_offsite_keep_monthly": 0,
        "backup_offsite_fetch_dest": str(other),
    }

    def role(entry: str, result: str, **more: Any) -> list[dict[str, Any]]:
        told = {"content": f"{{{{ {result} | to_json }}}}", "dest": f"{tmp_path}/{more.pop('told', entry)}.json"}
        included = {"name": "miniecom.maintenance.backup", "tasks_from": entry}
        return [{"ansible.builtin.import_role": included, **more}, {"ansible.builtin.copy": told}]

    def told(name: str) -> Any:
        return json.loads((tmp_path / f"{name}.json").read_text())

    listed = {"ansible.builtin.shell": f"ls -A {place} > {tmp_path}/listed", "changed_when": False}
    tasks = [
        *role("offsite", "backup_offsite_result", told="check", check_mode=True, diff=True),
        listed,
        *role("offsite", "backup_offsite_result", told="copied"),
        *role("offsite", "backup_offsite_result", told="again"),
        *role("age", "backup_age_result"),
        *role("fetch", "backup_offsite_fetch_result"),
    ]
    done = play(tmp_path, tasks, variables)
    assert done.returncode == 0, done.stdout

    planned = [(action["action"], os.path.basename(action["target"])) for action in told("check")["plan"]]
    copies = [("copy_backup", archive.name) for archive in archives[:2]]
    assert planned == [*copies, ("remove_leftover", "20200101_000000.tar.gz.enc")]
    assert archives[1].name in told("check")["diff"]["after"]
    assert not {archive.name for archive in archives} & set((tmp_path / "listed").read_text().split())
    copied = told("copied")
    assert [(done["action"], os.path.basename(done["target"]), done["status"]) for done in copied["actions"]] == [
        (*action, "done") for action in planned
    ]
    assert (copied["summary"]["copied"], copied["summary"]["copies"], copied["changed"]) == (2, 2, True)
    assert copied["summary"]["target"] == f"controller:{place}" and "controller" not in copied
    assert {path.name for path in place.iterdir()} == {
        name for archive in archives[:2] for name in (archive.name, f".{archive.name}.offsite.json")
    }
    for archive in archives[:2]:
        assert (place / archive.name).read_bytes() == archive.read_bytes()
        assert (place / archive.name).stat().st_mode & 0o777 == 0o600
    assert (told("again")["changed"], told("again")["actions"]) == (False, [])
    assert 59 < told("age")["summary"]["offsite_age_hours"] < 62
    assert (other / archives[0].name).read_bytes() == archives[0].read_bytes()
    assert told("fetch")["path"] == str(other / archives[0].name) and told("fetch")["summary"]["verified"]

    # Another backup comes, which the rules keep in the place of one there; and a disk has changed the newest since.
    newer = backup(here, last + timedelta(hours=1), 20_000)
    newest = backup(here, last + timedelta(hours=2), 20_000)
    status, data = newest.stat(), newest.read_bytes()
    newest.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(newest, ns=(status.st_atime_ns, status.st_mtime_ns))
    gone = {"ansible.builtin.file": {"path": str(newest), "state": "absent"}}
    damaged = role("offsite", "backup_offsite_result", told="damaged", ignore_errors=True)
    done = play(tmp_path, [*damaged, listed, gone, *role("offsite", "backup_offsite_result")], variables)
    assert done.returncode == 0, done.stdout
    assert told("damaged")["failed"] and "another SHA-256" in told("damaged")["msg"]
    listing = (tmp_path / "listed").read_text().split()
    assert {archive.name for archive in archives[:2]} <= set(listing), (
        "nothing goes before what takes its place is there"
    )
    assert newest.name not in str(listing), "nor does anything of it stay"
    assert {path.name for path in place.glob("2*")} == {newer.name, archives[0].name}


def test_two_hosts_of_one_name_are_a_series_each_on_the_controller(tmp_path: Path) -> None:
    """Two inventories of one controller call their host the same."""
    root = tmp_path / "controller"
    root.mkdir()
    variables: dict[str, Any] = {
        "context_result": {"context": {"settings": {}, "mongo": {"database": "miniecom"}, "blocking_jobs": []}},
        "backup_offsite_method": "controller",
        "backup_offsite_target": str(root),
        "backup_offsite_keep_last": 1,
        **{f"backup_offsite_keep_{tier}": 0 for tier in ("daily", "weekly", "monthly")},
    }
    last = datetime.now().replace(microsecond=0) - timedelta(hours=60)
    role: list[dict[str, Any]] = [
        {"ansible.builtin.import_role": {"name": "miniecom.maintenance.backup", "tasks_from": "offsite"}}
    ]
    newest = []
    for host in range(2):
        here = tmp_path / f"backups-{host}"
        here.mkdir()
        own = {**variables, "backup_dest": str(here), "context_state_dir": str(tmp_path / f"state-{host}")}
        for step in range(2):
            newest.append(backup(here, last + timedelta(hours=2 * host + step), 50_000).name)
            done = play(tmp_path, role, own)
            assert done.returncode == 0, done.stdout
        assert ("another host has copies of the name localhost" in done.stdout + done.stderr) == bool(host)
    # Each has removed its own older one, and nothing else.
    assert {path.name for path in (root / "localhost").glob("2*")} == {newest[1], newest[3]}


def test_a_journey_over_ssh_that_is_killed_half_way_is_finished_by_the_next_run(tmp_path: Path) -> None:
    """The whole run of the controller is killed; what has come is no copy, and is not fetched twice."""
    try:
        programs = offsite_programs()
    except PackagesUnavailable as error:
        lacking(f"ssh: {error}")
    here, root = tmp_path / "backups", tmp_path / "controller"
    here.mkdir()
    root.mkdir()
    place = root / "shop"
    archive = backup(here, datetime.now().replace(microsecond=0) - timedelta(hours=1), 24_000_000)
    partial = place / f".{archive.name}.miniecom-partial"
    included = {"name": "miniecom.maintenance.backup", "tasks_from": "offsite"}
    variables = {
        "context_result": {"context": {"settings": {}, "mongo": {"database": "miniecom"}, "blocking_jobs": []}},
        "context_state_dir": str(tmp_path / "state"),
        "backup_dest": str(here),
        "backup_offsite_method": "controller",
        "backup_offsite_target": str(root),
        "backup_offsite_keep_last": 1,
    }
    playbook = tmp_path / "offsite.yml"
    tasks = [{"ansible.builtin.import_role": included}]
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": tasks}]))
    with ssh_server(tmp_path / "ssh") as server:
        inventory = tmp_path / "hosts.ini"
        inventory.write_text(
            f"[all]\nshop ansible_connection=ssh ansible_host=127.0.0.1 ansible_port={server.port} ansible_user={USER}\n"
            f"[all:vars]\nansible_python_interpreter={sys.executable}\nansible_ssh_executable={programs}/ssh\n"
            f"ansible_ssh_private_key_file={server.key}\nansible_ssh_pipelining=true\nansible_remote_tmp={tmp_path}/tmp\n"
            f"ansible_ssh_common_args=-o ControlMaster=no -o UserKnownHostsFile={server.known_hosts}\n"
        )
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(playbook)]
        with (tmp_path / "out").open("wb") as output:
            # So slow that there is half a way at all.
            first = subprocess.Popen(
                [*command, "-e", "backup_offsite_bandwidth=4MiB"],
                cwd=ROOT,
                env=environment(tmp_path / "log"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_for(lambda: first.poll() is not None or (partial.exists() and partial.stat().st_size > 0))
        finally:
            kill_with_all_below(first)
        assert first.returncode < 0, (tmp_path / "out").read_text()
        assert os.listdir(place) == [partial.name], "no copy, and nothing that says there is one"
        begun = partial.stat()
        assert 0 < begun.st_size < archive.stat().st_size
        done = subprocess.run(
            command, cwd=ROOT, env=environment(tmp_path / "log"), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
    assert sorted(os.listdir(place)) == sorted([archive.name, f".{archive.name}.offsite.json"])
    assert (place / archive.name).read_bytes() == archive.read_bytes()
    assert (place / archive.name).stat().st_ino == begun.st_ino, "it went on with what had come"
