# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A finding from its first sight to its waiver, the end of that, and its mending; on real files and in real playbooks."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.sandbox.apt import PackagesUnavailable
from tests.sandbox.offsite import USER, offsite_programs, ssh_server
from tests.support.kill import kill_at_every_change
from tests.support.modules import ModuleResult, run_module
from tests.support.playbooks import run_playbook


def audit(world: Path, **more: Any) -> ModuleResult:
    options = {"paths": [str(world / "shop")], "docker_socket": [], "state_dir": str(world / "state")}
    return run_module("perm_audit", {**options, **more})


def waive(world: Path, finding: str, check: bool = False, **more: Any) -> ModuleResult:
    params = {"state_dir": str(world / "state"), "finding": finding, "reason": "ticket 1", "expires": "90d", **more}
    return run_module("finding_waiver", params, check=check)


def env_file(world: Path, mode: int = 0o644) -> Path:
    (world / "shop").mkdir(exist_ok=True)
    path = world / "shop" / ".env"
    path.write_text("A=1\n")
    path.chmod(mode)
    return path


def statuses(run: ModuleResult) -> dict[str, str]:
    return {item["rule"]: item["status"] for item in run.result["findings"]}


def expire(world: Path) -> None:
    """What ninety days do."""
    path = world / "state" / "waivers.json"
    content = json.loads(path.read_text())
    content["waivers"][0]["expires"] = "2026-01-01"
    path.write_text(json.dumps(content))


def test_from_first_sight_to_mending(tmp_path: Path) -> None:
    path = env_file(tmp_path, 0o600)
    clean = audit(tmp_path)
    assert "first audit, taken as the baseline" in clean.result["summary"]["headline"]
    path.chmod(0o644)
    red = audit(tmp_path)
    assert red.failed and statuses(red) == {"env-readable": "new"}
    [found] = red.result["findings"]
    assert found["id"] in red.msg and "playbook waive" in red.msg, "the message tells how to waive it"
    assert audit(tmp_path).failed, "it stays red until somebody does something"

    assert waive(tmp_path, found["id"], check=True).changed and not (tmp_path / "state/waivers.json").exists()
    first = waive(tmp_path, found["id"])
    assert first.changed and not waive(tmp_path, found["id"]).changed
    green = audit(tmp_path)
    assert not green.failed and statuses(green) == {"env-readable": "waived"}
    assert green.result["findings"][0]["waiver"]["reason"] == "ticket 1"
    assert "1 waived" in green.result["summary"]["headline"]

    expire(tmp_path)
    late = audit(tmp_path)
    assert late.failed and statuses(late) == {"env-readable": "new", "waiver-expired": "new"}
    listed = waive(tmp_path, "", state="listed")
    assert [entry["status"] for entry in listed.result["waivers"]] == ["expired"]

    path.chmod(0o600)
    mended = audit(tmp_path)
    assert not mended.failed and mended.result["findings"] == [], "nor is a waiver told that covers nothing"
    assert {entry["rule"]: entry["status"] for entry in mended.result["resolved"]} == {
        "env-readable": "fixed",
        "waiver-expired": "fixed",
    }
    assert "fixed since the last audit" in mended.result["summary"]["headline"]
    assert audit(tmp_path).result["resolved"] == [], "told once"
    back = waive(tmp_path, found["id"], state="absent")
    assert back.changed and back.result["waivers"] == []
    assert not waive(tmp_path, found["id"], state="absent").changed


def test_asked_for_everything_known_findings_fail_too(tmp_path: Path) -> None:
    env_file(tmp_path)
    everything = audit(tmp_path, fail_for="all")
    assert everything.failed and statuses(everything) == {"env-readable": "known"}, "at the first audit already"
    assert not audit(tmp_path).failed
    waive(tmp_path, everything.result["findings"][0]["id"])
    assert not audit(tmp_path, fail_for="all").failed


