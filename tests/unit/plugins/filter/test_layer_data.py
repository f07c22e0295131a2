# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.miniecom.maintenance.plugins.filter.layer_data import layer_data


def place(inside: str, container: str = "miniecom_api") -> dict[str, Any]:
    return {"path": "", "container": container, "container_path": inside}


def test_each_place_in_a_container_once_by_its_service() -> None:
    context = {
        "compose": {"containers": {"api": [{"name": "miniecom_api"}], "mongo": [{"name": "miniecom_mongo"}]}},
        "storage": {
            "uploads": place("/app/uploads"),
            "invoices": place("/app/storage/invoices"),
            "labels": place("/app/storage/invoices"),
            "backups": {"path": "/opt/miniecom/storage/backups"},
            "strange": place("/x", "of_nobody"),
        },
    }
    assert layer_data(context) == [
        {"service": "api", "path": "/app/uploads"},
        {"service": "api", "path": "/app/storage/invoices"},
    ]
    assert layer_data({"compose": None, "storage": {"uploads": place("/app/uploads")}}) == []


def test_what_is_no_context_is_said() -> None:
    with pytest.raises(AnsibleFilterError, match="not a context"):
        layer_data({"compose": {}})
