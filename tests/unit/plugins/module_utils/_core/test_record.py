# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.record import (
    EVENT_CAP,
    LIST_CAP,
    capped,
    telling,
)


def test_lists_are_cut_with_their_counts() -> None:
    values = capped({"findings": list(range(LIST_CAP + 5)), "few": [1], "counts": {"plan": 3}})
    assert len(values["findings"]) == LIST_CAP
    assert values["counts"] == {"plan": 3, "findings": LIST_CAP + 5}
    assert "counts" not in capped({"few": [1]})


@given(st.lists(st.sampled_from(["begun", "planned", "begin", "end", "ended", "failed"]), max_size=2 * EVENT_CAP))
def test_how_modules_ended_goes_before_single_actions(kinds: list[str]) -> None:
    events = [{"event": kind, "number": number} for number, kind in enumerate(kinds)]
    told = telling(events)
    assert len(told) == min(len(events), EVENT_CAP)
    assert [event["number"] for event in told] == sorted(event["number"] for event in told)
    outcomes = [event for event in events if event["event"] in ("begun", "ended", "failed")]
    assert [event for event in told if event in outcomes] == outcomes[:EVENT_CAP]
