# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.redaction import SECRETS
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import address

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@given(TEXTS, TEXTS, st.sampled_from(["", "?authSource=admin", "?useNewUrlParser=true&authSource=admin"]))
def test_any_escaped_password_comes_out_as_it_was(username, password, query):
    uri = "mongodb://%s:%s@mongo:27017/shop%s" % (quote(username, safe=""), quote(password, safe=""), query)
    found = address.resolve({"uri": uri, "address": "127.0.0.1:1234"})
    assert (found.username, found.password) == (username, password)
    assert (found.hosts, found.database, found.direct) == ((("127.0.0.1", 1234),), "shop", True)
    # What pymongo is given says the same.
    assert address.resolve({"uri": found.uri}).password == password


@given(st.text(min_size=0, max_size=30), st.sampled_from(["", "/shop", "/shop?authSource=admin", "?x=y"]))
def test_no_connection_string_shows_its_password(junk, tail):
    """Whatever stands there, well-formed or not: an error is ours, and quotes nothing of it."""
    uri = "mongodb://root:cAnaryOne%scAnaryTwo@host%s" % (junk, tail)
    try:
        found = address.resolve({"uri": uri})
    except MaintenanceError as error:
        assert "cAnary" not in str(error) and error.next_step
    else:
        assert "cAnary" not in repr(found) + found.where + found.database


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
    assert address.resolve({"uri": uri}).direct is direct


def test_srv_with_an_address_keeps_tls():
    found = address.resolve({"uri": "mongodb+srv://u:p@shop.example.com/shop", "address": "h:1"})
    assert found.uri.startswith("mongodb://") and found.options["tls"] is True
    assert (
        address.resolve({"uri": "mongodb+srv://u:p@s.example.com/shop?tls=false", "address": "h:1"}).options["tls"]
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
    assert address.parse_host(text) == expected


def test_short_passwords_do_not_become_asterisks_everywhere():
    address.resolve({"uri": "mongodb://root:app@h/shop"})
    assert SECRETS.clean_text("/opt/app/file") == "/opt/app/file"
