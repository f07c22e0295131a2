# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a count in the statistics is called wrong."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.counting import LOOKS, is_wrong, outside


@pytest.mark.parametrize(
    ("offsets", "quiet", "verdict"),
    [
        ([0], True, False),
        ([7], True, None),
        ([7, 7], True, True),
        ([7, 7], False, None),
        ([7, 9], True, None),
        ([7, 0], True, False),
        ([7, -7], True, False),
        ([3] * LOOKS, False, True),
        ([3, 9, 1, 4, 2, 8][:LOOKS], False, True),
    ],
)
def test_what_is_called_wrong(offsets: list[int], quiet: bool, verdict: Optional[bool]) -> None:
    assert is_wrong(offsets, quiet) is verdict


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=LOOKS), st.booleans())
def test_looking_comes_to_an_end(offsets: list[int], quiet: bool) -> None:
    verdict = is_wrong(offsets, quiet)
    assert verdict is not None or len(offsets) < LOOKS
    assert not verdict or offsets[-1]


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_what_lies_between_two_looks_is_right(before: int, counted: int, after: int) -> None:
    offset = outside(before, counted, after)
    assert (offset == 0) is (min(before, after) <= counted <= max(before, after))
    assert min(before, after) <= counted - offset <= max(before, after)
