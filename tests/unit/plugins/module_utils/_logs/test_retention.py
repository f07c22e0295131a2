# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.retention import (
    LogFile,
    Policy,
    plan_retention,
)

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
DAY = 86400.0

FILES = st.lists(
    st.builds(
        LogFile,
        path=st.from_regex(r"\A/l/[a-c]\.log(\.gz)?\Z"),
        size=st.integers(0, 10**9),
        modified=st.floats(NOW.timestamp() - 100 * DAY, NOW.timestamp() + DAY),
        device=st.just(1),
        inode=st.integers(1, 9),
        opened=st.booleans(),
        compressed_twin=st.booleans(),
        blocked_by=st.sampled_from(["", "/l/a.log.gz"]),
    ),
    max_size=6,
)
AGES = st.one_of(st.none(), st.floats(0, 90 * DAY))


@given(FILES, AGES, AGES)
def test_what_goes_and_what_stays(files: list[LogFile], compress: float | None, remove: float | None) -> None:
    plan = plan_retention(files, Policy(compress, remove), NOW)
    assert len(plan.actions) + len(plan.kept) == len(files)
    assert all(kept.reason for kept in plan.kept)
    for action in plan.actions:
        log = action.data["file"]
        age = NOW.timestamp() - log.modified
        assert not log.opened
        if action.action == "remove":
            assert (remove is not None and age > remove) or log.compressed_twin
        else:
            assert compress is not None and age > compress
            assert not log.compressed and not log.blocked_by


@given(FILES)
def test_an_empty_policy_does_nothing(files: list[LogFile]) -> None:
    assert plan_retention(files, Policy(None, None), NOW).actions == []
