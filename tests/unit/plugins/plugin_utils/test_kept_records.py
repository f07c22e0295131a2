# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.plugin_utils.kept_records import file_name, outdated

RUNS = [f"2026112{day}T030000Z-a1b2c{day}" for day in range(5)]
STRANGE = [
    "notes.txt",
    "shop_.json",
    "shop_check-1b4e28ba.json",
    "shop_20261120T030000Z-a1b2c0.json.bak",
    "shop2_" + RUNS[0] + ".json",
]


@pytest.mark.parametrize("keep, gone", [(0, 0), (1, 4), (3, 2), (5, 0), (99, 0)])
def test_the_oldest_runs_go_with_their_summaries(keep: int, gone: int) -> None:
    names = [f"shop_{run}.{kind}" for run in reversed(RUNS) for kind in ("json", "txt")]
    found = outdated([*names, *STRANGE], "shop", keep)
    assert found == sorted(f"shop_{run}.{kind}" for run in RUNS[:gone] for kind in ("json", "txt"))


@given(st.lists(st.text(max_size=30)), st.integers(0, 5))
def test_nothing_else_is_ever_removed(names: list[str], keep: int) -> None:
    assert outdated([*names, *STRANGE], "shop", keep) == []


def test_names_of_hosts_are_no_paths() -> None:
    assert file_name("../shop 1:22_x") == ".._shop_1_22_x"
    assert outdated([f"a_b_{run}.json" for run in RUNS], "a/b", 4) == [f"a_b_{RUNS[0]}.json"]
