# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which reachable ports are findings, and how bad."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.port_rules import (
    DOCKER_SCOPE,
    HOST_SCOPE,
    Port,
    judge_ports,
    merge_ports,
    parse_allow,
    proxied_port,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError


def judged(port: Port, *allow: str) -> tuple[str, str] | None:
    found, _fine = judge_ports(
        merge_ports([] if port.container else [port], [port] if port.container else []), parse_allow(allow)
    )
    return (found[0].rule, found[0].severity) if found else None


def host(address: str, port: int, program: str = "x", proto: str = "tcp") -> Port:
    return Port(proto, address, port, program)


def published(address: str, port: int, private: int, container: str = "c", watched: bool = True) -> Port:
    return Port("tcp", address, port, container=container, private_port=private, watched=watched)


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (host("127.0.0.1", 27017, "mongod"), None),
        (host("127.8.9.1", 27017, "mongod"), None),
        (host("::1", 27017, "mongod"), None),
        (host("0.0.0.0", 27017, "mongod"), ("mongodb-exposed", "critical")),
        (host("::", 40000, "mongod"), ("mongodb-exposed", "critical")),
        (host("10.0.0.5", 27017, "mongod"), ("mongodb-exposed", "critical")),
        (host("0.0.0.0", 27017, ""), ("mongodb-exposed", "critical")),
        (host("0.0.0.0", 27017, "node"), ("port-not-allowed", "medium")),
        (host("0.0.0.0", 2375, "dockerd"), ("docker-api-exposed", "critical")),
        (host("0.0.0.0", 9229, "node"), ("debugger-exposed", "high")),
        (host("0.0.0.0", 6379, "redis-server"), ("datastore-exposed", "critical")),
        (host("0.0.0.0", 3001, "node"), ("port-not-allowed", "medium")),
        (host("0.0.0.0", 68, "dhclient", "udp"), ("port-not-allowed", "low")),
        (published("0.0.0.0", 27017, 27017), ("mongodb-exposed", "critical")),
        (published("0.0.0.0", 12345, 27017), ("mongodb-exposed", "critical")),
        (published("127.0.0.1", 27017, 27017), None),
        (published("0.0.0.0", 8081, 8081, "miniecom_mongo-express_1"), ("database-ui-exposed", "critical")),
        (published("0.0.0.0", 3001, 3001), ("published-port-not-allowed", "high")),
        (published("0.0.0.0", 3001, 3001, "other", False), None),
        (published("0.0.0.0", 6379, 6379, "other", False), ("datastore-exposed", "critical")),
        # What is critical counts whoever publishes it.
        (published("0.0.0.0", 27017, 27017, "other", False), ("mongodb-exposed", "critical")),
        (host("0.0.0.0", 27017, "docker-proxy"), ("mongodb-exposed", "critical")),
        (host("0.0.0.0", 27018, "rootlessport"), ("mongodb-exposed", "critical")),
        (Port("tcp", "0.0.0.0", 41017, "docker-proxy", private_port=27017), ("mongodb-exposed", "critical")),
        (Port("tcp", "0.0.0.0", 27017, "docker-proxy", private_port=80), ("port-not-allowed", "medium")),
        (host("0.0.0.0", 3001, "docker-proxy"), ("port-not-allowed", "medium")),
        (
            replace(published("0.0.0.0", 80, 8081, "shop_ui"), image_and_service=("mongo-express:1", "")),
            ("database-ui-exposed", "critical"),
        ),
        (
            replace(published("0.0.0.0", 80, 8081, "ui", False), image_and_service=("sha256:1", "adminer")),
            ("database-ui-exposed", "critical"),
        ),
    ],
)
def test_severity(port: Port, expected: tuple[str, str] | None) -> None:
    assert judged(port) == expected


@pytest.mark.parametrize(
    ("entry", "covered", "not_covered"),
    [
        ("443", host("0.0.0.0", 443), host("0.0.0.0", 444)),
        ("443/tcp", host("::", 443), host("::", 443, proto="udp")),
        ("10.0.0.5:27017/tcp", host("10.0.0.5", 27017, "mongod"), host("0.0.0.0", 27017, "mongod")),
        ("10.0.0.0/8:9100", host("10.3.2.1", 9100), host("0.0.0.0", 9100)),
        ("[fd00::1]:*", host("fd00::1", 5), host("fd00::2", 5)),
        ("[fd00::/8]:9100/tcp", host("fd12::1", 9100), host("2001:db8::1", 9100)),
        ("0.0.0.0:3001", host("::", 3001), host("10.0.0.1", 3001)),
        ("*:3001", host("0.0.0.0", 3001), host("0.0.0.0", 3002)),
        ("sshd", host("0.0.0.0", 22, "sshd"), host("0.0.0.0", 22, "nc")),
        ("miniecom_api", published("0.0.0.0", 3001, 3001, "miniecom_api"), published("0.0.0.0", 3001, 3001, "other")),
    ],
)
def test_allow(entry: str, covered: Port, not_covered: Port) -> None:
    assert judged(covered, entry) is None
    assert judged(not_covered, entry) is not None


