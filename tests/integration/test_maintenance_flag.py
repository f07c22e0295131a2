# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.removals import read_removals
from tests.sandbox.mongod import Mongod
from tests.sandbox.standin import api
from tests.support.extent import sampled
from tests.support.kill import kill_at_every_change
from tests.support.modules import ModuleResult, run_module

# Other settings in the same text, with spellings that a parser and writer would change.
OTHERS = '"currency": "INR", "rate": 1.0e2, "smtp": {"pass": "canary-in-the-settings"}, "t": "\\u00e9"'
BLOCK = '{"enabled": false, "message": "Back soon", "whitelistIps": ["198.51.100.1"]}'
TEXT = '{ %s, "maintenance": %s }' % (OTHERS, BLOCK)
CANARIES = ("canary-in-the-settings",)


@dataclass
class Shop:
    """A shop's flag and settings, and calls of the modules on it."""

    mongod: Mongod
    database: str
    flag: Path
    state_dir: Path
    outputs: list[str] = field(default_factory=list)

    @property
    def setting(self) -> dict[str, Any]:
        return {"uri": self.mongod.uri_for(self.database), "message": "Closed", "allow_ips": ["203.0.113.7"]}

    def call(self, module: str = "maintenance_flag", **params: Any) -> ModuleResult:
        options = {key: params.pop(key) for key in ("check", "diff", "kill_at") if key in params}
        params = {"path": self.flag, "state_dir": self.state_dir, **params}
        if module == "maintenance_flag":
            params.setdefault("owner", "ops")
            params.setdefault("timer", "none")  # nothing of this machine
        if "application_setting" not in params:
            wanted = self.setting
            if module == "maintenance_flag_info":
                wanted = {"uri": wanted["uri"]}
            params["application_setting"] = wanted
        if params["application_setting"] is None:
            del params["application_setting"]
        result = run_module(module, params, **options)
        self.outputs.append(result.output)
        return result

    def info(self, **params: Any) -> dict[str, Any]:
        result = self.call("maintenance_flag_info", **params)
        assert not result.failed, result.msg
        return result.result

    def text(self) -> str | None:
        with self.mongod.client() as client:
            found = client[self.database].settings.find_one({"key": "site"})
        return None if found is None else found["value"]

    def closed(self) -> bool:
        """What the application makes of its setting."""
        with self.mongod.client() as client:
            return api.maintenance(client[self.database].settings.find_one({"key": "site"}), "192.0.2.1") is not None

    def state(self) -> tuple[Any, ...]:
        note = self.state_dir / "maintenance.json"
        return (
            self.flag.read_text() if self.flag.exists() else None,
            self.text(),
            note.read_text() if note.exists() else None,
            sorted(path.name for path in self.state_dir.iterdir()) if self.state_dir.exists() else None,
        )


@pytest.fixture
def shop(mongod: Mongod, mongo_database: str, tmp_path: Path, state_dir: Path) -> Iterator[Shop]:
    (tmp_path / "storage").mkdir()
    with mongod.client() as client:
        client[mongo_database].settings.insert_many(
            [
                {"key": "site", "type": "json", "value": TEXT},
                {"key": "platform", "type": "json", "value": '{"maintenance": {"enabled": false}}'},
            ]
        )
    found = Shop(mongod, mongo_database, tmp_path / "storage/.maintenance", state_dir)
    yield found
    for output in found.outputs:
        for canary in (*CANARIES, mongod.root_password):
            assert canary not in output


