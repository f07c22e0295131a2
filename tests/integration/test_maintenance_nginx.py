# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer of nginx on a real nginx in front of the stand-in for the shop, with a real database."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pymongo
import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import expiry
from tests.sandbox.mongod import Mongod, free_port
from tests.sandbox.nginx import Nginx
from tests.sandbox.standin import api
from tests.support.extent import EXHAUSTIVE, sampled
from tests.support.kill import kill_at_every_change
from tests.support.modules import ROOT, ModuleResult, run_module

BLOCK = '{"enabled": false, "message": "Back soon", "whitelistIps": ["198.51.100.1"]}'
TEXT = '{"currency": "INR", "maintenance": %s}' % BLOCK
ENDS = "2031-02-03T04:05:06Z"


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass
class Front:
    """A shop with nginx in front, and calls of the modules on it."""

    base: Path
    nginx: Nginx
    api_port: int
    mongod: Mongod
    database: str
    state_dir: Path
    page: Path

    @property
    def flag(self) -> Path:
        return self.base / "shop/storage/.maintenance"

    def ask(self, path: str = "/", method: str = "GET", source: str = "", **headers: str) -> Answer:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.nginx.port, timeout=20, source_address=(source, 0) if source else None
        )
        try:
            connection.request(method, path, headers={"Host": "shop.example", **headers})
            got = connection.getresponse()
            return Answer(got.status, dict(got.getheaders()), got.read().decode())
        finally:
            connection.close()

    def setup(self, **params: Any) -> ModuleResult:
        options = {key: params.pop(key) for key in ("check", "diff", "kill_at") if key in params}
        given = {
            "root": self.base / "shop",
            "api_port": self.api_port,
            "directory": self.page,
            "program": self.nginx.program,
            "config": self.nginx.config,
            "state_dir": self.state_dir,
            **params,
        }
        return run_module("maintenance_nginx", given, **options)

    def call(self, module: str = "maintenance_flag", **params: Any) -> ModuleResult:
        options = {key: params.pop(key) for key in ("check", "diff", "kill_at") if key in params}
        given = self.params(module, **params)
        return run_module(module, given, **options)

    def params(self, module: str = "maintenance_flag", **params: Any) -> dict[str, Any]:
        setting: dict[str, Any] = {"uri": self.mongod.uri_for(self.database), "connect_timeout": 1}
        given = {"path": self.flag, "state_dir": self.state_dir, **params}
        if module == "maintenance_flag":
            setting.update(message="Closed for the kiln", allow_ips=["203.0.113.7"])
            given = {"owner": "ops", "timer": "none", **given}
        given.setdefault("application_setting", setting)
        return {key: value for key, value in given.items() if value is not None}

    def info(self) -> dict[str, Any]:
        result = self.call("maintenance_flag_info")
        assert not result.failed, result.msg
        return result.result

    def text(self) -> str:
        with self.mongod.client() as client:
            return str(client[self.database].settings.find_one({"key": "site"})["value"])

    def application_closed(self) -> bool:
        with self.mongod.client() as client:
            return api.maintenance(client[self.database].settings.find_one({"key": "site"}), "192.0.2.1") is not None


@pytest.fixture(scope="module")
def base(mongod: Mongod) -> Iterator[Front]:
    """nginx, API and database; what a test makes of them is taken back by the fixture below."""
    # Not below pytest's own directories, which it closes to others: nginx's workers are another user.
    directory = Path(tempfile.mkdtemp(prefix="miniecom-front-"))
    directory.chmod(0o711)
    database, port = "front", free_port()
    (directory / "shop/backend").mkdir(parents=True)
    (directory / "shop/storage").mkdir()
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(pymongo.__file__).parents[1]),
        "MONGODB_URI": mongod.uri_for(database),
        "PORT": str(port),
        "HOST": "127.0.0.1",
    }
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/sandbox/standin/api.py")],
        env=environment,
        cwd=directory / "shop/backend",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    nginx = Nginx(directory / "nginx", port)
    nginx.start()
    front = Front(directory, nginx, port, mongod, database, directory / "state", directory / "page")
    try:
        deadline = time.monotonic() + 30
        while front.ask("/api/health").status != 200:
            assert time.monotonic() < deadline, "the API does not come up"
            time.sleep(0.05)
        yield front
    finally:
        nginx.stop()
        process.kill()
        process.wait()
        shutil.rmtree(directory)