@pytest.mark.parametrize("entry", ["", "70000", "1.2.3:4", "a b", "443/sctp", "300.1.1.1:5", "*", "10.0.0.0/99:1"])
def test_a_mistake_in_allow_is_told(entry: str) -> None:
    with pytest.raises(MaintenanceError, match="not a port, address or program"):
        parse_allow([entry])


@pytest.mark.parametrize(
    ("command", "port"),
    [
        (
            "docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 41017 -container-ip 172.17.0.2 -container-port 27017",
            27017,
        ),
        ("docker-proxy --container-port 27017 -use-listen-fd", 27017),
        ("docker-proxy -container-port", 0),
        ("docker-proxy -container-port x", 0),
        ("rootlessport", 0),
    ],
)
def test_a_proxy_says_where_it_hands_on_to(command: str, port: int) -> None:
    assert proxied_port(command.split()) == port


def test_no_entry_breaks_the_parser() -> None:
    """Text alone is hardly ever an entry: mostly it is made of what entries are made of."""
    reached: Counter[bool] = Counter()
    address = st.sampled_from(
        ["", "*:", "10.0.0.5:", "10.0.0.0/8:", "300.1.1.1:", "[::1]:", "[fd00::/8]:", "[::", "0.0.0.0:"]
    )
    port = st.integers(0, 70000).map(str) | st.sampled_from(["*", "", "sshd", "-1"])
    entries = st.tuples(address, port, st.sampled_from(["", "/tcp", "/udp", "/sctp"])).map("".join)

    @given(entries | st.text(max_size=20), st.sampled_from([host("10.0.0.5", 443), host("::1", 53, proto="udp")]))
    def property_of_an_entry(entry: str, port: Port) -> None:
        try:
            [allowed] = parse_allow([entry])
        except MaintenanceError as error:
            assert repr(entry) in str(error)
            reached[False] += 1
        else:
            assert isinstance(allowed.covers(port), bool)
            reached[True] += 1

    property_of_an_entry()
    assert min(reached[True], reached[False]) > 10, reached


def test_a_published_port_and_its_proxy_are_one_thing() -> None:
    sockets = [host("0.0.0.0", 3001, "docker-proxy"), host("::", 3001, "docker-proxy"), host("0.0.0.0", 22, "sshd")]
    ports = merge_ports(sockets, [published("0.0.0.0", 3001, 3001, "api"), published("::", 3001, 3001, "api")])
    assert [(port.address, port.port, port.who) for port in ports] == [("*", 22, "sshd"), ("*", 3001, "container api")]
    assert merge_ports([host("0.0.0.0", 3001, "nc")], []) == [Port("tcp", "*", 3001, "nc")]


def test_published_ports_have_a_scope_of_their_own() -> None:
    found, _fine = judge_ports([published("*", 3001, 3001), host("*", 99)], [])
    assert {item.scope for item in found} == {DOCKER_SCOPE, HOST_SCOPE}


def test_another_program_on_the_same_port_is_another_finding() -> None:
    one, two = (judge_ports([host("*", 99, name)], [])[0][0] for name in ("a", "b"))
    assert one.target == two.target == "*:99/tcp" and one.subject != two.subject


def test_an_exposed_database_with_a_password_that_everybody_tries_is_told_together() -> None:
    told = "its password is a default that everybody tries (MONGO_URI in /srv/.env)"
    ports = [
        published("0.0.0.0", 27017, 27017),
        published("0.0.0.0", 27018, 27017, "other", False),
        host("127.0.0.1", 1),
    ]
    found, _fine = judge_ports(ports, [], told)
    assert [(item.rule, item.severity) for item in found] == [
        ("mongodb-exposed-default-credentials", "critical"),
        ("mongodb-exposed", "critical"),
    ]
    assert told in found[0].message and "reachable" in found[0].message, (
        "and nothing is known of another project's password"
    )
    assert judge_ports(ports[:1], [], "")[0][0].rule == "mongodb-exposed"