def test_an_upgrade_that_brings_a_rule_is_green_once_and_says_so(tmp_path: Path) -> None:
    env_file(tmp_path)
    audit(tmp_path)
    path = tmp_path / "state/baselines/perm_audit.json"
    before = json.loads(path.read_text())
    # As a release has left it that did not have the rule.
    before["rules"].remove("env-readable")
    before["scopes"] = {scope: {} for scope in before["scopes"]}
    path.write_text(json.dumps(before))
    upgraded = audit(tmp_path)
    assert not upgraded.failed and statuses(upgraded) == {"env-readable": "new"}
    assert upgraded.result["findings"][0]["new_rule"] is True
    assert "1 of them by new rules" in upgraded.result["summary"]["headline"]
    assert "no earlier audit of this host had (env-readable)" in upgraded.output, "what would have failed is a warning"
    again = audit(tmp_path)
    assert not again.failed and statuses(again) == {"env-readable": "known"}


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 1, "waivers": [{"finding": "x"}]}'])
def test_a_broken_file_of_waivers_is_told_by_audits_and_by_the_command(tmp_path: Path, content: str) -> None:
    env_file(tmp_path)
    audit(tmp_path)
    (tmp_path / "state/waivers.json").write_text(content)
    for run in (audit(tmp_path), waive(tmp_path, "x"), waive(tmp_path, "", state="listed")):
        assert run.failed and "waivers cannot be understood" in run.msg and "waivers.json" in run.msg
        assert "Traceback" not in run.output
    assert (tmp_path / "state/waivers.json").read_text() == content, "nobody overwrites it"


def test_a_waiver_survives_being_killed_at_any_change(tmp_path: Path) -> None:
    def prepare(world: Path) -> tuple[str, Mapping[str, Any]]:
        env_file(world)
        found = audit(world).result["findings"][0]["id"]
        assert not waive(world, found, reason="older").failed
        return "finding_waiver", {
            "state_dir": str(world / "state"),
            "finding": found,
            "reason": "newer",
            "expires": "90d",
        }

    def inspect(world: Path) -> None:
        [waiver] = json.loads((world / "state/waivers.json").read_text())["waivers"]
        assert waiver["reason"] in ("older", "newer"), "one or the other, and never neither"

    assert kill_at_every_change(tmp_path, prepare, inspect) > 2


def test_waivers_of_two_at_once_are_both_kept(tmp_path: Path) -> None:
    import threading

    for number in range(6):
        path = tmp_path / "shop" / f"s{number}.js"
        path.parent.mkdir(exist_ok=True)
        path.write_text("1;\n")
        path.chmod(0o666)
    ids = [item["id"] for item in audit(tmp_path).result["findings"]]
    threads = [threading.Thread(target=waive, args=(tmp_path, name)) for name in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry["finding"] for entry in waive(tmp_path, "", state="listed").result["waivers"]} == set(ids)


def test_on_the_oldest_python(tmp_path: Path, old_python: Path) -> None:
    env_file(tmp_path)
    found = audit(tmp_path).result["findings"][0]["id"]
    params = {"state_dir": str(tmp_path / "state"), "finding": found, "reason": "r", "expires": "90d"}
    assert run_module("finding_waiver", params, python=old_python).changed


def test_the_playbook_finds_the_host_that_knows_the_finding(tmp_path: Path) -> None:
    hosts = ["shop1", "shop2"]
    for host in hosts:
        (tmp_path / host).mkdir()
        env_file(tmp_path / host)
        audit(tmp_path / host)
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(
        "[miniecom]\n"
        + "".join(f"{host} miniecom_state_dir={tmp_path / host / 'state'}\n" for host in hosts)
        + "[miniecom:vars]\nansible_connection=local\nansible_become=false\nansible_python_interpreter="
        + sys.executable
        + "\n"
    )
    found = audit(tmp_path / "shop1").result["findings"][0]["id"]

    def play(*arguments: str) -> Any:
        return run_playbook("waive", inventory, *arguments, log=tmp_path / "log")

    listed = play()
    assert listed.rc == 0 and "Not waived:" in listed.output and found in listed.output and listed.changed() == []
    named = ("-e", f"finding={found}", "-e", "reason='The group is the shop only'", "-e", "expires=90d")
    waived = play(*named)
    assert waived.rc == 0 and waived.recap["shop1"]["changed"] == 1 and waived.recap["shop2"]["changed"] == 0
    assert "The group is the shop only" in (tmp_path / "shop1/state/waivers.json").read_text()
    unknown = play("-e", "finding=env-readable-00000000", "-e", "reason=x", "-e", "expires=90d")
    assert unknown.rc != 0 and "No audit of any of these hosts knows" in unknown.output


