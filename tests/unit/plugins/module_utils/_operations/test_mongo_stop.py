# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import mongo_stop
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations.mongo_stop import (
    SetMember,
    judge_stops,
    set_name,
    stop_grace,
    stop_sentence,
)

FIRST = SetMember("shop_mongo", "mongo", "rs0", 10.0, "/opt/miniecom/docker-compose.yml")
SECOND = replace(FIRST, container="shop_mongo2", service="mongo2")


def test_each_member_of_a_set_of_two_is_a_finding_with_a_way_out() -> None:
    found = judge_stops([FIRST, SECOND], 1)
    assert [finding.target for finding in found] == ["shop_mongo", "shop_mongo2"]
    assert len({finding.id for finding in found}) == 2 and {finding.status for finding in found} == {"known"}
    assert "killed 10 s after" in found[0].message and "up to 18 s" in found[0].message
    assert found[0].remediation == (
        "Write stop_grace_period: 30s under the service mongo in /opt/miniecom/docker-compose.yml, and let compose make the"
        " container anew (docker compose up -d mongo). Until then stop it with docker stop -t 30 shop_mongo."
    )
    assert "shop_mongo, shop_mongo2" in stop_sentence(found) and stop_sentence([]) == ""


def test_a_member_whose_fellows_run_elsewhere_is_one_of_several() -> None:
    assert len(judge_stops([FIRST], 3)) == 1


def test_one_that_is_alone_stops_soon_enough() -> None:
    assert judge_stops([FIRST], 1) == judge_stops([FIRST], 0) == judge_stops([], 3) == []
    assert judge_stops([FIRST, replace(SECOND, replica_set="other")], 1) == []


@pytest.mark.parametrize(
    ("grace", "in_file", "short"),
    [
        (10.0, None, True),
        (18.0, None, True),
        (19.0, None, False),
        (30.0, None, False),
        (float("inf"), None, False),
        (10.0, 30.0, True),  # the container is older than the file
        (30.0, 10.0, True),  # the container that is made next
        (30.0, 60.0, False),
    ],
)
def test_engine_and_file_must_both_wait(grace: float, in_file: float | None, short: bool) -> None:
    found = judge_stops([replace(FIRST, grace=grace, file_grace=in_file)], 2)
    assert bool(found) == short
    if in_file == 30.0:
        assert "older than stop_grace_period" in found[0].remediation and "Write" not in found[0].remediation
    if in_file == 10.0:
        assert found[0].message.startswith("The container made next will be killed 10 s after")
        assert "anew" not in found[0].remediation


@given(
    st.floats(0, 100),
    st.none() | st.floats(0, 100),
    st.integers(0, 5),
    st.lists(st.sampled_from(["rs0", "rs1"]), max_size=3),
)
def test_a_finding_stands_for_a_real_kill(grace: float, in_file: float | None, hosts: int, others: list[str]) -> None:
    member = replace(FIRST, grace=grace, file_grace=in_file)
    calm = [replace(SECOND, container=f"c{n}", replica_set=name, grace=60.0) for n, name in enumerate(others)]
    found = judge_stops([member, *calm], hosts)
    several = hosts > 1 or "rs0" in others
    killed = grace < 18.1 or (in_file is not None and in_file < 18.1)
    assert [finding.target for finding in found] == (["shop_mongo"] if several and killed else [])


@pytest.mark.parametrize(("given_", "seconds"), [(None, 10.0), (0, 0.0), (30, 30.0), (-1, float("inf"))])
def test_what_the_engine_waits(given_: int | None, seconds: float) -> None:
    assert stop_grace({"Config": {} if given_ is None else {"StopTimeout": given_}}) == seconds
    assert stop_grace({}) == 10.0


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["docker-entrypoint.sh", "mongod", "--replSet", "rs0", "--bind_ip_all"], "rs0"),
        (["mongod", "--replSet=shop-set"], "shop-set"),
        (["sh", "-c", "exec mongod --bind_ip_all --replSet 'rs 1'"], "rs"),
        (["sh", "-c", 'mongod --replSet "rs1" && true'], "rs1"),
        (["mongod", "--replSet", "rs0/mongo2:27017"], "rs0"),
        (["docker-entrypoint.sh", "mongod"], ""),
        ([], ""),
    ],
)
def test_the_set_is_in_the_command(command: list[str], name: str) -> None:
    assert set_name({"Path": command[0] if command else "", "Args": command[1:]}) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("replication:\n  oplogSizeMB: 50\n  replSetName: rs0  # ours\n", "rs0"),
        ('replication: \n    replSetName: "rs-1"\n', "rs-1"),
        ("replication.replSetName: rs2\n", "rs2"),
        ("dbpath=/data\nreplSet = rs3\n", "rs3"),
        ("net:\n  port: 27017\n# replSetName: rs0\n", ""),
    ],
)
@pytest.mark.parametrize(
    "option", [["--config", "/etc/mongod.conf"], ["-f", "/etc/mongod.conf"], ["--config=/etc/mongod.conf"]]
)
def test_the_set_is_in_the_file_that_the_command_names(tmp_path: Path, text: str, name: str, option: list[str]) -> None:
    (tmp_path / "mongod.conf").write_text(text)
    mount = {"Type": "bind", "Source": str(tmp_path / "mongod.conf"), "Destination": "/etc/mongod.conf"}
    detail: dict[str, Any] = {"Path": "mongod", "Args": option, "Mounts": [mount]}
    assert set_name(detail) == name
    assert set_name({**detail, "Mounts": []}) == "", "a file that is in the image cannot be read"


def test_the_last_file_that_says_it_counts(tmp_path: Path) -> None:
    base, production = tmp_path / "docker-compose.yml", tmp_path / "docker-compose.prod.yml"
    base.write_text("services:\n  mongo:\n    stop_grace_period: 1m\n  other:\n    stop_grace_period: 5s\n")
    production.write_text("services:\n  mongo:\n    stop_grace_period: 12s\n")
    paths = [str(base), str(production), str(tmp_path / "gone.yml")]
    assert mongo_stop._periods(paths) == ({"mongo": 12.0, "other": 5.0}, {"mongo": paths[1], "other": paths[0]})