@pytest.mark.every_server
def test_up_and_down_again_leaves_everything_as_it_was(shop: Shop) -> None:
    before = shop.state()
    planned = shop.call(reason="Bigger disks", expires="2h", check=True, diff=True)
    assert planned.changed and shop.state() == before, "check mode writes nothing"
    assert [action["action"] for action in planned.result["plan"]] == [
        "write_note",
        "write_flag",
        "switch_application_on",
    ]
    assert planned.result["summary"]["headline"].startswith("would put up maintenance, planned until ")
    assert "absent" in planned.result["diff"]["before"] and '"enabled": false' in planned.result["diff"]["before"]
    assert "Bigger disks" in planned.result["diff"]["after"] and '"enabled": true' in planned.result["diff"]["after"]

    up = shop.call(reason="Bigger disks", expires="2h", diff=True)
    assert up.changed and not up.failed, up.msg
    assert shop.closed()
    since, bar, reason = shop.flag.read_text().strip().partition("|")
    assert (since, bar, reason) == (up.result["since"], "|", "Bigger disks")
    assert shop.flag.stat().st_mode & 0o777 == 0o644
    assert (shop.state_dir / "maintenance.json").stat().st_mode & 0o777 == 0o600
    assert OTHERS in str(shop.text()), "the other settings are as they were, to the byte"
    assert shop.mongod.root_password not in (shop.state_dir / "maintenance.json").read_text()

    again = shop.call(reason="Bigger disks", expires="2h", diff=True)
    assert not again.changed and "diff" not in again.result
    assert again.result["expires"] == up.result["expires"]

    down = shop.call(state="absent", check=True, diff=True)
    assert down.changed and shop.closed()
    assert [action["action"] for action in down.result["plan"]] == [
        "switch_application_off",
        "remove_flag",
        "remove_note",
    ]
    down = shop.call(state="absent")
    assert down.changed and not down.failed, down.msg
    assert shop.text() == TEXT and not shop.flag.exists() and not shop.closed()
    assert not (shop.state_dir / "maintenance.json").exists()
    idle = shop.call(state="absent")
    assert not idle.changed and idle.result["summary"]["headline"] == "maintenance is not up"


def test_somebody_elses_maintenance_is_left_alone(shop: Shop) -> None:
    assert shop.call(owner="alice", reason="Stocktaking").changed
    for state in ("absent", "present"):
        refused = shop.call(owner="weekly", state=state)
        assert refused.failed and not refused.changed
        for part in ("alice", "Stocktaking", "force"):
            assert part in refused.msg
    assert shop.closed()
    assert not shop.call(owner="weekly", state="absent", force=True).failed
    assert shop.text() == TEXT and not shop.flag.exists()


def test_maintenance_put_up_in_the_administration_is_not_ours(shop: Shop) -> None:
    by_hand = TEXT.replace('"enabled": false', '"enabled": true')
    with shop.mongod.client() as client:
        client[shop.database].settings.update_one({"key": "site"}, {"$set": {"value": by_hand}})
    for state in ("present", "absent"):
        refused = shop.call(state=state)
        assert refused.failed and "somebody else" in refused.msg and "application" in refused.msg
    assert shop.text() == by_hand and not shop.flag.exists()
    forced = shop.call(state="absent", force=True)
    assert forced.changed and shop.text() == TEXT


def test_a_flag_of_the_shops_own_script_is_not_ours(shop: Shop) -> None:
    shop.flag.write_text("2026-11-24T03:00:00+00:00|by enter_maintenance.sh\n")
    refused = shop.call(state="absent")
    assert refused.failed and "by enter_maintenance.sh" in refused.msg
    info = shop.info()
    assert info["maintenance"]["active"] and not info["maintenance"]["consistent"]
    assert "turns nobody away" in info["summary"]["headline"]
    assert shop.call(state="absent", force=True).changed and not shop.flag.exists()


def test_a_second_call_of_the_same_owner_updates(shop: Shop) -> None:
    first = shop.call(reason="one", expires="2h")
    second = shop.call(reason="two", expires="2027-01-01T00:00:00Z")
    assert second.changed and second.result["since"] == first.result["since"]
    assert second.result["expires"] == "2027-01-01T00:00:00Z"
    assert shop.flag.read_text().endswith("|two\n")
    message = shop.call(
        reason="two", expires="2027-01-01T00:00:00Z", application_setting={**shop.setting, "message": "Still closed"}
    )
    assert [action["action"] for action in message.result["actions"]] == ["switch_application_on"]
    shop.call(state="absent")
    assert shop.text() == TEXT, "what was there before the first call is put back"