def test_the_playbook_waives_on_a_host_that_is_reached_over_ssh(tmp_path: Path) -> None:
    """The id is all that goes there: the finding, its waiver and the next audit are the host's own."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    try:
        programs = offsite_programs()
    except PackagesUnavailable as error:
        lacking(f"ssh: {error}")
    if python is None:
        lacking("a host of its own: this needs a python3 of the system's")
    env_file(tmp_path)
    found = audit(tmp_path).result["findings"][0]["id"]
    file = tmp_path / "state/waivers.json"
    with ssh_server(tmp_path / "ssh") as server:
        inventory = tmp_path / "hosts.ini"
        inventory.write_text(
            f"[miniecom]\nshop miniecom_state_dir={tmp_path}/state ansible_python_interpreter={python}\n"
            f"[miniecom:vars]\nansible_connection=ssh\nansible_host=127.0.0.1\nansible_port={server.port}\n"
            f"ansible_user={USER}\nansible_become=false\nansible_ssh_executable={programs}/ssh\n"
            f"ansible_ssh_private_key_file={server.key}\nansible_ssh_pipelining=true\nansible_remote_tmp={tmp_path}/tmp\n"
            f"ansible_ssh_common_args=-o ControlMaster=no -o UserKnownHostsFile={server.known_hosts}\n"
        )

        def play(*arguments: str) -> Any:
            return run_playbook("waive", inventory, *arguments, log=tmp_path / "log")

        named = ("-e", f"finding={found}", "-e", "reason='ticket 9'", "-e", "expires=90d")
        foretold = play(*named, "--check")
        assert foretold.rc == 0 and foretold.recap["shop"]["changed"] == 1 and not file.exists(), foretold.output
        waived = play(*named)
        assert waived.rc == 0 and waived.recap["shop"]["changed"] == 1, waived.output
        assert statuses(audit(tmp_path))["env-readable"] == "waived"
        assert play(*named).recap["shop"]["changed"] == 0
        listed = play()
        assert listed.rc == 0 and found in listed.output and "ticket 9" in listed.output
        taken = play("-e", f"finding={found}", "-e", "take_back=true")
        assert taken.rc == 0 and json.loads(file.read_text())["waivers"] == [], taken.output
        log = (tmp_path / "ssh/log").read_text(errors="replace")
        assert "Accepted publickey" in log, "it went over the connection"


def test_the_playbook_waives_for_another_user_of_the_host() -> None:
    """By become, with the host's own Python and a state directory that nobody else may enter."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if os.geteuid() or python is None or shutil.which("su") is None:
        lacking("become another user: this needs root, su and a python3 of the system's")
    user = pwd.getpwnam("nobody")
    # Where pytest keeps its files no other user may go.
    world = Path(tempfile.mkdtemp(prefix="waive", dir="/var/tmp"))
    try:
        world.chmod(0o755)
        env_file(world)
        found = audit(world).result["findings"][0]["id"]
        for path in [world / "state", *(world / "state").rglob("*")]:
            os.chown(path, user.pw_uid, user.pw_gid)
        inventory = world / "hosts.ini"
        inventory.write_text(
            f"[miniecom]\nshop miniecom_state_dir={world}/state ansible_python_interpreter={python} ansible_connection=local\n"
            f"[miniecom:vars]\nansible_become_method=su\nansible_become_user=nobody\nansible_become_flags='-s /bin/sh'\n"
            f"ansible_remote_tmp={world}/tmp\n"
        )
        (world / "tmp").mkdir(mode=0o1777)
        (world / "tmp").chmod(0o1777)
        named = ("-e", f"finding={found}", "-e", "reason='ticket 7'", "-e", "expires=90d")
        waived = run_playbook("waive", inventory, *named, log=world / "log")
        assert waived.rc == 0, waived.output
        file = world / "state/waivers.json"
        assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (user.pw_uid, 0o600)
        assert statuses(audit(world))["env-readable"] == "waived"
        taken = run_playbook("waive", inventory, "-e", f"finding={found}", "-e", "take_back=true", log=world / "log")
        assert taken.rc == 0 and json.loads(file.read_text())["waivers"] == []
    finally:
        shutil.rmtree(world)