@pytest.fixture
def bare(base: Front) -> Iterator[Front]:
    """The shop, open, with an nginx that knows nothing of maintenance."""
    before = base.nginx.site.read_bytes()
    with base.mongod.client() as client:
        client[base.database].settings.replace_one(
            {"key": "site"}, {"key": "site", "type": "json", "value": TEXT}, upsert=True
        )
    yield base
    if base.nginx.site.read_bytes() != before:
        base.nginx.site.write_bytes(before)
        base.nginx.run("-s", "reload")
        deadline, good = time.monotonic() + 10, 0
        while good < 5 and time.monotonic() < deadline:  # workers of before and after answer side by side for a moment
            good = good + 1 if base.ask("/-miniecom-maintenance-installed").body == "Handmade Harmony\n" else 0
            time.sleep(0.02)
    for path in (base.state_dir, base.page):
        shutil.rmtree(path, ignore_errors=True)
    base.flag.unlink(missing_ok=True)


@pytest.fixture
def front(bare: Front) -> Front:
    """The same, set up."""
    done = bare.setup()
    assert not done.failed, done.msg
    return bare


# -- installation --------------------------------------------------------------------------------------------------------


def test_set_up_and_taken_back(bare: Front) -> None:
    before = bare.nginx.site.read_bytes()
    planned = bare.setup(check=True, diff=True)
    assert planned.changed and bare.nginx.site.read_bytes() == before and not bare.page.exists()
    assert [entry["action"] for entry in planned.result["plan"]] == [
        "write_snippet",
        "include_snippet",
        "load_configuration",
        "note_setup",
    ]
    assert f"include {bare.page}/*.conf;" in planned.result["diff"]["after"]
    assert "server shop.example {" in planned.result["diff"]["after"]

    done = bare.setup()
    assert done.changed and not done.failed, done.msg
    assert done.result["servers"] == [f"shop.example (http://127.0.0.1:{bare.nginx.port})"]
    after = bare.nginx.site.read_bytes()
    assert after.replace(b"\n    include %s/*.conf;" % bytes(bare.page), b"") == before
    assert after.count(b"/*.conf;") == 1, "the other server is not the shop's"
    assert bare.nginx.site.parent.joinpath("../sites-enabled/shop").is_symlink()
    assert bare.ask().body == "Handmade Harmony\n"
    again = bare.setup()
    assert not again.changed and again.result["summary"]["headline"] == "nginx is set up for maintenance"

    gone = bare.setup(state="absent")
    assert gone.changed and not gone.failed, gone.msg
    assert bare.nginx.site.read_bytes() == before and not bare.page.exists()
    assert not bare.setup(state="absent").changed


def test_what_nginx_does_not_accept_is_taken_back(bare: Front) -> None:
    before = bare.nginx.site.read_bytes()
    bare.nginx.site.write_bytes(before.replace(b"server {", b"server { location = /-miniecom-maintenance-page { }", 1))
    broken = bare.nginx.site.read_bytes()
    refused = bare.setup()
    assert refused.failed and "duplicate" in refused.msg and "taken out again" in refused.msg
    assert bare.nginx.site.read_bytes() == broken and bare.ask().body == "Handmade Harmony\n"
    bare.nginx.run("-t")


def test_a_configuration_that_is_broken_already_is_not_touched(bare: Front) -> None:
    bare.nginx.site.write_bytes(bare.nginx.site.read_bytes() + b"server { nonsense; }\n")
    before = bare.nginx.site.read_bytes()
    found = bare.setup()
    assert not found.failed and not found.changed and not found.result["applicable"]
    assert "broken already" in found.result["reason"] and 'unknown directive "nonsense"' in found.result["reason"]
    assert bare.nginx.site.read_bytes() == before and not bare.page.exists()


