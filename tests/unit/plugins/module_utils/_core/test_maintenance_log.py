# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.maintenance_log import append, entry

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)
STEPS = [
    {"step": "backup", "status": "changed", "headline": "made 3 MiB\n# and more"},
    {"step": "disk check", "status": "ok", "headline": "41 %"},
    {"step": "audit", "status": "ok", "headline": "2 findings", "findings": 2},
    {"step": "docker", "status": "skipped", "headline": "not applicable"},
    {"step": "compaction", "status": "failed", "headline": "no server"},
]


def test_an_entry_for_people() -> None:
    assert entry("weekly maintenance", "run-1", "ops", "failed", 75, STEPS, ["Took over a dead run"]) == [
        "- Weekly maintenance: **failed**, 5 steps in 1 min 15 s (run run-1 by ops)",
        "- Took over a dead run",
        "- Backup: made 3 MiB # and more",
        "- Audit: 2 findings",
        "- Docker skipped: not applicable",
        "- **Compaction failed**: no server",
        "- Nothing to do: disk check",
    ]


def test_days_and_their_headings() -> None:
    first = append("", NOW, ["- a (run 1 by x)"], "1")
    assert first == "# Maintenance Log\n\n## 2026-11-24\n- a (run 1 by x)\n"
    second = append(first, NOW, ["- b (run 2 by x)"], "2")
    assert second == first + "- b (run 2 by x)\n"
    third = append(second, NOW + timedelta(days=7), ["- c (run 3 by x)"], "3")
    assert third == second + "\n## 2026-12-01\n- c (run 3 by x)\n"
    assert append(third, NOW, ["- a"], "1") == third, "a run stands in it once"
    assert append(third, NOW, ["- d (run 10 by x)"], "10") != third


@given(st.text(max_size=200), st.text(max_size=50))
def test_what_stands_there_stays(text: str, headline: str) -> None:
    lines = entry(
        "x", "20261124T030000Z-abcdef", "ops", "ok", 1, [{"step": "s", "status": "changed", "headline": headline}]
    )
    assert all("\n" not in line for line in lines)
    after = append(text, NOW, lines, "20261124T030000Z-abcdef")
    if text.strip():
        assert after.startswith(text.rstrip("\n"))
    assert append(after, NOW, lines, "20261124T030000Z-abcdef") == after


def test_known_findings_are_something_to_do() -> None:
    steps = [
        {"step": "secrets", "status": "ok", "headline": "9 findings; 0 new", "findings": 0, "findings_total": 9},
        {"step": "orphans", "status": "ok", "headline": "", "findings": None, "findings_total": "10"},
        {"step": "ports", "status": "ok", "headline": "nothing found", "findings": 0, "findings_total": 0},
    ]
    assert entry("weekly", "run-1", "", "ok", 1, steps)[1:] == [
        "- Secrets: 9 findings; 0 new",
        "- Orphans: 10 found",
        "- Nothing to do: ports",
    ]


def test_what_to_do_about_a_failure_is_not_cut_off() -> None:
    message = "it cannot be read. " * 40 + "Run: chmod u+r it"
    failed = entry("weekly", "r", "", "failed", 1, [{"step": "backup", "status": "failed", "headline": message}])
    assert failed[1].endswith("Run: chmod u+r it")
    good = entry("weekly", "r", "", "ok", 1, [{"step": "backup", "status": "changed", "headline": message}])
    assert good[1].endswith("…")
