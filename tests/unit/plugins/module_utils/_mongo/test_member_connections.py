# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import member_connections
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.member_connections import MemberConnections


def test_two_threads_that_ask_at_a_time_get_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that keeps the lease asks for members, too: none may be opened twice, of which one would stay open."""
    opened: list[Any] = []
    both = threading.Barrier(2)

    def open_address(address: str, _timeout: float, **_options: Any) -> Any:
        # Where both may open at a time, they meet here; else one waits in vain.
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        connection = SimpleNamespace(address=address, closed=0)
        connection.close = lambda: setattr(connection, "closed", connection.closed + 1)
        opened.append(connection)
        return connection

    monkeypatch.setattr(member_connections, "open_address", open_address)
    monkeypatch.setattr(member_connections, "resolve", lambda params, **_options: params["address"])
    monkeypatch.setattr(
        member_connections,
        "connect_member",
        lambda _params: SimpleNamespace(server=SimpleNamespace(name="a"), close=lambda: None),
    )
    connections = MemberConnections({})
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(connections.working("b"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got[0] is got[1] and len(opened) == 2, "one for looking, one for working"
    connections.close()
    assert [connection.closed for connection in opened] == [1, 1]
