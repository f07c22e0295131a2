# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MissingLibrary
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import address, client


@pytest.mark.parametrize(
    ("hello", "topology", "state"),
    [
        ({"isWritablePrimary": True}, "standalone", "primary"),
        ({"msg": "isdbgrid", "isWritablePrimary": True}, "mongos", "primary"),
        ({"setName": "rs", "isWritablePrimary": True}, "replica set", "primary"),
        ({"setName": "rs", "secondary": True}, "replica set", "secondary"),
        ({"setName": "rs", "arbiterOnly": True}, "replica set", "arbiter"),
        ({"setName": "rs"}, "replica set", "other"),
        ({"isreplicaset": True}, "replica set", "other"),
    ],
)
def test_kinds_of_servers(hello, topology, state):
    server = client.describe_server(hello, {"version": "7.0.14-rc1"})
    assert (server.topology, server.state, server.version_array) == (topology, state, (7, 0, 14))


def test_missing_library_names_the_package(monkeypatch):
    monkeypatch.setattr(address, "IMPORT_ERROR", "No module named 'pymongo'")
    with pytest.raises(MissingLibrary, match="pymongo"):
        client.connect({"uri": "mongodb://h/shop"})


@pytest.mark.parametrize(
    ("hello", "words"),
    [
        ({"isreplicaset": True}, "STARTUP"),
        ({"setName": "rs", "secondary": False, "isWritablePrimary": False}, "STARTUP2"),
        ({"setName": "rs", "arbiterOnly": True}, "ARBITER"),
        ({"setName": "rs", "secondary": True}, ""),
        ({"setName": "rs", "secondary": True, "hidden": True}, ""),
        ({"setName": "rs", "isWritablePrimary": True}, ""),
        ({"isWritablePrimary": True}, ""),
    ],
)
def test_who_refuses_the_right_password(hello, words):
    said = client.describe_userless_state(hello)
    assert (words in said) if words else said == ""