def test_nginx_starts_when_our_files_are_gone(front: Front) -> None:
    shutil.rmtree(front.page)
    front.nginx.run("-t")
    again = front.setup()
    assert not again.failed and again.result["plan"][0]["action"] == "write_snippet"
    assert not front.call().failed and front.ask().status == 503


def test_where_no_nginx_serves_the_shop(bare: Front) -> None:
    part = "none of its 2 servers serves the shop"
    found = bare.setup(api_port=1)
    assert not found.failed and not found.changed and part in found.result["reason"]
    assert part in found.result["summary"]["headline"]
    for params in ({"program": "/nonexistent/nginx"}, {"config": "/nonexistent/nginx.conf"}):
        wrong = bare.setup(**params)
        assert wrong.failed and "there is no such" in wrong.msg and next(iter(params.values())) in wrong.msg


@pytest.mark.parametrize("number", range(8) if EXHAUSTIVE else (1, 3, 5))
def test_killed_while_it_is_set_up(bare: Front, number: int) -> None:
    assert bare.setup(kill_at=number).rc == -9
    bare.nginx.run("-t")
    assert bare.ask().body == "Handmade Harmony\n"
    done = bare.setup()
    assert not done.failed, done.msg
    assert bare.nginx.site.read_bytes().count(b"/*.conf;") == 1
    assert not bare.setup().changed
    assert not bare.call().failed and bare.ask().status == 503
    assert not bare.call(state="absent").failed


# -- switching -----------------------------------------------------------------------------------------------------------


def test_nginx_turns_visitors_away_and_nobody_else(front: Front) -> None:
    reloads = (front.nginx.directory / "error.log").read_text().count("reconfiguring")
    planned = front.call(reason="Firing <the> kiln", expires=ENDS, check=True, diff=True)
    assert [entry["action"] for entry in planned.result["plan"]] == ["write_note", "write_flag", "close_nginx"]
    assert front.ask().status == 200

    up = front.call(reason="Firing <the> kiln", expires=ENDS)
    assert up.changed and not up.failed, up.msg
    assert up.result["layers"] == ["flag", "nginx"]
    assert "nginx turns visitors away, health and webhooks stay open" in up.result["summary"]["headline"]
    assert not front.application_closed() and front.text() == TEXT

    page = front.ask("/cart")
    assert page.status == 503 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert parsedate_to_datetime(page.headers["Retry-After"]).isoformat() == "2031-02-03T04:05:06+00:00"
    assert page.headers["Cache-Control"] == "no-store" and "Last-Modified" not in page.headers
    for part in ("Handmade Harmony", "Firing &lt;the&gt; kiln", ENDS, "Closed for the kiln"):
        assert part in page.body
    assert "http://" not in page.body and "https://" not in page.body
    for method in ("POST", "PUT", "DELETE"):
        told = front.ask("/api/products", method)
        assert told.status == 503 and told.headers["Content-Type"] == "application/json; charset=utf-8"
        answer = json.loads(told.body)
        assert answer["maintenance"] is True and answer["until"] == ENDS and answer["message"] == "Closed for the kiln"
    assert front.ask("/api", "HEAD").status == 503 and front.ask("/index.html").status == 503
    assert front.ask("/-miniecom-maintenance-page-until").status == 404

    assert front.ask("/health").body == "healthy\n"
    assert json.loads(front.ask("/api/health").body)["mongoConnected"] is True
    assert front.ask("/api/payments/webhook", "POST").status == 401, "the API's own answer"
    assert front.ask("/api/webhooks/razorpay", "POST").status == 401
    inside = next(path.name for path in (front.page / "closed/allow").iterdir() if path.name.startswith("127."))
    assert front.ask("/cart", source=inside).body == "Handmade Harmony\n"
    assert (front.page / "closed/allow/203.0.113.7").exists()
    other = http.client.HTTPConnection("127.0.0.1", front.nginx.port)
    other.request("GET", "/", headers={"Host": "other.example"})
    assert other.getresponse().read() == b"other\n"
    other.close()

    again = front.call(reason="Firing <the> kiln", expires=ENDS)
    assert not again.changed and not again.failed, again.msg
    moved = front.call(reason="Firing <the> kiln", expires="2032-02-03T04:05:06Z")
    assert [entry["action"] for entry in moved.result["plan"]] == ["write_note", "close_nginx"]
    assert "2032" in front.ask("/").headers["Retry-After"]

    down = front.call(state="absent")
    assert down.changed and not down.failed, down.msg
    assert [entry["action"] for entry in down.result["actions"]] == ["open_nginx", "remove_flag", "remove_note"]
    assert front.ask("/cart").body == "Handmade Harmony\n" and front.text() == TEXT
    assert sorted(path.name for path in front.page.iterdir()) == ["nginx.conf"]
    assert not front.call(state="absent").changed
    assert (front.nginx.directory / "error.log").read_text().count("reconfiguring") == reloads, "no reload"


