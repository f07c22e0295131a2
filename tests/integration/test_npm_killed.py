# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""npm_audit killed (SIGKILL) just before each change it makes to the project and to what it notes: the project is the old one or
the new one, the next call finishes or takes back, and undo still works.

Each kill takes a world of its own; a sample of them in ``make test``, all in ``make test-long``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import ModuleResult, run_module

# Stands for npm, which would take seconds for each kill: what it proposes is known, and what counts is what is done with it.
NPM = """\
#!/bin/sh
case "$1" in
  audit) echo '{"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {}}' ;;
  outdated) echo '{}' ;;
  update) cp %(place)s/proposed.json package-lock.json; echo '{"added": 0}' ;;
  ci) mkdir -p node_modules/leftpad && cp package-lock.json node_modules/leftpad/made-of ;;
  run) mkdir -p dist && cp package-lock.json dist/made-of ;;
esac
"""
# In make test: without and with an installation, some kills that meet it half way; the tests say when they do not any more.
KILLED_UPDATES = ((20,), (48, 64))
KILLED_UNDOS = (24,)
FOLDERS = ("node_modules/leftpad/made-of", "dist/made-of")


@pytest.fixture(scope="module", autouse=True)
def root() -> None:
    if os.geteuid() != 0:
        lacking("root: only root can keep a script from the network")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A shop that is well, whatever it runs from."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "ok", "mongoConnected": true}')

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api/health"
    server.shutdown()
    server.server_close()


def lock(version: str) -> bytes:
    packages = {"": {"dependencies": {"leftpad": "^1.0.0"}}, "node_modules/leftpad": {"version": version}}
    return json.dumps({"name": "shop", "lockfileVersion": 3, "packages": packages}).encode()


class World:
    """A project whose files all say of which lock file they were made."""

    def __init__(self, place: Path, url: str) -> None:
        self.place, self.url, self.number = place, url, 0
        (place / "work").mkdir()
        (place / "npm").write_text(NPM % {"place": place})
        (place / "npm").chmod(0o755)
        self.package = json.dumps({"dependencies": {"leftpad": "^1.0.0"}, "scripts": {"build": "x"}}).encode()

    def begin(self) -> None:
        """The same again, in a directory of its own."""
        self.number += 1
        self.directory = self.place / str(self.number)
        self.project, self.state = self.directory / "shop", self.directory / "state"
        self.project.mkdir(parents=True)
        self.state.mkdir(mode=0o700)
        (self.project / "package.json").write_bytes(self.package)
        (self.project / "package-lock.json").write_bytes(lock("1.0.0"))
        for name in FOLDERS if self.url else ():
            (self.project / name).parent.mkdir(parents=True)
            (self.project / name).write_bytes(lock("1.0.0"))

    def propose(self, version: str) -> None:
        (self.place / "proposed.json").write_bytes(lock(version))

    def call(self, kill: int | None = None, **more: Any) -> ModuleResult:
        params = {"path": self.project, "state_dir": self.state, "work_dir": self.place / "work", **more}
        if "undo" not in more:
            params.update(update="minor", npm=self.place / "npm")
            if self.url:
                params.update(install=True, probe_url=self.url, steady="0s")
        options: dict[str, Any] = {} if kill is None else {"kill_at_change": (self.directory, kill)}
        return run_module("npm_audit", params, **options)

    def good(self, **more: Any) -> dict[str, Any]:
        result = self.call(**more)
        assert not result.failed, result.msg
        return result.result

    def versions(self) -> list[str]:
        """Of the lock file and of what was made of it: each is there, and whole."""
        assert (self.project / "package.json").read_bytes() == self.package
        contents = [
            (self.project / name).read_bytes() for name in ("package-lock.json", *(FOLDERS if self.url else ()))
        ]
        known = {lock(version): version for version in ("1.0.0", "1.1.0", "1.2.0")}
        return [known[content] for content in contents]

    def all_are(self, version: str) -> bool:
        return set(self.versions()) == {version}

    def undo_ids(self) -> list[str]:
        return sorted((path.stem for path in (self.state / "undo").glob("*.json")), reverse=True)

    def phases(self) -> list[str]:
        return [
            json.loads((self.state / "undo" / f"{undo_id}.json").read_text())["phase"] for undo_id in self.undo_ids()
        ]

    def beside(self) -> set[str]:
        return {path.name for path in self.project.glob(".miniecom-npm/*")}

    def next_run(self) -> None:
        begun = {"state": "begun", "name": "next", "state_dir": self.state}
        result = run_module("maintenance_run", begun)
        assert not result.failed and not result.result.get("warnings"), result.result
        ended = run_module(
            "maintenance_run", {"state": "ended", "run_id": result.result["run_id"], "state_dir": self.state}
        )
        assert not ended.failed, ended.msg


