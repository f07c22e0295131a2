# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for the shop behaves as the shop does, on a real mongod with authentication."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.native import Native

MESSAGE = "Back in an hour"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    # A path with a space: everything has to stand it.
    sandbox = Native(tmp_path_factory.mktemp("sand box") / "native", megabytes=1)
    sandbox.up()
    yield sandbox
    sandbox.down()


@pytest.fixture
def settings(shop: Native) -> Iterator[Any]:
    """The collection of the application's settings, put back afterwards."""
    import pymongo

    # The application's own connection string: it has to be right in spite of its password.
    with pymongo.MongoClient(shop.env["MONGODB_URI"]) as client:
        collection = client.get_default_database().settings
        before = collection.find_one({"key": "site"})
        yield collection
        collection.delete_many({"key": "site"})
        collection.insert_one(before)


def ask(
    shop: Native, path: str, method: str = "GET", body: bytes | None = None, timeout: float = 60
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", shop.ports["api"], timeout=timeout)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def set_maintenance(settings: Any, block: Any, **others: Any) -> None:
    settings.update_one({"key": "site"}, {"$set": {"value": json.dumps({"maintenance": block, "seo": 1}), **others}})


def test_health_tells_of_the_database(shop: Native) -> None:
    status, _, body = ask(shop, "/api/health")
    answer = json.loads(body)
    assert status == 200
    assert (answer["status"], answer["mongoConnected"]) == ("ok", True)
    assert answer["timestamp"].endswith("Z")


def test_unknown_paths(shop: Native) -> None:
    assert ask(shop, "/api/nothing")[0] == 401
    assert ask(shop, "/api/admin/login", "POST", b"{}")[0] == 401
    assert ask(shop, "/nothing")[0] == 404


def test_products_come_from_the_database(shop: Native) -> None:
    status, _, body = ask(shop, "/api/products")
    assert status == 200
    assert json.loads(body)["products"][0]["name"].startswith("Handmade bowl")


def test_frontend_serves_a_page(shop: Native) -> None:
    address = f"http://127.0.0.1:{shop.ports['frontend']}"
    with urllib.request.urlopen(f"{address}/any/path") as answer:
        assert b"Handmade Harmony" in answer.read()
    with urllib.request.urlopen(f"{address}/health") as answer:
        assert answer.read() == b"healthy\n"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/health"),
        ("POST", "/api/payments/razorpay/webhook"),
        ("GET", "/api/nothing"),
        ("GET", "/"),
        ("PUT", "/x"),
    ],
)
def test_maintenance_comes_before_everything(shop: Native, settings: Any, method: str, path: str) -> None:
    set_maintenance(settings, {"enabled": True, "message": MESSAGE, "whitelistIps": ["203.0.113.7"]})
    status, headers, body = ask(shop, path, method, b"{}" if method != "GET" else None)
    answer = json.loads(body)
    assert status == 503
    assert answer["ok"] is False
    assert answer["maintenance"] is True
    assert answer["message"] == MESSAGE
    assert answer["error"]
    assert "retry-after" not in headers


def test_maintenance_is_read_at_each_request(shop: Native, settings: Any) -> None:
    for enabled, status in ((True, 503), (False, 200), ("false", 503), ("", 200)):
        set_maintenance(settings, {"enabled": enabled})
        assert ask(shop, "/api/health")[0] == status


def test_allowed_addresses_are_served(shop: Native, settings: Any) -> None:
    set_maintenance(settings, {"enabled": True, "whitelistIps": ["127.0.0.1"]})
    assert ask(shop, "/api/health")[0] == 503, "it sees the visitor as ::ffff:127.0.0.1"
    set_maintenance(settings, {"enabled": True, "whitelistIps": ["::ffff:127.0.0.1"]})
    assert ask(shop, "/api/health")[0] == 200


def test_fails_open(shop: Native, settings: Any) -> None:
    block = json.dumps({"maintenance": {"enabled": True}})
    for broken in ({"value": "{not json"}, {"type": "string"}, {"value": {"maintenance": {"enabled": True}}}):
        settings.update_one({"key": "site"}, {"$set": {"value": block, "type": "json", **broken}})
        assert ask(shop, "/api/health")[0] == 200, broken
    settings.update_one({"key": "site"}, {"$set": {"value": block, "type": "json"}})
    assert ask(shop, "/api/health")[0] == 503
    settings.delete_one({"key": "site"})
    assert ask(shop, "/api/health")[0] == 200


def test_look_alike_of_another_key_is_not_read(shop: Native, settings: Any) -> None:
    other = settings.find_one({"key": "platform"})
    assert json.loads(other["value"])["maintenance"]["enabled"] is True
    assert ask(shop, "/api/health")[0] == 200


def test_health_without_its_database(shop: Native, settings: Any) -> None:
    """It is still 200 and "ok", but late, and maintenance is off whatever the settings said."""
    set_maintenance(settings, {"enabled": True})
    daemon = shop._daemon("mongod")
    assert daemon is not None
    daemon.end()
    try:
        # How slow it is belongs to how it behaves: whoever asks with a shorter timeout takes the shop for dead.
        with pytest.raises(TimeoutError):
            ask(shop, "/api/health", timeout=8)
        status, _, body = ask(shop, "/api/health")
        assert status == 200
        answer = json.loads(body)
        assert (answer["status"], answer["mongoConnected"]) == ("ok", False)
    finally:
        shop._start_mongod()
    assert ask(shop, "/api/health")[0] == 503
    set_maintenance(settings, {"enabled": False})
    assert json.loads(ask(shop, "/api/health")[2])["mongoConnected"] is True


def test_no_secret_in_output_and_command_lines(shop: Native) -> None:
    passwords = {shop.env["MONGO_ROOT_PASSWORD"], shop.env["MONGODB_URI"].partition("root:")[2].partition("@")[0]}
    texts = [path.read_text(errors="replace") for path in (shop.directory / "log").iterdir()]
    texts += [(shop.directory / name).read_text(errors="replace") for name in ("sandbox.json", "mongo/mongod.log")]
    texts += [Path(f"/proc/{pid}/cmdline").read_text() for pid in shop.facts["pids"].values()]
    for text in texts:
        assert not any(password in text for password in passwords)
