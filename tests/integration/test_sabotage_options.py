# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that make no sense are the user's mistake, told as such and not as a defect."""

from __future__ import annotations

from pathlib import Path

from tests.support.modules import run_module


def test_an_age_before_all_dates(state_dir: Path) -> None:
    result = run_module(
        "mongo_orphans", {"uri": "mongodb://127.0.0.1:1/shop", "min_age": "999999999999d", "state_dir": state_dir}
    )
    assert result.rc != 0
    assert "min_age" in result.result["msg"] and "defect" not in result.result["msg"]