def test_what_a_server_name_has_captured_stays(front: Front) -> None:
    """A regular expression takes $1 from the shop's own configuration, matching or not."""

    def captured() -> str:
        return front.ask("/api/webhook-of", Host="tea.shop.test", **{"Accept-Language": "de, en"}).body

    assert captured() == "tea\n"
    assert not front.setup(open_paths=["/health", "/api/webhook-of"]).failed
    assert captured() == "tea\n"
    assert not front.call().failed
    assert captured() == "tea\n", "while it is closed, too, where it stays open"
    assert front.ask("/", Host="tea.shop.test").status == 503


def test_a_path_with_a_star_keeps_what_a_server_name_has_named(front: Front) -> None:
    """Its pattern is tried while the shop is closed, and takes $1 then: that is why a name is advised for it."""
    named = front.nginx.site.read_text().replace(r"~^(\w+)\.shop", r"~^(?<till>\w+)\.shop").replace("$1", "$till $1")
    front.nginx.site.write_text(named)
    front.nginx.run("-s", "reload")

    def captured() -> str:
        return front.ask("/api/webhook-of", Host="tea.shop.test").body

    deadline = time.monotonic() + 10
    while captured() != "tea tea\n":
        assert time.monotonic() < deadline, captured()
        time.sleep(0.02)
    assert not front.call().failed
    assert captured().split(" ")[0] == "tea" and captured() != "tea tea\n"
    assert not front.call(state="absent").failed
    assert captured() == "tea tea\n"


def test_where_the_note_of_the_setup_makes_no_sense_the_application_does_it(front: Front) -> None:
    (front.state_dir / "nginx.json").write_text("{")
    up = front.call()
    assert not up.failed and up.result["layers"] == ["flag", "application"]
    assert "how it was set up cannot be read" in str(up.result["warnings"])
    assert not front.call(state="absent").failed and front.ask("/api/health").status == 200


def test_without_an_end_visitors_are_asked_to_come_back_in_an_hour(front: Front) -> None:
    assert not front.call().failed
    assert front.ask().headers["Retry-After"] == "3600"
    assert json.loads(front.ask("/api/x").body)["until"] is None


@pytest.mark.parametrize(
    "wanted, expected",
    [
        ("de-CH, fr;q=0.9", "Gleich wieder da"),
        ("es, fr;q=0.9, de;q=0.5", "Gleich wieder da"),
        ("es, it", "We will be right back"),
        ("en-US,en;q=0.9,de;q=0.8", "We will be right back"),
        ("../../x, deu", "We will be right back"),
        ("", "We will be right back"),
    ],
)
def test_the_language_of_the_visitor(front: Front, wanted: str, expected: str) -> None:
    assert not front.call(page={"texts": {"de": {"headline": "Gleich wieder da"}}}).failed
    assert f"<h1>{expected}</h1>" in front.ask(**{"Accept-Language": wanted}).body


