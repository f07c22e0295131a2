# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.name_resolution import Redirection


def addresses(name: str, port: int) -> set[tuple[str, int]]:
    return {entry[4][:2] for entry in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)}  # type: ignore[misc]


def test_one_name_with_one_port_and_nothing_else() -> None:
    before = socket.getaddrinfo
    first = Redirection("mongo.invalid", 27017, "127.0.0.1")
    second = Redirection("mongo.invalid", 27018, "127.0.0.2")
    assert addresses("mongo.invalid", 27017) == {("127.0.0.1", 27017)}
    assert addresses("mongo.invalid", 27018) == {("127.0.0.2", 27018)}
    for name, port in (("mongo.invalid", 27019), ("other.invalid", 27017)):
        with pytest.raises(OSError):
            socket.getaddrinfo(name, port)
    assert addresses("127.0.0.3", 27017) == {("127.0.0.3", 27017)}
    first.close()
    first.close()
    with pytest.raises(OSError):
        socket.getaddrinfo("mongo.invalid", 27017)
    assert addresses("mongo.invalid", 27018) == {("127.0.0.2", 27018)}
    second.close()
    assert socket.getaddrinfo is before


def test_the_family_of_the_name_is_not_that_of_the_address() -> None:
    redirection = Redirection("localhost", 5, "::1")
    try:
        found = socket.getaddrinfo("localhost", 5, family=socket.AF_INET, type=socket.SOCK_STREAM)
    finally:
        redirection.close()
    assert {entry[0] for entry in found} == {socket.AF_INET6}
