# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.moments import local_moments, span

NOW = datetime(2026, 11, 29, 6, 40, tzinfo=timezone.utc)
ZONE = timezone(timedelta(hours=1), "CET")


@pytest.mark.parametrize(
    "text, read",
    [
        ("opens at 2026-11-29T07:39:00Z: till", "opens at 2026-11-29 08:39 CET, in 59 minutes: till"),
        ("since 2026-11-29T06:39:59Z", "since 2026-11-29 07:39 CET, 1 second ago"),
        ("until 2026-12-24T06:40:00Z (x)", "until 2026-12-24 07:40 CET (x)"),
        ("2026-11-28T06:40:00Z", "2026-11-28 07:40 CET, 24 hours ago"),
        ("run 20261129T064000Z-a5d66b of 2026-11-29", "run 20261129T064000Z-a5d66b of 2026-11-29"),
        ("2026-13-29T06:40:00Z", "2026-13-29T06:40:00Z"),
    ],
)
def test_moments_are_local_and_say_how_far_they_are(text: str, read: str) -> None:
    assert local_moments(text, NOW, ZONE) == read


def test_spans_have_one_unit() -> None:
    assert [span(seconds) for seconds in (0, 89, 90, 5399, 5400, 86400)] == [
        *("0 seconds", "89 seconds", "2 minutes", "90 minutes", "2 hours", "24 hours"),
    ]
