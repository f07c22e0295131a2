# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.standin.api import maintenance, serve_on

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def setting(block: Any, **others: Any) -> dict[str, Any]:
    return {"key": "site", "type": "json", "value": json.dumps({"maintenance": block}), **others}


@pytest.mark.parametrize(
    ("enabled", "closed"),
    [
        (True, True),
        (False, False),
        ("false", True),
        ("true", True),
        ("", False),
        (0, False),
        (1, True),
        (None, False),
        ([], True),
    ],
)
def test_enabled_is_what_javascript_takes_for_true(enabled: Any, closed: bool) -> None:
    assert (maintenance(setting({"enabled": enabled}), "198.51.100.1") is not None) is closed


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {},
        {"key": "site", "type": "json"},
        {"key": "site", "type": "json", "value": "{"},
        {"key": "site", "type": "json", "value": "[1]"},
        {"key": "site", "type": "json", "value": '"text"'},
        {"key": "site", "type": "json", "value": {"maintenance": {"enabled": True}}},
        setting({"enabled": True}, type="string"),
        setting(True),
        setting([]),
    ],
)
def test_fails_open(broken: Any) -> None:
    assert maintenance(broken, "198.51.100.1") is None


def test_addresses_match_exactly() -> None:
    closed = setting({"enabled": True, "whitelistIps": ["203.0.113.7", "10.0.0.0/8"]})
    assert maintenance(closed, "203.0.113.7") is None
    for other in ("203.0.113.70", "203.0.113", "10.0.0.1", "::ffff:203.0.113.7"):
        assert maintenance(closed, other) is not None


@given(ANYTHING)
def test_never_breaks(value: Any) -> None:
    for document in (setting(value), {"type": "json", "value": value}, setting({"enabled": value, "message": value})):
        assert maintenance(document, "127.0.0.1") is None or isinstance(maintenance(document, "127.0.0.1"), str)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("::1", True),
        ("::ffff:192.0.2.7", False),
        ("2001:db8::1", False),
        ("192.0.2.7", False),
    ],
)
def test_a_sandbox_that_listens_on_all_addresses_turns_other_machines_away(address: str, local: bool) -> None:
    server = serve_on("127.0.0.1", 0)
    try:
        assert server.verify_request(None, (address, 40000)), "the shop itself turns nobody away"
        server.local_only = True
        assert server.verify_request(None, (address, 40000)) is local
    finally:
        server.server_close()
