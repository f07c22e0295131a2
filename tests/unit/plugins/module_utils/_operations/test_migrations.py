# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.migrations import tells_migrations


@pytest.mark.parametrize(
    "name",
    [
        *(
            "migrations",
            "Migration",
            "schema_migrations",
            "db_migrations",
            "changelog",
            "changeLog",
            "mongockChangeLog",
        ),
        *("DATABASECHANGELOG", "schema_version", "schemaVersions"),
    ],
)
def test_where_the_usual_tools_note_migrations(name: str) -> None:
    assert tells_migrations(name)


@pytest.mark.parametrize(
    "name", ["orders", "audit_logs", "price_changelog", "changelog_lock", "migrations_lock", "data", "", "schema"]
)
def test_what_changes_every_day_is_no_migration(name: str) -> None:
    assert not tells_migrations(name)