@pytest.mark.parametrize("boundary", sampled(range(6)))
def test_killed_on_entry(shop: Shop, boundary: int) -> None:
    killed = shop.call(reason="one", expires="2h", kill_at=boundary)
    assert killed.rc == -9
    # Another one is not locked out by what is not up, and the same one can go either way.
    assert not shop.call(reason="one", expires="2h").failed
    assert shop.closed() and shop.flag.exists()
    assert not shop.call(state="absent").failed
    assert shop.state()[:3] == (None, TEXT, None)


@pytest.mark.parametrize("boundary", [1, 3])
def test_killed_on_entry_and_then_taken_down(shop: Shop, boundary: int) -> None:
    assert shop.call(reason="one", kill_at=boundary).rc == -9
    assert not shop.call(state="absent").failed
    assert shop.state()[:3] == (None, TEXT, None)


@pytest.mark.parametrize("boundary", sampled(range(6)))
def test_killed_on_exit(shop: Shop, boundary: int) -> None:
    shop.call(reason="one")
    assert shop.call(state="absent", kill_at=boundary).rc == -9
    if boundary:
        assert not shop.closed(), "the shop opens first"
    assert not shop.call(state="absent").failed
    assert shop.state()[:3] == (None, TEXT, None)
    assert not shop.call(state="absent").changed


@pytest.mark.parametrize("leaving", [False, True])
def test_killed_at_every_change_it_can_always_be_opened(shop: Shop, tmp_path: Path, leaving: bool) -> None:
    """A shop that is closed, in whatever layer, has its note; and taking it down leaves everything as it was."""

    def prepare(world: Path) -> tuple[str, dict[str, Any]]:
        shop.flag, shop.state_dir = world / "storage" / ".maintenance", world / "state"
        shop.flag.parent.mkdir()
        assert shop.text() == TEXT
        if leaving:
            assert shop.call(reason="one", expires="2h").changed
        params = {"path": shop.flag, "state_dir": shop.state_dir, "owner": "ops", "timer": "none"}
        params["application_setting"] = shop.setting
        return "maintenance_flag", {
            **params,
            **({"state": "absent"} if leaving else {"reason": "one", "expires": "2h"}),
        }

    def inspect(world: Path) -> None:
        if shop.closed() or shop.flag.exists():
            assert json.loads((world / "state" / "maintenance.json").read_text())["owner"] == "ops"
        found = shop.info()
        assert found["maintenance"]["active"] == (shop.closed() or shop.flag.exists())
        assert not shop.call(state="absent").failed
        assert shop.state()[:3] == (None, TEXT, None)
        # Half a note is written over by the next one, and swept from the state directory by the next run.
        assert list(shop.flag.parent.iterdir()) == [], "no half flag stays in the shop's directory"

    worlds = tmp_path / "worlds"
    worlds.mkdir()
    assert kill_at_every_change(worlds, prepare, inspect) >= (2 if leaving else 4)
    shop.call(state="absent")


def test_a_shop_without_a_setting_gets_one_and_loses_it_again(shop: Shop) -> None:
    with shop.mongod.client() as client:
        client[shop.database].settings.delete_one({"key": "site"})
    assert not shop.call().failed and shop.closed()
    assert read_removals(str(shop.state_dir)) == {}
    assert not shop.call(state="absent").failed and shop.text() is None
    # So that no compaction freezes what was removed into the file.
    assert list(read_removals(str(shop.state_dir))) == [f"{shop.database}.settings"]


