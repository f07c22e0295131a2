# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("4096", 4096),
        (4096, 4096),
        ("64MiB", 64 * 1024**2),
        ("64 MiB", 64 * 1024**2),
        ("100M", 100 * 1024**2),
        ("1.5GiB", 1536 * 1024**2),
        ("2kB", 2000),
        ("1TB", 10**12),
    ],
)
def test_sizes(text: object, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1 XiB", "1e9", "64MiB64", "one"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(MaintenanceError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", 0),
        ("45s", 45),
        ("90m", 5400),
        ("7d", 604800),
        ("2w", 1209600),
        ("1h30m", 5400),
        ("20", 20),
        ("1h 5min", 3900),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "d", "-5s", "7 days", "5x", "1h!"])
def test_no_durations(text: str) -> None:
    with pytest.raises(MaintenanceError, match="not a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=2**50))
def test_a_formatted_size_reads_back_within_its_precision(count: int) -> None:
    read = parse_size(format_size(count).replace(" ", "").replace("B", "B"))
    assert abs(read - count) <= max(1, count * 0.06)


@given(st.floats(min_value=0, max_value=10**9, allow_nan=False))
def test_a_formatted_duration_is_never_far_off(seconds: float) -> None:
    read = parse_duration(format_duration(seconds).replace(" ", ""))
    assert abs(read - seconds) <= max(1.0, seconds * 0.05)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (-2048, "-2.0 KiB"),
        (3 * 1024**5, "3072.0 TiB"),
    ],
)
def test_sizes_for_people(count: int, text: str) -> None:
    assert format_size(count) == text
