# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import application_setting as setting

TEXT = '{"store":{"name":"Grüße","tax":7.50},\n "maintenance":{"enabled":false,"theme":"x"}, "big":1e3}'


@pytest.fixture
def database(mongod, mongo_database):
    with mongod.client() as client:
        yield client[mongo_database]


def row(database):
    return database.settings.find_one({"key": "site"})


def test_on_and_off_leave_the_document_as_it_was(database):
    database.settings.insert_one({"key": "site", "type": "json", "value": TEXT, "updatedBy": "someone"})
    before = row(database)
    was, change = setting.update_setting(database, True, "Back soon", ["10.0.0.1"])
    assert change is not None and not was.enabled
    now = setting.read_setting(database)
    assert (now.enabled, now.message, now.allow_ips) == (True, "Back soon", ("10.0.0.1",))
    assert setting.update_setting(database, True, "Back soon", ["10.0.0.1"])[1] is None
    setting.update_setting(database, False, previous=was.remember())
    assert row(database) == before


def test_missing_row_is_made_and_removed(database):
    was, _change = setting.update_setting(database, True, "m")
    assert json.loads(row(database)["value"])["maintenance"]["enabled"] is True
    setting.update_setting(database, False, previous=was.remember())
    assert row(database) is None


def test_change_between_reading_and_writing_is_not_lost(database):
    database.settings.insert_one({"key": "site", "type": "json", "value": TEXT})
    read = setting.read_setting(database)
    change = setting.plan_setting(read, True)
    database.settings.update_one({"key": "site"}, {"$set": {"value": '{"store":{"name":"New"}}'}})
    with pytest.raises(MaintenanceError, match="changed by somebody else"):
        setting.write_setting(database, read, change)
    assert row(database)["value"] == '{"store":{"name":"New"}}'


def test_row_that_appears_meanwhile_is_not_replaced(database):
    read = setting.read_setting(database)
    change = setting.plan_setting(read, True)
    database.settings.insert_one({"key": "site", "type": "json", "value": TEXT})
    with pytest.raises(MaintenanceError):
        setting.write_setting(database, read, change)
    assert row(database)["value"] == TEXT


def test_update_tries_again_on_the_new_text(database, monkeypatch):
    database.settings.insert_one({"key": "site", "type": "json", "value": TEXT})
    original, calls = setting.write_setting, []

    def beaten_once(*args):
        if not calls:
            database.settings.update_one({"key": "site"}, {"$set": {"value": '{"store":"New"}'}})
        calls.append(1)
        return original(*args)

    monkeypatch.setattr(setting, "write_setting", beaten_once)
    setting.update_setting(database, True)
    assert json.loads(row(database)["value"]) == {"store": "New", "maintenance": {"enabled": True}}


def test_two_rows_are_refused(database):
    database.settings.insert_many([{"key": "site", "type": "json", "value": TEXT}] * 1 + [{"key": "site"}])
    with pytest.raises(MaintenanceError, match="several"):
        setting.update_setting(database, True)


def test_unreadable_setting_is_never_overwritten(database):
    database.settings.insert_one({"key": "site", "type": "json", "value": "{broken"})
    with pytest.raises(MaintenanceError, match="cannot read its own setting"):
        setting.update_setting(database, True)
    assert row(database)["value"] == "{broken"


def test_a_setting_that_is_undone_at_once_is_told(database, monkeypatch):
    database.settings.insert_one({"key": "site", "type": "json", "value": TEXT})
    real = setting.write_setting

    def undone(*args):
        real(*args)
        database.settings.update_one({"key": "site"}, {"$set": {"value": TEXT}})

    monkeypatch.setattr(setting, "write_setting", undone)
    with pytest.raises(MaintenanceError, match="switched off again"):
        setting.update_setting(database, True, "Back soon")