def test_a_removal_that_cannot_be_noted_keeps_no_shop_closed(shop: Shop) -> None:
    with shop.mongod.client() as client:
        client[shop.database].settings.delete_one({"key": "site"})
    assert not shop.call().failed and shop.closed()
    (shop.state_dir / "mongo-removals.jsonl").mkdir()
    opened = shop.call(state="absent")
    assert not opened.failed, opened.msg
    assert shop.text() is None and not shop.flag.exists()
    assert "when documents were removed" in json.dumps(opened.result["warnings"])


def test_a_setting_of_the_shops_own_is_put_back_and_nothing_is_removed(shop: Shop) -> None:
    assert shop.call().changed and shop.call(state="absent").changed
    assert shop.text() == TEXT and read_removals(str(shop.state_dir)) == {}


@pytest.mark.parametrize("check", [True, False])
def test_a_flag_whose_directory_is_missing_is_refused_before_anything(shop: Shop, tmp_path: Path, check: bool) -> None:
    before = shop.state()
    refused = shop.call(path=tmp_path / "nope" / ".maintenance", check=check)
    assert refused.failed and not refused.changed
    assert "ENOENT" in refused.msg and "Its directory does not exist" in refused.msg
    assert shop.state() == before and not shop.closed()


def test_a_setting_that_the_application_cannot_read_is_refused_before_anything(shop: Shop) -> None:
    with shop.mongod.client() as client:
        client[shop.database].settings.update_one({"key": "site"}, {"$set": {"value": "{not json"}})
    before = shop.state()
    refused = shop.call()
    assert refused.failed and "cannot read its own setting" in refused.msg
    assert shop.state() == before


