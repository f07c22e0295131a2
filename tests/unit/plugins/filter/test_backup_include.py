# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.miniecom.maintenance.plugins.filter.backup_include import backup_include


def place(path: str = "", container: str = "", inside: str = "", layer: bool = False) -> dict[str, object]:
    return {"path": path, "container": container, "container_path": inside, "in_writable_layer": layer}


CONTEXT = {
    "root": "/opt/miniecom",
    "env_file": "/opt/miniecom/.env",
    "storage": {
        "uploads": place(container="miniecom_api", inside="/app/uploads", layer=True),
        "invoices": place(path="/var/lib/docker/volumes/api_storage/_data/invoices"),
        "labels": place(),
    },
}


def test_each_directory_is_taken_from_where_it_really_is() -> None:
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


def test_who_says_where_a_directory_is_goes_along() -> None:
    storage = {**CONTEXT["storage"], "labels": {**place(path="/srv/labels"), "configured_by": "STORAGE_PATH"}}  # type: ignore[dict-item]
    entries = {entry["name"]: entry for entry in backup_include({**CONTEXT, "storage": storage})}
    assert entries["labels"]["configured_by"] == "STORAGE_PATH"
    assert "configured_by" not in entries["invoices"]


def test_something_else_than_a_context_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="not a context"):
        backup_include({"root": "/opt/miniecom"})
