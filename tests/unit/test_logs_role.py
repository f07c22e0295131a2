# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role logs makes of the shop's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.units import parse_duration
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.settings import read_settings
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.logrotate import (
    RENAME,
    Section,
    render_configuration,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.rotating import read_policy

ROLE = Path(__file__).resolve().parents[2] / "roles" / "logs"


def given(**written: str) -> dict[str, str]:
    """The role's variables for what stands in the environment file."""
    engine = Environment()
    values: dict[str, Any] = {"context_result": {"context": {"settings": read_settings(written).values}}}
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    return {
        name: engine.from_string(defaults[name]).render(values) for name in ("logs_retention_days", "logs_max_size")
    }


def configuration(variables: dict[str, str]) -> list[str]:
    params = {
        "max_size": variables["logs_max_size"],
        "retention_days": int(variables["logs_retention_days"]),
        "interval": "weekly",
        "reopen": [],
    }
    return [
        line.strip()
        for line in render_configuration([Section(("/l/a.log",), RENAME)], read_policy(params).rules).split("\n")
    ]


@pytest.mark.parametrize(("written", "days"), [("0", 0), ("", 30), ("45", 45)])
def test_zero_days_of_retention_remove_nothing(written: str, days: int) -> None:
    variables = given(LOG_RETENTION_DAYS=written)
    assert parse_duration(variables["logs_retention_days"] + "d") == days * 86400, "and 0 is no removal to log_prune"
    lines = configuration(variables)
    assert ("rotate -1" in lines) is (days == 0)
    assert [line for line in lines if line.startswith("maxage")] == (["maxage %d" % days] if days else [])


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("", 100 << 20),
        ("100M", 100 << 20),
        ("100MB", 100 << 20),
        ("1.5G", 1536 << 20),
        ("5k", 5120),
        ("2097152", 2 << 20),
    ],
)
def test_the_size_is_written_as_a_number_of_bytes(written: str, size: int) -> None:
    assert "maxsize %d" % size in configuration(given(MAX_LOG_SIZE=written))


def test_text_of_the_environment_file_gets_nowhere() -> None:
    lines = configuration(given(MAX_LOG_SIZE="1M\npostrotate\ntouch /tmp/executed\nendscript"))
    assert "maxsize %d" % (100 << 20) in lines and "postrotate" not in lines
