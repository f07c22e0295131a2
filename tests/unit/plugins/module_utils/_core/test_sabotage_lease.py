# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lease file that makes no sense must not lock everybody out for good."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.lease import (
    Lease,
    judge_lease,
    read_lease,
    take_lease,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=timezone.utc)
GOOD = {"run_id": "r", "name": "n", "owner": "o", "boot": "", "started": format_utc(NOW), "renewed": format_utc(NOW)}


@pytest.mark.parametrize("damage", [{"renewed": "yesterday"}, {"renewed": ""}, {"run_id": "../../etc/x"}])
def test_a_damaged_lease_is_none(tmp_path: Path, damage: dict[str, str]) -> None:
    state = StateDirectory(str(tmp_path))
    (tmp_path / "lease.json").write_text(json.dumps({**GOOD, **damage}))
    assert take_lease(state, "weekly", "me", False, NOW).lease.run_id == read_lease(state).run_id  # type: ignore[union-attr]


def test_a_lease_dated_in_the_future_says_so() -> None:
    ahead = Lease("r", "n", "o", "", format_utc(NOW), format_utc(NOW + timedelta(days=3)))
    verdict = judge_lease(ahead, True, "", NOW)
    assert verdict.state == "live" and "in the future" in verdict.reason
    assert judge_lease(ahead, True, "", NOW, takeover=True).state == "dead"