# -- what does not hold --------------------------------------------------------------------------------------------------


def test_a_link_that_the_workers_cannot_see_is_an_error_and_taken_back(front: Front) -> None:
    if os.geteuid() != 0:
        pytest.skip("without root nginx's workers are this user, and see everything")
    front.page.chmod(0o700)
    refused = front.call(expires=ENDS)
    assert refused.failed and "the layer nginx does not hold" in refused.msg and "serves visitors" in refused.msg
    assert "open as before" in refused.msg and refused.result["rolled_back"] and not refused.changed
    assert not front.flag.exists() and not (front.page / "closed").exists()
    assert not (front.state_dir / "maintenance.json").exists()
    front.page.chmod(0o755)
    assert not front.call(expires=ENDS).failed


@pytest.mark.parametrize(
    ("here", "instead", "told"),
    [
        ("/allow/$remote_addr", "/nobody/$remote_addr", "asked from an allowed address, is turned away"),
        ("/api/health", "/api/wealth", "/api/health, which is to stay open, is turned away"),
        (
            r"/api/webhook.*$",
            r"/api/webhoop.*$",
            "/api/webhookmaintenance-probe, which is to stay open, is turned away",
        ),
        ("add_header Retry-After", "add_header Retry-Before", "turns visitors away without Retry-After"),
    ],
)
def test_whoever_is_to_pass_and_does_not_is_an_error_and_taken_back(
    front: Front, here: str, instead: str, told: str
) -> None:
    """The snippet does less than it says: it is asked, and not believed."""
    snippet = front.page / "nginx.conf"
    good = snippet.read_text(encoding="utf-8")
    assert here in good
    snippet.write_text(good.replace(here, instead), encoding="utf-8")
    loads = (front.nginx.directory / "error.log").read_text().count("gracefully shutting down")
    front.nginx.run("-s", "reload")
    deadline = time.monotonic() + 10
    while (front.nginx.directory / "error.log").read_text().count("gracefully shutting down") == loads:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    refused = front.call(expires=ENDS)
    assert refused.failed and "the layer nginx does not hold" in refused.msg and told in refused.msg, refused.msg
    assert refused.result["rolled_back"] and front.ask().status == 200 and not front.flag.exists()


def test_where_nginx_does_not_run_the_application_turns_visitors_away(front: Front) -> None:
    front.nginx.stop()
    try:
        up = front.call(expires=ENDS, probe_url=f"http://127.0.0.1:{front.api_port}/api/health")
        assert not up.failed, up.msg
        assert up.result["layers"] == ["flag", "application"] and front.application_closed()
        said = json.dumps(up.result["warnings"])
        assert "payment webhooks" in said and "nothing listens" in said
        assert "not applicable: nothing listens" in json.dumps(up.result["kept"])
        named = front.call(state="absent")
        assert not named.failed, named.msg
        refused = front.call(layers=["nginx"])
        assert refused.failed and "the layer nginx cannot be put up" in refused.msg and not refused.changed
    finally:
        front.nginx.start()
    assert not front.flag.exists() and not front.application_closed()


def test_both_layers_by_name(front: Front) -> None:
    up = front.call(layers=["nginx", "application"], expires=ENDS)
    assert not up.failed, up.msg
    assert up.result["layers"] == ["flag", "nginx", "application"] and front.application_closed()
    assert front.ask().status == 503 and front.ask("/api/health").status == 503
    # Another call with auto opens nothing.
    assert front.call(expires=ENDS).result["layers"] == ["flag", "nginx", "application"]
    down = front.call(state="absent", probe_url=f"http://127.0.0.1:{front.api_port}/api/health")
    assert not down.failed, down.msg
    assert front.ask().status == 200 and front.text() == TEXT


