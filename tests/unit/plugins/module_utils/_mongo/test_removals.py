# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.removals import note_removal, read_removals

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=timezone.utc)


def test_the_last_removal_of_each_collection_is_known_for_a_day(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    assert read_removals(state) == {} and not (tmp_path / "state").exists()
    for hours, namespace in ((30, "shop.old"), (2, "shop.orders"), (1, "shop.carts"), (0, "shop.orders")):
        note_removal(state, namespace, NOW - timedelta(hours=hours))
    assert read_removals(state) == {"shop.orders": NOW, "shop.carts": NOW - timedelta(hours=1)}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_what_does_not_parse_is_passed_over(tmp_path: Path) -> None:
    note_removal(str(tmp_path), "shop.orders", NOW)
    [file] = tmp_path.iterdir()
    file.write_text('{"torn\n[]\n{"at": 5}\n' + file.read_text())
    assert read_removals(str(tmp_path)) == {"shop.orders": NOW}
