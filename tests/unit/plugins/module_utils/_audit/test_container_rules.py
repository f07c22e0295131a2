# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How containers are configured, and what compose files declare against what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.container_rules import (
    CONTAINER_RULES,
    Bind,
    ContainerFacts,
    judge_containers,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.declared_ports import (
    DeclaredPort,
    PublishedPort,
    ServicePorts,
    judge_declared,
    parse_declared,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import fingerprint
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.compose_file import borrows, service_ports


def broken(**facts: Any) -> list[str]:
    return [item.rule for item in judge_containers([ContainerFacts("c", "api", "mongo:7", **facts)])]


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"privileged": True}, "container-privileged"),
        ({"binds": (Bind("/var/run/docker.sock", "/s", False),)}, "docker-socket-mounted"),
        ({"binds": (Bind("/run", "/host/run", False),)}, "docker-socket-mounted"),
        ({"binds": (Bind("/etc", "/host/etc", True),)}, "host-directory-mounted"),
        ({"network": "host"}, "host-network"),
        ({"pid": "host"}, "host-processes"),
        ({"ipc": "host"}, "host-memory"),
        ({"capabilities": ("CAP_SYS_ADMIN",)}, "container-capabilities"),
        ({"root": True}, "container-runs-as-root"),
        ({"healthcheck": False}, "no-healthcheck"),
        ({"unlimited_log": True}, "no-log-limit"),
        ({"secrets": ("JWT_SECRET",)}, "secret-in-environment"),
        ({"baked": ("JWT_SECRET",)}, "secret-in-image"),
        ({"in_layer": ("uploads (/app/uploads)",)}, "data-in-container"),
        ({}, None),
        ({"binds": (Bind("/etc", "/host/etc", False), Bind("/etc/localtime", "/etc/localtime", True))}, None),
        ({"binds": (Bind("/srv/shop", "/app", True),)}, None),
        ({"capabilities": ("NET_BIND_SERVICE", "CHOWN")}, None),
        ({"capabilities": ("SYS_ADMIN",), "privileged": True}, "container-privileged"),
        ({"root": None, "ipc": "private", "network": "shop_default"}, None),
    ],
)
def test_each_rule(facts: dict[str, Any], rule: str | None) -> None:
    assert broken(**facts) == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("image", "built", "expected"),
    [
        ("mongo", False, True),
        ("mongo:latest", False, True),
        ("registry:5000/mongo", False, True),
        ("mongo:7", False, False),
        ("mongo:latest", True, False),
        ("mongo@sha256:" + "a" * 64, False, False),
        ("sha256:" + "a" * 64, False, False),
        ("", False, False),
    ],
)
def test_a_tag_that_moves(image: str, built: bool, expected: bool) -> None:
    assert bool(judge_containers([ContainerFacts("c", "", image, built)])) is expected


# What the recommendation of this number in CIS Docker Benchmark 1.6.0 is about, in words of ours.
BENCHMARK = {
    "4.1": "containers have a user of their own",
    "4.10": "no secrets in Dockerfiles",
    "5.4": "capabilities of the kernel are restricted",
    "5.5": "no privileged containers",
    "5.6": "no sensitive directories of the host are mounted",
    "5.10": "the host's network namespace is not shared",
    "5.16": "the host's process namespace is not shared",
    "5.17": "the host's IPC namespace is not shared",
    "5.27": "the health of containers is checked as they run",
    "5.32": "Docker's socket is not mounted in a container",
}
MEANT = {
    "container-runs-as-root": "4.1",
    "secret-in-image": "4.10",
    "container-capabilities": "5.4",
    "container-privileged": "5.5",
    "host-directory-mounted": "5.6",
    "host-network": "5.10",
    "host-processes": "5.16",
    "host-memory": "5.17",
    "no-healthcheck": "5.27",
    "docker-socket-mounted": "5.32",
}


def test_each_number_is_that_of_its_matter() -> None:
    assert {rule.id: rule.cis for rule in CONTAINER_RULES if rule.cis} == MEANT
    assert sorted(MEANT.values()) == sorted(BENCHMARK)
    version = "CIS Docker Benchmark 1.6.0"
    [finding] = judge_containers([ContainerFacts("c", "api", "x:1", network="host")])
    assert finding.message.endswith("(%s, 5.10)" % version)
    root = Path(__file__).resolve().parents[5]
    assert version in (root / "plugins/modules/port_audit.py").read_text(encoding="utf-8")


