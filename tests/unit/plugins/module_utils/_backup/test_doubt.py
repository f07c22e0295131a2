# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which entries of an archive are in doubt, and that not all of them are kept for it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup.doubt import MOST, Doubt


def test_what_is_told():
    doubt = Doubt()
    assert doubt.text(0) == "its beginning"
    doubt.begin("a", 10, 0)
    assert doubt.text(0) == "a, or what follows it"
    assert doubt.text(10) == "what follows a"
    doubt.begin("b", 20, 5)
    doubt.begin("c", 30, 5)
    assert doubt.text(5) == "one of a to c, or what follows it"
    assert doubt.text(10) == "one of b to c, or what follows it"
    doubt.begin("d", 40, 30)
    assert doubt.text(30) == "d, or what follows it"


@given(count=st.integers(1, 5 * MOST), proven=st.integers(-1, 5 * MOST + 1))
def test_of_many_entries_few_are_kept_and_none_in_doubt_is_left_out(count: int, proven: int) -> None:
    doubt = Doubt()
    for number in range(count):
        doubt.begin(f"e{number}", number + 1, min(proven, number))
    assert len(doubt._entries) <= MOST
    told = [int(number) for number in re.findall(r"e(\d+)", doubt.text(min(proven, count)))]
    assert told[-1] == count - 1
    # The first that is told is the first that is not proven, or one before it.
    assert told[0] <= max(0, min(proven, count - 1))