def test_an_application_that_serves_visitors_all_the_same_is_an_error(front: Front) -> None:
    """The setting of another database than the one that the application uses."""
    with front.mongod.client() as client:
        client["elsewhere"].orders.insert_one({})
    setting = {"uri": front.mongod.uri_for("elsewhere"), "allow_ips": []}
    refused = front.call(
        layers=["application"],
        application_setting=setting,
        probe_url=f"http://127.0.0.1:{front.api_port}/api/health",
    )
    assert refused.failed and "the layer application does not hold" in refused.msg and refused.result["rolled_back"]
    with front.mongod.client() as client:
        assert client["elsewhere"].settings.count_documents({}) == 0
    assert not front.flag.exists()


def test_leaving_goes_on_while_the_database_is_down(front: Front) -> None:
    gone = {"uri": "mongodb://127.0.0.1:1/front", "connect_timeout": 1}
    assert not front.call(expires=ENDS).failed
    down = front.call(state="absent", application_setting=gone)
    assert not down.failed, down.msg
    assert front.ask().status == 200 and not front.flag.exists()
    assert "could not be looked at" in json.dumps(down.result["warnings"])

    assert not front.call(layers=["nginx", "application"], expires=ENDS).failed
    for check in (True, False):
        left = front.call(state="absent", application_setting=gone, check=check)
        assert left.failed and "the application may still turn visitors away" in left.msg and "Run it again" in left.msg
    assert front.ask().status == 200 and front.flag.exists() and front.application_closed()
    assert not front.call(state="absent").failed and not front.flag.exists()
    assert front.text() == TEXT and not (front.state_dir / "maintenance.json").exists()


def test_entering_needs_no_database_where_nginx_does_it(front: Front) -> None:
    gone = {"uri": "mongodb://127.0.0.1:1/front", "connect_timeout": 1, "message": "Back soon"}
    up = front.call(expires=ENDS, application_setting=gone)
    assert not up.failed, up.msg
    assert front.ask().status == 503


def test_a_layer_that_somebody_else_has_put_up_stays_up(front: Front) -> None:
    assert not front.call(expires=ENDS).failed
    with front.mongod.client() as client:
        client[front.database].settings.update_one({"key": "site"}, {"$set": {"value": TEXT.replace("false", "true")}})
    down = front.call(state="absent")
    assert not down.failed, down.msg
    assert front.ask().status == 200 and front.application_closed()
    assert "somebody else has switched it on" in json.dumps(down.result["warnings"])
    assert front.call(state="absent").failed, "it is not ours"
    assert not front.call(state="absent", force=True).failed and not front.application_closed()


# -- what status tells ---------------------------------------------------------------------------------------------------


def test_status_tells_what_visitors_get(front: Front) -> None:
    assert not front.info()["maintenance"]["active"]
    assert not front.call(expires=ENDS).failed
    up = front.info()
    assert up["maintenance"]["consistent"] and up["maintenance"]["problems"] == [], "the application need not be closed"
    assert up["layers"]["nginx"] == {
        "set_up": True,
        "closed": True,
        "turns_away": True,
        "retry_after": ENDS,
        "problem": "",
        "directory": str(front.page),
    }
    assert "maintenance is up in nginx" in up["summary"]["headline"]
    # A page that somebody has cut short, a flag with the line ends of Windows, an empty one, none.
    for text in ("x\r\n", "", None):
        (front.page / "closed/page.html").write_text("half")
        front.flag.unlink() if text is None else front.flag.write_text(text)
        found = front.info()["maintenance"]
        assert found["active"] and found["consistent"] == (text is not None)
        repaired = front.call(expires=ENDS)
        assert not repaired.failed and "close_nginx" in str(repaired.result["plan"])
        assert front.info()["maintenance"]["consistent"] and "Handmade Harmony" in front.ask().body
    # The link is gone, as after a hand that meant well.
    (front.page / "closed").unlink()
    found = front.info()["maintenance"]
    assert found["active"] and not found["consistent"] and "nginx turns nobody away" in str(found["problems"])
    assert not front.call(state="absent").failed and not front.info()["maintenance"]["active"]


