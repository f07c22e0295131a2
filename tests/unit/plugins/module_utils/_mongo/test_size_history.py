# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.size_history import (
    read_sizes,
    sizes_path,
    with_sizes,
    write_sizes,
)

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=timezone.utc)
KEY = ("one:27017", "shop")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    state_dir = str(tmp_path / "state")
    assert read_sizes(state_dir) == {}
    sizes = with_sizes({}, {KEY: 5, ("two:27017", "shop"): 6}, NOW)
    write_sizes(state_dir, sizes)
    assert read_sizes(state_dir) == sizes == {KEY: [(NOW, 5)], ("two:27017", "shop"): [(NOW, 6)]}


def test_of_a_day_the_last_is_kept_and_what_is_old_goes() -> None:
    known = {KEY: [(NOW - timedelta(days=101), 1), (NOW - timedelta(days=1), 2), (NOW - timedelta(hours=1), 3)]}
    assert with_sizes(known, {KEY: 4}, NOW) == {KEY: [(NOW - timedelta(days=1), 2), (NOW, 4)]}
    assert with_sizes({KEY: known[KEY][:1]}, {}, NOW) == {}, "a database that went is forgotten in time"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"at": "x"}]'])
def test_what_does_not_parse_is_passed_over(tmp_path: Path, text: str) -> None:
    path = Path(sizes_path(str(tmp_path)))
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    assert read_sizes(str(tmp_path)) == {}


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    with pytest.raises(MaintenanceError, match="sizes of databases"):
        write_sizes(str(tmp_path / "state"), {KEY: [(NOW, 1)]})
