# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role app_update makes of the shop's UPDATE_IMAGES."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.plugins.filter.core import to_bool
from jinja2 import Environment

from ansible_collections.miniecom.maintenance.plugins.module_utils._host.settings import read_settings

ROLE = Path(__file__).resolve().parents[2] / "roles" / "app_update"


@pytest.mark.parametrize(
    ("written", "services", "pulled"),
    [
        ({"UPDATE_IMAGES": "true"}, [], True),
        ({"UPDATE_IMAGES": "false"}, [], False),
        ({}, [], False),
        # Whoever names a service wants it to be updated.
        ({"UPDATE_IMAGES": "false"}, ["api"], True),
    ],
)
def test_images_are_pulled_as_the_shop_says_or_where_they_are_named(
    written: dict[str, str], services: list[str], pulled: bool
) -> None:
    engine = Environment()
    engine.filters["bool"] = to_bool
    template = yaml.safe_load((ROLE / "defaults/main.yml").read_text())["app_update_pull"]
    values: dict[str, Any] = {"context_result": {"context": {"settings": read_settings(written).values}}}
    assert engine.from_string(template).render(values, app_update_services=services) == str(pulled)
    tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    assert tasks[0]["miniecom.maintenance.compose_update"]["pull"] == "{{ app_update_pull }}"
