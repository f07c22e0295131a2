# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.compaction_history import (
    CompactionHistory,
    PastYield,
    compaction_history_path,
    read_compaction_history,
    write_compaction_history,
)

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=timezone.utc)


def entry(number: int = 1, member: str = "b", name: str = "shop.orders", ago: int = 0) -> PastYield:
    return PastYield(NOW - timedelta(days=ago), member, name, number, number, number)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    state_dir = str(tmp_path / "state")
    assert read_compaction_history(state_dir) == CompactionHistory()
    history = CompactionHistory((entry(), entry(2, "c")), {"shop.orders on c": NOW})
    write_compaction_history(state_dir, history)
    assert read_compaction_history(state_dir) == history
    assert os.stat(compaction_history_path(state_dir)).st_mode & 0o777 == 0o600
    assert history.of_member("c") == {"shop.orders": (entry(2, "c"),)}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"yields": 5, "deferred": [1, {"target": "x"}]}', '{"yields": [{}]}'])
def test_what_does_not_parse_is_passed_over(tmp_path: Path, text: str) -> None:
    path = Path(compaction_history_path(str(tmp_path)))
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    assert read_compaction_history(str(tmp_path)) == CompactionHistory()


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    with pytest.raises(MaintenanceError, match="history of compactions"):
        write_compaction_history(str(tmp_path / "state"), CompactionHistory((entry(),)))


def test_old_entries_go_and_few_of_each_are_kept() -> None:
    history = CompactionHistory((entry(0, ago=101), *(entry(n, ago=10 - n) for n in range(1, 6)), entry(9, "c")))
    more = history.with_more([entry(6)], [], [], NOW)
    assert [found.predicted for found in more.of_member("b")["shop.orders"]] == [2, 3, 4, 5, 6]
    assert len(more.of_member("c")["shop.orders"]) == 1


def test_what_is_deferred_keeps_its_place_until_it_was_looked_at() -> None:
    before = NOW - timedelta(days=7)
    history = CompactionHistory(
        (), {"waits": before, "done": before, "elsewhere": before, "old": NOW - timedelta(days=101)}
    )
    more = history.with_more([], ["waits", "done", "new"], ["waits", "new"], NOW)
    assert more.deferred == {"waits": before, "elsewhere": before, "new": NOW}
