# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.miniecom.maintenance.plugins.filter.assessment import assessment
from ansible_collections.miniecom.maintenance.plugins.filter.backup_include import backup_include


def place(path: str = "", container: str = "", inside: str = "", layer: bool = False) -> dict[str, object]:
    return {"path": path, "container": container, "container_path": inside, "in_writable_layer": layer}


CONTEXT = {
    "root": "/opt/miniecom",
    "deployment": "compose",
    "env_file": "/opt/miniecom/.env",
    "credentials_quality": "default",
    "mongo": {"exposed": ["0.0.0.0"]},
    "docker": {"available": False, "reason": "no socket"},
    "storage": {
        "uploads": place(container="miniecom_api", inside="/app/uploads", layer=True),
        "invoices": place(path="/var/lib/docker/volumes/api_storage/_data/invoices"),
        "labels": place(),
    },
    "jobs": [{"kind": "rotate_backups.sh", "danger": "deletes_backups", "source": "/etc/cron.d/shop", "active": True}],
}


def test_each_folder_is_taken_from_where_it_really_is() -> None:
    entries = {entry["name"]: entry for entry in backup_include(CONTEXT)}
    assert entries["uploads"] == {
        "name": "uploads",
        "path": "/app/uploads",
        "container": "miniecom_api",
        "optional": True,
    }
    assert entries["invoices"]["path"].endswith("/invoices") and "container" not in entries["invoices"]
    assert "labels" not in entries
    assert entries[".env"] == {"name": ".env", "path": "/opt/miniecom/.env", "optional": False}


def test_something_else_than_a_context_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="not a context"):
        backup_include({"root": "/opt/miniecom"})


FAILED = {"failed": True, "msg": "it is down"}


def test_ten_lines_whatever_failed() -> None:
    lines = assessment("shop", CONTEXT, FAILED, {"skipped": True}, FAILED, FAILED, FAILED)
    assert len(lines) == 10
    text = "\n".join(lines)
    assert text.count("it is down") == 4
    assert "EXPOSED on 0.0.0.0; credentials: DEFAULT" in text
    assert "NO: uploads lie in a container's writable layer" in text
    assert "rotate_backups.sh (deletes backups" in text
    assert "switch the dangerous jobs off" in lines[-1]


@pytest.mark.parametrize(
    ("backups", "said", "then"),
    [
        ({"summary": {"backups": 0}}, "NO: there is no backup", "maintenance.backup"),
        (
            {"summary": {"backups": 3}, "newest": {"age_hours": 50.0}},
            "NOT PROVEN: 3 backups, the newest 2 d 2 h old",
            "maintenance.backup",
        ),
        (
            {
                "summary": {"backups": 1},
                "newest": {"age_hours": 2.0},
                "newest_verified": {"name": "b.tar.gz", "age_hours": 2.0, "restore_tested": ""},
            },
            "yes, b.tar.gz, 2 h old, verified; a restore was never tested",
            "weekly --check",
        ),
    ],
)
def test_what_is_said_of_backups_and_what_comes_next(backups: dict[str, object], said: str, then: str) -> None:
    context = copy.deepcopy(CONTEXT)
    context["jobs"] = []
    lines = assessment("shop", context, FAILED, FAILED, FAILED, backups, FAILED)
    assert said in lines[1]
    assert then in lines[-1]
