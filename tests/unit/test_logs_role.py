# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role logs makes of the shop's LOG_RETENTION_DAYS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.units import parse_duration
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.shop import settings

ROLE = Path(__file__).resolve().parents[2] / "roles" / "logs"


def rendered(written: str, tmp_path: Path) -> tuple[str, str]:
    """The configuration of logrotate, and the days of log_prune, for what stands in the environment file."""
    engine = Environment(keep_trailing_newline=True, trim_blocks=True)
    values: dict[str, Any] = {
        "context_result": {
            "context": {
                "settings": settings({"LOG_RETENTION_DAYS": written}).values,
                "storage": {"logs": {"path": str(tmp_path)}},
            }
        }
    }
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    for name in ("logs_retention_days", "logs_max_size"):
        values[name] = engine.from_string(defaults[name]).render(values)
    values.update(logs_directories=[str(tmp_path)], logs_pattern="*.log", logs_interval="weekly", logs_su="")
    template = (ROLE / "templates/logrotate.conf.j2").read_text()
    return engine.from_string(template).render(values), str(values["logs_retention_days"])


@pytest.mark.parametrize(("written", "days"), [("0", 0), ("", 30), ("45", 45)])
def test_zero_days_of_retention_remove_nothing(written: str, days: int, tmp_path: Path) -> None:
    configuration, kept = rendered(written, tmp_path)
    assert parse_duration(kept + "d") == days * 86400, "and 0 is no removal to log_prune"
    lines = [line.strip() for line in configuration.splitlines()]
    assert ("rotate -1" in lines) is (days == 0)
    assert [line for line in lines if line.startswith("maxage")] == (["maxage %d" % days] if days else [])
    if shutil.which("logrotate"):
        path = tmp_path / "logrotate.conf"
        path.write_text(configuration)
        path.chmod(0o600)
        done = subprocess.run(["logrotate", "--debug", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "error" not in done.stderr, done.stderr