def test_numbers_of_the_benchmark_are_told_where_it_has_one() -> None:
    [finding] = judge_containers([ContainerFacts("c", "api", "x:1", privileged=True)])
    assert "CIS Docker Benchmark 1.6.0, 5.5" in finding.message and "service api" in finding.remediation
    assert len({rule.id for rule in CONTAINER_RULES}) == len(CONTAINER_RULES)
    for rule in CONTAINER_RULES:
        assert "%s" in rule.remediation, rule.id


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"capabilities": ("NET_ADMIN",)}, {"capabilities": ("NET_ADMIN", "ALL")}),
        ({"binds": (Bind("/boot", "/b", True),)}, {"binds": (Bind("/boot", "/b", True), Bind("/root", "/h", True))}),
        ({"baked": ("JWT_SECRET",)}, {"baked": ("JWT_SECRET", "SMTP_PASS")}),
        ({"in_layer": ("labels (/l)",)}, {"in_layer": ("labels (/l)", "the database (/data/db)")}),
    ],
)
def test_what_comes_to_something_known_is_a_finding_of_its_own(before: dict[str, Any], after: dict[str, Any]) -> None:
    """A waiver for one capability says nothing of the next."""
    known, now = (
        {fingerprint(b"k", item) for item in judge_containers([ContainerFacts("c", "api", "mongo:7", **facts)])}
        for facts in (before, after)
    )
    assert len(known) == 1 and known < now and len(now) == 2


def test_names_of_variables_that_come_and_go_are_one_finding() -> None:
    one, two = (
        judge_containers([ContainerFacts("c", "api", "mongo:7", secrets=names)]) for names in (("A",), ("A", "B"))
    )
    assert [fingerprint(b"k", item) for item in one] == [fingerprint(b"k", item) for item in two]


# -- declared ports ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3001:3001", [(3001, 3001, "tcp")]),
        ("127.0.0.1:3001:3000/tcp", [(3001, 3000, "tcp")]),
        ("[::1]:3001:3000", [(3001, 3000, "tcp")]),
        ("53:53/udp", [(53, 53, "udp")]),
        ("3000", [(0, 3000, "tcp")]),
        ("127.0.0.1::3000", [(0, 3000, "tcp")]),
        ("8000-8001:80-81", [(8000, 80, "tcp"), (8001, 81, "tcp")]),
        ("", None),
        (":", None),
        ("a:b", None),
        ("9-8:1-2", None),
        ("8000-8002:80-81", None),
    ],
)
def test_a_declared_port_is_read(text: str, expected: list[Any] | None) -> None:
    found = parse_declared(text)
    assert (None if found is None else [(one.published, one.target, one.proto) for one in found]) == expected


@given(st.text(alphabet="0123456789:-/[].tcpud", max_size=25))
def test_any_text_is_a_port_or_none(text: str) -> None:
    for port in parse_declared(text) or []:
        assert 0 <= port.published <= 65535 and 0 <= port.target <= 65535


FILE = """\
services:
  api:
    image: x
    ports:
      - "${API_PORT:-3001}:3001"  # the shop
      - target: 9229
        published: "9229"
        host_ip: 127.0.0.1
        protocol: tcp
        mode: host
      - target: 80
    labels: {a: b}
  web:
    ports: ["80:80", '443:443']
  worker:
    <<: *api
  none:
    image: y
"""


def test_ports_of_a_compose_file() -> None:
    assert service_ports(FILE, "api") == ["${API_PORT:-3001}:3001", "127.0.0.1:9229:9229/tcp", "80/tcp"]
    assert service_ports(FILE, "web") == ["80:80", "443:443"]
    assert service_ports(FILE, "none") == service_ports(FILE, "worker") == []
    assert borrows(FILE, "worker") and not borrows(FILE, "api")


API = DeclaredPort(3001, 3001)


def judged(**service: Any) -> list[tuple[str, str]]:
    base: dict[str, Any] = {"file": "/srv/c.yml", "declared": (API,), "containers": ("api",)}
    return [(item.rule, item.target) for item in judge_declared([ServicePorts("api", **{**base, **service})])]


def test_declared_and_there() -> None:
    assert judged(published=(PublishedPort(3001, 3001, "tcp", True),)) == []
    assert judged(published=(PublishedPort(3001, 3001, "tcp", None),)) == []
    chosen = DeclaredPort(0, 3001)
    assert judged(declared=(chosen,), published=(PublishedPort(32768, 3001, "tcp", True),)) == []


def test_declared_and_not_there() -> None:
    missing = [("declared-port-not-published", "service api 3001/tcp")]
    assert judged() == missing
    assert judged(containers=()) == missing
    assert judged(containers=(), wanted=False) == [], "behind a profile that nobody chose"
    assert judged(declared=None) == [], "what cannot be told is not guessed"


def test_there_and_not_declared() -> None:
    there = (PublishedPort(3001, 3001, "tcp", True), PublishedPort(9229, 9229, "tcp", True))
    assert judged(published=there) == [("published-port-not-declared", "service api 9229/tcp")]
    assert judged(published=there, declared=None) == []


def test_published_and_unanswered() -> None:
    assert judged(published=(PublishedPort(3001, 3001, "tcp", False),)) == [
        ("published-port-unanswered", "service api 3001/tcp")
    ]