def test_two_operators(front: Front) -> None:
    assert not front.call(owner="alice", expires=ENDS).failed
    for state in ("present", "absent"):
        refused = front.call(owner="bob", state=state)
        assert refused.failed and "alice" in refused.msg and "nginx" in refused.msg and front.ask().status == 503
    assert not front.call(owner="bob", state="absent", force=True).failed and front.ask().status == 200


# -- killed --------------------------------------------------------------------------------------------------------------


def opened_again(front: Front) -> None:
    """Status says what nginx and the application do, and taking maintenance down leaves everything as it was."""
    closed = front.ask().status == 503
    found = front.info()
    assert found["layers"]["nginx"]["closed"] == closed
    active = closed or front.flag.exists() or front.application_closed()
    assert found["maintenance"]["active"] == active
    if active:
        assert json.loads((front.state_dir / "maintenance.json").read_text())["owner"] == "ops"
    down = front.call(state="absent")
    assert not down.failed, down.msg
    assert front.ask().status == 200 and front.text() == TEXT and not front.flag.exists()
    assert sorted(path.name for path in front.page.iterdir()) == ["nginx.conf"]


def test_killed_between_any_two_layers(front: Front) -> None:
    wanted = {"layers": ["nginx", "application"], "expires": ENDS}
    for number in sampled(range(1, 7)):
        assert front.call(kill_at=number, **wanted).rc == -9
        opened_again(front)
    for number in sampled(range(1, 7)):
        assert not front.call(**wanted).failed
        assert front.call(kill_at=number, state="absent").rc == -9
        opened_again(front)


@pytest.mark.skipif(
    not EXHAUSTIVE,
    reason="kills at every change are run by make test-long; the test above kills between the layers",
)
@pytest.mark.parametrize("leaving", [False, True])
def test_killed_at_every_change_it_can_always_be_opened(front: Front, leaving: bool) -> None:
    """Both layers; nginx answers as status says, and after the next run everything is as it was."""
    worlds = front.base / ("leaving" if leaving else "entering")
    worlds.mkdir()
    worlds.chmod(0o755)
    page = front.page
    before = front.nginx.site.read_text()

    def prepare(world: Path) -> tuple[str, Mapping[str, Any]]:
        world.chmod(0o755)
        front.page, front.state_dir = world / "page", world / "state"
        front.nginx.site.write_text(before.replace(f"\n    include {page}/*.conf;", ""))
        assert not front.setup().failed
        params = {"layers": ["nginx", "application"], "expires": ENDS}
        if leaving:
            assert not front.call(**params).failed
            params = {"state": "absent"}
        return "maintenance_flag", front.params(**params)

    def inspect(world: Path) -> None:
        opened_again(front)

    try:
        assert kill_at_every_change(worlds, prepare, inspect) > (2 if leaving else 8)
    finally:
        front.call(state="absent")
        front.nginx.site.write_text(before)


# -- the host's timer ----------------------------------------------------------------------------------------------------


def test_the_timers_program_opens_nginx_though_the_database_is_down(front: Front, tmp_path: Path) -> None:
    """As systemd starts it, without Ansible; once after its time is over, as behind a reboot."""
    env_file = tmp_path / ".env"
    env_file.write_text("MONGODB_URI=mongodb://127.0.0.1:1/front\n")
    setting = {"env_file": str(env_file), "connect_timeout": 1}
    up = front.call(expires="2s", on_expiry="lift", application_setting=setting)
    assert not up.failed, up.msg
    packed = tmp_path / "expiry.pyz"
    packed.write_bytes(expiry.program())
    deadline = time.monotonic() + 30
    while front.flag.exists():
        subprocess.run([sys.executable, "-B", packed, front.state_dir], check=False, stdout=subprocess.DEVNULL)
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert front.ask().status == 200 and not (front.state_dir / "maintenance.json").exists()
    assert "taken down at its expiry" in (front.state_dir / "maintenance-log.md").read_text()
