# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command or an inventory with a slip in it fails before anything is done, and names what was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.playbooks import ROOT, PlaybookRun, run_playbook

# No host is ever asked anything: what is wrong is found before.
INVENTORY = "[miniecom]\nshop1 ansible_connection=local\nshop2 ansible_connection=local\n[others]\nnas\n"
# In one command, since ansible-playbook takes seconds to begin.
SLIPS = {
    ("--tags", "mongo_maintenence,log"): [
        "has the tag mongo_maintenence. Is mongo_maintenance meant?",
        "has the tag log. Is logs meant?",
    ],
    ("--skip-tags", "docker_clenup"): ["has the tag docker_clenup. Is docker_cleanup meant?"],
    ("-e", "backup_fresh_withn=0s"): ["no variable backup_fresh_withn. Is backup_fresh_within meant?"],
    ("-e", '{"backup_of": 1}'): ["no variable backup_of. "],
    ("-e", "miniecom_host=miniecom"): ["no variable miniecom_host. Is miniecom_hosts meant?"],
    ("-e", "maintenance_mode_reason=New till"): ["-e: till belongs to no variable. "],
    ("--limit", "shop1,shop22,!shop-1"): [
        "--limit: shop22 is no host or group of this inventory. Is shop2 meant?",
        "--limit: shop-1 is no host or group of this inventory. Is shop1 meant?",
    ],
}


def play(tmp_path: Path, playbook: str, *arguments: str, variables: str = "") -> PlaybookRun:
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(INVENTORY + "[miniecom:vars]\nmaintenance_mode_timer=none\n" + variables)
    return run_playbook(playbook, inventory, *arguments, log=tmp_path / "log")


@pytest.mark.parametrize(
    "name, further", [("weekly", ["--start-at-task", "Backup"]), ("miniecom.maintenance.weekly", [])]
)
def test_slips_in_the_command(name: str, further: list[str], tmp_path: Path) -> None:
    run = play(tmp_path, name, *(word for slip in SLIPS for word in slip), *further)
    assert run.rc != 0
    output = " ".join(run.output.split())
    assert "Nothing was done. " in output
    for told in SLIPS.values():
        assert [text for text in told if text not in output] == []
    assert run.tasks == []


def test_a_limit_without_a_shop(tmp_path: Path) -> None:
    run = play(tmp_path, "weekly", "--limit", "nas")
    assert run.rc != 0
    assert "--limit nas leaves no host of miniecom to maintain." in " ".join(run.output.split())


def test_slips_in_the_inventory(tmp_path: Path) -> None:
    slips = "miniecom_rot=/srv\nbackup_server=nas\nbackup_keep_dayly=3\nlogs_retention_dayz=1\n"
    own = 'miniecom_own_variables=["backup_keep_dayl*"]\n'
    run = play(tmp_path, "weekly", "--tags", "logs", variables=slips + own)
    assert run.rc != 0
    assert {task["host"] for task in run.tasks} == {"shop1", "shop2"}
    assert len(run.tasks) == 2, "nothing was begun"
    for task in run.tasks:
        told = task["result"]["msg"]
        assert "There is no variable miniecom_rot. Is miniecom_root meant? " in told
        assert "There is no variable logs_retention_dayz. Is logs_retention_days meant? " in told
        assert "backup_" not in told, "somebody else's, and one that is let through"


def test_values_that_no_role_takes(tmp_path: Path) -> None:
    """All at once, for the roles whose turn comes last, too, and by the names that were typed."""
    values = "alerts_threshold=hihg\nmaintenance_mode_reason={{ ticket }}\nlogs_directories={{ [context_result.x] }}\n"
    own = tmp_path / "host_vars"
    own.mkdir()
    (own / "shop2.yml").write_text("backup_keep_last: many\nlogs_su: '{{ nobody_has_set_this }}'\n")
    run = play(tmp_path, "weekly", "--tags", "logs", "-e", "miniecom_deployment=dokcer", variables=values)
    assert run.rc != 0
    told = {task["host"]: task["result"]["msg"] for task in run.tasks}
    assert len(run.tasks) == len(told) == 2, "nothing was begun"
    for host, text in told.items():
        assert "value of alerts_threshold must be one of: low, medium, high, critical, got: hihg." in text
        assert "value of miniecom_deployment must be one of: auto, compose, native, got: dokcer." in text
        assert "ticket" not in text, "it is needed only where the shop is closed"
        assert "context_result" not in text and "logs_directories" not in text, "nobody knows yet"
        assert ("backup_keep_last" in text and "logs_su: " in text and "nobody_has_set_this" in text) is (
            host == "shop2"
        )


def listed(run: PlaybookRun) -> bool:
    return run.rc == 0 and "Begin the run" in run.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tags", "backup,logs,never", "--skip-tags", "backup_rotate", "--limit", "shop1,!shop2"],
        ["--tags", "all", "--limit", "miniecom:!shop2", "-e", "awx_user_name=me", "-e", "reason=it"],
        ["--limit", "shop*", "-e", '{"backup_of": 1, "miniecom_own_variables": ["backup_o*"]}'],
    ],
)
def test_what_is_right_is_let_through(arguments: list[str], tmp_path: Path) -> None:
    run = play(tmp_path, "weekly", *arguments, "-e", "backup_fresh_within=0s", "--list-tasks")
    assert listed(run), run.output


def test_hosts_that_failed_may_be_tried_again_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "weekly.retry").write_text("shop2\n")
    assert listed(play(tmp_path, "weekly", "--limit", f"@{tmp_path / 'weekly.retry'}", "--list-tasks"))


def test_a_playbook_of_somebody_elses_may_have_names_of_its_own(tmp_path: Path) -> None:
    included = tmp_path / "more.yml"
    included.write_text("- ansible.builtin.debug:\n  tags: [deploy2]\n")
    site = tmp_path / "site.yml"
    site.write_text(
        json.dumps(
            [
                {
                    "hosts": "others",
                    "gather_facts": False,
                    "tasks": [
                        {"ansible.builtin.include_tasks": str(included), "tags": ["always"]},
                        {"ansible.builtin.debug": {"msg": "nas"}, "tags": ["deploy1"]},
                    ],
                },
                {"ansible.builtin.import_playbook": str(ROOT / "playbooks" / "weekly.yml")},
            ]
        )
    )
    right = ["--tags", "deploy1,deploy2,backup", "-e", "backup_server=nas", "--limit", "others"]
    assert listed(play(tmp_path, str(site), *right, "--list-tasks"))
    wrong = play(tmp_path, str(site), "--tags", "bakup,deploy3", "-e", "backup_dset=/srv", "--list-tasks")
    assert wrong.rc != 0
    assert "bakup" in wrong.output
    assert "backup_dset" in wrong.output
    assert "deploy3" not in wrong.output
