# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._host.settings import SETTINGS, read_settings

MIB = 1024 * 1024


@given(st.dictionaries(st.sampled_from([*SETTINGS, "SMTP_PASS", "X"]), st.text(max_size=12)))
def test_settings_have_sensible_values_whatever_is_written(env: dict[str, str]) -> None:
    found = read_settings(env)
    assert set(found.values) == set(SETTINGS)
    for key, (default, _read) in SETTINGS.items():
        assert type(found.values[key]) is type(default)
        assert str(found.values[key]).isprintable(), key
    assert 1 <= found.values["DISK_WARN_PCT"] <= 100
    assert found.values["BACKUP_RETENTION_DAYS"] >= 0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("100M", 100 * MIB),
        ("100MB", 100 * MIB),
        ("100m", 100 * MIB),
        ("1.5G", 1536 * MIB),
        ("2MiB", 2 * MIB),
        ("4096", 4096),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    found = read_settings({"MAX_LOG_SIZE": text})
    assert found.values["MAX_LOG_SIZE"] == size
    assert not found.warnings


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("MAX_LOG_SIZE", "100M\n    postrotate\n        touch /tmp/x\n    endscript"),
        ("MAX_LOG_SIZE", "much"),
        ("MAX_LOG_SIZE", "0"),
        ("BACKUP_DIR", "/srv/backups\n/etc"),
        ("BACKUP_DIR", "/srv/\x1b[2Jbackups"),
        ("ALERT_EMAIL", "ops@example.org\nBcc: all@example.org and more"),
        ("ALERT_EMAIL", "nobody"),
        ("SMTP_HOST", "mail; reboot"),
        ("SMTP_PORT", "70000"),
        ("DISK_WARN_PCT", "101"),
        ("LOG_RETENTION_DAYS", "soon"),
        ("UPDATE_IMAGES", "maybe"),
    ],
)
def test_what_cannot_be_read_is_not_used_and_is_named(key: str, text: str) -> None:
    found = read_settings({key: text})
    assert found.values[key] == SETTINGS[key][0]
    assert len(found.warnings) == 1 and key in found.warnings[0]
    assert len(text) < 3 or text not in found.warnings[0], "a value may hold anything, secrets included"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("ALERT_EMAIL", "ops@example.org, me@example.org", "ops@example.org,me@example.org"),
        ("BACKUP_DIR", "/srv/back ups", "/srv/back ups"),
        ("DISK_WARN_PCT", "85%", 85),
        ("SMTP_PORT", "587", 587),
        ("ENCRYPT_BACKUP", "Yes", True),
    ],
)
def test_what_can_be_read_is_used(key: str, text: str, value: Any) -> None:
    found = read_settings({key: text})
    assert found.values[key] == value and not found.warnings