@pytest.fixture(params=["lock file alone", "installed"])
def world(request: pytest.FixtureRequest, url: str) -> Iterator[World]:
    directory = Path(tempfile.mkdtemp(prefix="miniecom-test-", dir="/var/tmp"))
    directory.chmod(0o755)
    yield World(directory, url if request.param == "installed" else "")
    shutil.rmtree(directory)


def test_an_update_that_is_killed(world: World) -> None:
    """After an earlier one, so that what ran before that goes at the end of this one. Every other time the next run of
    maintenance comes first, else the next update."""
    seen = set()
    for number in range(1000) if EXHAUSTIVE else KILLED_UPDATES[bool(world.url)]:
        world.begin()
        world.propose("1.1.0")
        first = world.good()["undo_id"]
        world.propose("1.2.0")
        result = world.call(kill=number)
        if result.rc != -signal.SIGKILL:
            assert EXHAUSTIVE and not result.failed, result.msg
            break
        seen.add(tuple(world.versions()))
        assert world.versions()[0] in ("1.1.0", "1.2.0"), number
        if number % 2:
            world.next_run()
            assert len(set(world.versions())) == 1, number
            if world.url:
                # Nothing half made, nothing half removed.
                assert world.beside() <= {first, world.undo_ids()[0]} and (
                    world.all_are("1.2.0") or world.beside() == {first}
                )
        told = world.good()
        if [item["action"] for item in told["plan"]] == ["settle_update"]:
            assert world.all_are("1.1.0"), number
            told = world.good()
        assert world.all_are("1.2.0"), number
        assert world.good()["changed"] is False
        # The last one is gone back from; what ran before the first one may be gone where it was installed, as a whole.
        for undo_id in world.undo_ids():
            if undo_id != first:
                world.good(undo=undo_id)
        assert world.all_are("1.1.0"), number
        world.good(undo=first)
        assert world.all_are("1.0.0") or (world.url and world.all_are("1.1.0")), number
    half_way = ("1.1.0", "1.2.0", "1.2.0") if world.url else ("1.2.0",)
    assert half_way in seen, "no kill has met it half way"


@pytest.mark.parametrize("world", ["lock file alone", "installed"] if EXHAUSTIVE else ["installed"], indirect=True)
def test_an_undo_that_is_killed(world: World) -> None:
    seen = set()
    world.propose("1.1.0")
    for number in range(1000) if EXHAUSTIVE else KILLED_UNDOS:
        world.begin()
        undo_id = world.good()["undo_id"]
        result = world.call(kill=number, undo=undo_id)
        if result.rc != -signal.SIGKILL:
            assert EXHAUSTIVE and not result.failed, result.msg
            break
        seen.add((world.versions()[0], *world.phases()))
        world.good(undo=undo_id)
        assert world.all_are("1.0.0") and "replacing" not in world.phases(), number
        assert world.good(undo=undo_id)["changed"] is False
        world.next_run()
        assert world.beside() == set() and world.all_are("1.0.0"), number
        world.good()
        assert world.all_are("1.1.0"), number
    # The lock file is that of before already, and the update is not yet noted as taken back.
    assert ("1.0.0", "replacing" if world.url else "done") in seen
