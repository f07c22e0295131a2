# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What maintenance_flag_info sees of a shop whose health endpoint says that all is well: locks, members, certificates."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pymongo
import pytest

from tests.sandbox.mongod import Mongod, free_port
from tests.sandbox.nginx import Nginx
from tests.support.certificates import make_dated
from tests.support.modules import run_module
from tests.support.replica import hello, two_members, wait_for


def look(tmp_path: Path, **params: Any) -> dict[str, Any]:
    result = run_module("maintenance_flag_info", {"path": tmp_path / "flag", "state_dir": tmp_path / "state", **params})
    assert not result.failed and not result.changed, result.msg
    return result.result


def test_a_lock_that_was_left_is_seen_while_writers_wait(mongod: Mongod, mongo_database: str, tmp_path: Path) -> None:
    setting = {"application_setting": {"uri": mongod.uri_for(mongo_database)}}
    with mongod.client() as client:
        client[mongo_database].settings.insert_one({"key": "site"})
        assert look(tmp_path, **setting)["mongo"] == {
            "locked": False,
            "locked_by": "",
            "state": "primary",
            "members": [],
            "problems": [],
            "notes": [],
        }
        client.admin.command("fsync", lock=True)
        # Somebody orders something meanwhile, and waits: that must keep nobody from looking.
        writer = threading.Thread(target=lambda: client[mongo_database].orders.insert_one({"n": 1}))
        writer.start()
        try:
            wait_for(lambda: any(entry.get("waitingForLock") for entry in client.admin.aggregate([{"$currentOp": {}}])))
            seen = look(tmp_path, **setting)
        finally:
            client.admin.command("fsyncUnlock")
            writer.join()
    assert seen["mongo"]["locked_by"] == "somebody else"
    assert "db.fsyncUnlock()" in seen["summary"]["headline"]


def test_a_member_that_recovers_is_named(tmp_path: Path, mongod_version: str) -> None:
    with two_members(tmp_path, mongod_version, priority=0, votes=0) as (primary, secondary):
        with primary.client() as client:
            client.shop.settings.insert_one({"key": "site"})
        direct = f"mongodb://{secondary.address}/shop?directConnection=true"
        with pymongo.MongoClient(direct) as client:
            client.admin.command("replSetMaintenance", True)
        wait_for(lambda: not hello(secondary).get("secondary"))

        def problems(uri: str) -> list[str]:
            return list(look(tmp_path, application_setting={"uri": uri}).get("mongo", {}).get("problems", []))

        wanted = [f"the member {secondary.address} of the replica set is RECOVERING"]
        # The primary hears of it with the next heartbeat.
        wait_for(lambda: problems(f"mongodb://{primary.address}/shop?replicaSet=rs0") == wanted)


SITE = """
server {{
    listen 127.0.0.1:{port} ssl;
    server_name {name};
    ssl_certificate {pem}; ssl_certificate_key {pem};
    location / {{ proxy_pass http://127.0.0.1:{api}; }}
}}
"""


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Certificates of 90 days by how many of them are left."""
    now = datetime.now(timezone.utc)
    made = {}
    for left in (60, 5, -1):
        ends = now + timedelta(left, 3600)
        moments = [moment.strftime("%Y%m%d%H%M%SZ") for moment in (ends - timedelta(90), ends)]
        made[left] = make_dated(tmp_path_factory.mktemp("certificates"), "shop.example", *moments)
    return made


def test_the_certificate_that_nginx_shows_counts_and_not_its_file(days: dict[int, Path], tmp_path: Path) -> None:
    api, port, other = free_port(), free_port(), free_port()
    nginx = Nginx(tmp_path / "nginx", api)
    loaded = tmp_path / "shop.pem"
    loaded.write_bytes(days[5].read_bytes())
    nginx.port = port
    nginx.site.write_text(
        SITE.format(port=port, name="www.shop.example", pem=loaded, api=api)
        # One that is not the shop's may end when it likes.
        + SITE.format(port=other, name="other.example", pem=days[-1], api=other)
    )
    wanted = {"ports": [api, 0], "nginx_config": str(nginx.config), "root": str(tmp_path / "shop")}

    def certificates(**more: Any) -> tuple[dict[str, Any], list[str]]:
        found = look(tmp_path, certificates={**wanted, **more})
        return {entry["place"]: entry for entry in found["certificates"]}, list(found["certificate_problems"])

    # Not started, its files are looked at.
    found, problems = certificates()
    assert list(found) == [str(loaded)] and found[str(loaded)]["source"] == "file" and len(problems) == 1
    nginx.start()
    try:
        # Renewed, and nobody had nginx load it.
        loaded.write_bytes(days[60].read_bytes())
        found, problems = certificates()
        place = f"www.shop.example:{port}"
        assert list(found) == [place] and found[place]["days_left"] == 5 and found[place]["source"] == "served"
        assert len(problems) == 1 and place in problems[0] and "ends in 5 d" in problems[0]
        assert certificates(within="3d")[1] == []
        nginx.run("-s", "reload")
        wait_for(lambda: certificates()[1] == [])
        # What a container publishes is asked for by the names of the shop's own configuration.
        conf = tmp_path / "shop/nginx/conf.d/default.conf"
        conf.parent.mkdir(parents=True)
        conf.write_text(SITE.format(port=443, name="other.example", pem="/etc/nginx/ssl/x.pem", api=3001))
        found, problems = certificates(ports=[], published=[f"[0.0.0.0]:{other}", f"[::]:{free_port()}"])
        assert list(found) == [f"other.example:{other}"] and "has ended" in problems[0]
        # A place that somebody has named is expected to be there.
        found, problems = certificates(ports=[], places=[str(days[-1]), f"127.0.0.1:{free_port()}"])
        assert len(problems) == 2 and "nothing listens there" in problems[1]
    finally:
        nginx.stop()