def test_what_it_was_put_up_with_is_remembered(shop: Shop, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("MONGODB_URI='%s'\n" % shop.mongod.uri_for(shop.database))
    shop.call(application_setting={"env_file": str(env_file), "address": shop.mongod.address})
    assert shop.closed()
    down = shop.call(state="absent", application_setting=None)
    assert not down.failed, down.msg
    assert shop.text() == TEXT
    shop.call()
    refused = shop.call(state="absent", application_setting=None)
    assert refused.failed and "application_setting" in refused.msg and shop.closed()


def test_the_flag_alone_says_that_it_turns_nobody_away(shop: Shop) -> None:
    result = shop.call(application_setting=None)
    assert result.changed and "turns nobody away" in json.dumps(result.result["warnings"])
    assert not shop.closed() and shop.flag.exists()
    assert not shop.call(application_setting=None).changed
    assert shop.call(state="absent", application_setting=None).changed and not shop.flag.exists()


@pytest.mark.parametrize(
    "options, part",
    [
        ({"expires": "2020-01-01T00:00:00Z"}, "ended already"),
        ({"expires": "tomorrow"}, "not a point in time"),
        ({"path": "/nonexistent/storage/.maintenance"}, "does not exist"),
    ],
)
def test_bad_input_changes_nothing(shop: Shop, options: dict[str, str], part: str) -> None:
    result = shop.call(**options)
    assert result.failed and part in result.msg
    assert not shop.closed()


def test_a_wrong_password_and_a_server_that_is_down(shop: Shop) -> None:
    before = shop.state()
    wrong = {"uri": "mongodb://root:canary-pass-word@%s/%s?authSource=admin" % (shop.mongod.address, shop.database)}
    refused = shop.call(application_setting=wrong)
    assert refused.failed and "18" in refused.msg and "canary-pass-word" not in refused.output
    gone = shop.call(application_setting={"uri": "mongodb://127.0.0.1:1/x", "connect_timeout": 1})
    assert gone.failed and "refused" in gone.msg
    assert shop.state() == before
    info = shop.info(application_setting={"uri": "mongodb://127.0.0.1:1/x", "connect_timeout": 1})
    assert info["layers"]["application"]["enabled"] is None
    assert not info["maintenance"]["consistent"] and "refused" in info["layers"]["application"]["problem"]


def test_info_tells_who_and_since_when_and_that_it_has_expired(shop: Shop) -> None:
    idle = shop.info()
    assert (
        not idle["maintenance"]["active"]
        and idle["maintenance"]["consistent"]
        and idle["maintenance"]["problems"] == []
    )
    up = shop.call(owner="alice", reason="Stocktaking", expires="2h", on_expiry="lift")
    found = shop.info()["maintenance"]
    assert found["active"] and found["consistent"] and not found["expired"]
    assert (found["owner"], found["since"], found["reason"]) == ("alice", up.result["since"], "Stocktaking")
    assert (found["expires"], found["on_expiry"]) == (up.result["expires"], "lift")
    note = shop.state_dir / "maintenance.json"
    note.write_text(note.read_text().replace(up.result["expires"], "2026-01-01T00:00:00Z"))
    late = shop.info()
    assert late["maintenance"]["expired"] and "has passed" in late["summary"]["headline"]


class Health(BaseHTTPRequestHandler):
    status, body = 200, b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def health() -> Iterator[tuple[type[Health], str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield Health, "http://127.0.0.1:%d/api/health" % server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "status, body, state",
    [
        (200, {"status": "ok", "mongoConnected": True}, "up"),
        (200, {"status": "ok", "mongoConnected": False}, "degraded"),
        (503, {"ok": False, "maintenance": True, "message": "Closed"}, "maintenance"),
        (503, {"ok": False}, "down"),
        (401, {"ok": False}, "degraded"),
    ],
)
def test_the_shop_is_asked(health: Any, tmp_path: Path, status: int, body: dict[str, Any], state: str) -> None:
    server, url = health
    server.status, server.body = status, json.dumps(body).encode()
    result = run_module("maintenance_flag_info", {"path": tmp_path / "flag", "state_dir": tmp_path, "probe_url": url})
    assert not result.failed and result.result["probe"]["state"] == state
    assert result.result["probe"]["status"] == status


def test_nothing_listens_and_nobody_knows_the_address(tmp_path: Path) -> None:
    for url, part in (
        ("http://127.0.0.1:1/api/health", "refused"),
        ("", "not known"),
        ("file:///etc/passwd", "not an address"),
    ):
        result = run_module(
            "maintenance_flag_info", {"path": tmp_path / "flag", "state_dir": tmp_path, "probe_url": url}
        )
        assert result.result["probe"]["state"] == "down" and part in result.result["probe"]["reason"]


def test_on_the_oldest_python(shop: Shop, old_python: Path) -> None:
    params = {
        "path": shop.flag,
        "state_dir": shop.state_dir,
        "owner": "ops",
        "expires": "2h",
        "timer": "none",
        "application_setting": shop.setting,
    }
    up = run_module("maintenance_flag", params, python=old_python)
    assert up.changed, up.msg
    info = run_module(
        "maintenance_flag_info",
        {"path": shop.flag, "state_dir": shop.state_dir, "application_setting": {"uri": shop.setting["uri"]}},
        python=old_python,
    )
    assert info.result["maintenance"]["owner"] == "ops"
    assert run_module("maintenance_flag", {**params, "state": "absent"}, python=old_python).changed
    assert shop.text() == TEXT


def test_when_the_application_cannot_be_opened_everything_else_stays(shop: Shop) -> None:
    assert not shop.call(reason="x").failed
    with shop.mongod.client() as client:
        client[shop.database].command("createUser", "reader", pwd="reader-password", roles=["read"])
    uri = f"mongodb://reader:reader-password@{shop.mongod.address}/{shop.database}"
    before = shop.state()
    down = shop.call(state="absent", application_setting={"uri": uri})
    assert down.failed and [action["status"] for action in down.result["actions"]] == ["failed"]
    assert "readWrite" in down.msg, "the advice names a role that allows it"
    assert shop.state() == before
    assert not shop.call(state="absent").failed and not shop.closed()
