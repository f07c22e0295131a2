# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, MissingLibrary
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.redaction import SECRETS
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import client

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@given(TEXTS, TEXTS, st.sampled_from(["", "?authSource=admin", "?useNewUrlParser=true&authSource=admin"]))
def test_any_escaped_password_comes_out_as_it_was(username, password, query):
    uri = "mongodb://%s:%s@mongo:27017/shop%s" % (quote(username, safe=""), quote(password, safe=""), query)
    address = client.resolve({"uri": uri, "address": "127.0.0.1:1234"})
    assert (address.username, address.password) == (username, password)
    assert (address.hosts, address.database, address.direct) == ((("127.0.0.1", 1234),), "shop", True)
    # What pymongo is given says the same.
    assert client.resolve({"uri": address.uri}).password == password


@given(st.text(min_size=0, max_size=30), st.sampled_from(["", "/shop", "/shop?authSource=admin", "?x=y"]))
def test_no_connection_string_shows_its_password(junk, tail):
    """Whatever stands there, well-formed or not: an error is ours, and quotes nothing of it."""
    uri = "mongodb://root:cAnaryOne%scAnaryTwo@host%s" % (junk, tail)
    try:
        address = client.resolve({"uri": uri})
    except MaintenanceError as error:
        assert "cAnary" not in str(error) and error.next_step
    else:
        assert "cAnary" not in repr(address) + address.where + address.database


@pytest.mark.parametrize(
    ("uri", "direct"),
    [
        ("mongodb://h/shop", True),
        ("mongodb://h/shop?replicaSet=rs0", False),
        ("mongodb://h,i/shop", False),
        ("mongodb://h/shop?directConnection=false", False),
        ("mongodb://h/shop?directConnection=true", False),
    ],
)
def test_one_host_without_a_set_is_connected_to_directly(uri, direct):
    assert client.resolve({"uri": uri}).direct is direct


def test_srv_with_an_address_keeps_tls():
    address = client.resolve({"uri": "mongodb+srv://u:p@shop.example.com/shop", "address": "h:1"})
    assert address.uri.startswith("mongodb://") and address.options["tls"] is True
    assert (
        client.resolve({"uri": "mongodb+srv://u:p@s.example.com/shop?tls=false", "address": "h:1"}).options["tls"]
        is False
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h", ("h", 27017)),
        ("h:1", ("h", 1)),
        ("[::1]:5", ("::1", 5)),
        ("[fe80::1]", ("fe80::1", 27017)),
        (" h:2 ", ("h", 2)),
    ],
)
def test_addresses(text, expected):
    assert client.parse_host(text) == expected


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


def test_short_passwords_do_not_become_asterisks_everywhere():
    client.resolve({"uri": "mongodb://root:app@h/shop"})
    assert SECRETS.clean_text("/opt/app/file") == "/opt/app/file"


def test_missing_library_names_the_package(monkeypatch):
    monkeypatch.setattr(client, "IMPORT_ERROR", "No module named 'pymongo'")
    with pytest.raises(MissingLibrary, match="pymongo"):
        client.connect({"uri": "mongodb://h/shop"})


def test_error_text_quotes_no_command_and_no_document():
    from pymongo.errors import OperationFailure

    texts = (
        'not authorized on shop to execute command { delete: "orders", deletes: [ { q: { mail: "anna" } } ] }',
        'E11000 duplicate key error collection: shop.users index: mail_1 dup key: { mail: "anna" }',
    )
    for text in texts:
        error = client.translate(OperationFailure(text, 13, {"errmsg": text, "code": 13}), "cannot", "shop.orders")
        assert "anna" not in str(error) and "shop" in str(error)
