# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The native sandbox: a MiniEcom whose API, frontend and mongod are processes of this machine.

Everything lies in one directory; no root is needed. All listens on free ports of the loopback address but the API, which
listens on all addresses, as the shop's does, and turns away whoever is not on this machine. The processes outlive the command
and the terminal. After a reboot ``up`` starts them again on the same data and ports.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pymongo

from tests.sandbox.daemon import Daemon, of_directory, spawn
from tests.sandbox.fetch import PackagesUnavailable, logrotate_into, mongod_binary
from tests.sandbox.mongod import Mongod, free_port
from tests.sandbox.seed import add_reclaimable, delete_products, seed_shop
from tests.sandbox.shopfiles import (
    DATABASE,
    ShopSettings,
    crontab,
    let_through,
    root_password,
    web_server,
    write_shop,
)
from tests.sandbox.standin.api import read_env
from tests.sandbox.trouble import make_trouble

Say = Callable[[str], None]
FACTS = "sandbox.json"
FORMAT = 1
PARTS = ("mongod", "api", "frontend")
USERS, ORDERS = 400, 1200
MEGABYTES = 200


class SandboxError(Exception):
    """The sandbox cannot be raised or removed; the text says why and what to do."""


class Native:
    """One native sandbox in a directory.

    say: takes a line of progress.
    megabytes: how much the database grows before two thirds of it are deleted again.
    """

    deployment = "native"

    def __init__(self, directory: Path, say: Say = lambda text: None, *, megabytes: int = MEGABYTES) -> None:
        self.directory = directory
        self.root = directory / "opt/miniecom"
        self.megabytes = megabytes
        self.say = say
        self.facts = self._read_facts()

    # -- facts ---------------------------------------------------------------------------------------------------

    def _read_facts(self) -> dict[str, Any]:
        try:
            facts = json.loads((self.directory / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) and facts.get("format") == FORMAT else {}

    def _write_facts(self) -> None:
        daemons = self.facts["processes"]
        self.facts["pids"] = {name: daemons[name]["pid"] for name in daemons}
        partial = self.directory / f".{FACTS}.partial"
        partial.write_text(json.dumps(self.facts, indent=2) + "\n", encoding="utf-8")
        partial.rename(self.directory / FACTS)

    def _daemon(self, name: str) -> Daemon | None:
        facts = self.facts.get("processes", {}).get(name)
        return Daemon(**facts) if facts else None

    def _remember(self, name: str, daemon: Daemon) -> None:
        self.facts["processes"][name] = asdict(daemon)
        self._write_facts()

    def _runs(self, name: str) -> bool:
        daemon = self._daemon(name)
        return daemon is not None and daemon.alive

    @property
    def ports(self) -> dict[str, int]:
        return dict(self.facts["ports"])

    @property
    def env(self) -> dict[str, str]:
        """The shop's settings."""
        return read_env(str(self.root / ".env"))

    def health(self, seconds: float = 15) -> dict[str, Any]:
        """What the API's health answers, or why it does not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['api']}/api/health", timeout=seconds) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            body = error.read().decode("utf-8", "replace")
            return {"status": f"HTTP {error.code}", "maintenance": '"maintenance":true' in body}
        except (OSError, ValueError) as error:
            return {"status": f"no answer: {error}"}

    def is_healthy(self) -> bool:
        """Whether all three processes run and answer; a shop in maintenance is as well."""
        if not self.facts.get("complete") or not all(self._runs(name) for name in PARTS):
            return False
        answer = self.health()
        return bool(answer.get("mongoConnected") or answer.get("maintenance"))

    # -- the four commands ---------------------------------------------------------------------------------------

    def up(self) -> bool:
        """Raise the sandbox; False when it was up already and nothing was done."""
        if self.is_healthy():
            return False
        if self.facts.get("complete"):
            self.say("starting again what does not run")
            self._start_all()
            self._prove()
            return True
        if self.facts:
            self.say("removing what an interrupted start has left")
            self.down()
        elif self.directory.is_dir() and any(self.directory.iterdir()):
            raise SandboxError(f"{self.directory} is not empty and no sandbox; name another directory or empty it")
        self._make()
        return True

    def down(self) -> None:
        """End the processes and remove the directory."""
        if not self.directory.exists():
            return
        if not self.facts and any(self.directory.iterdir()):
            raise SandboxError(f"{self.directory} has no {FACTS}: it is no sandbox and is left alone")
        # The API first: without its database it would wait and log.
        for name in reversed(PARTS):
            daemon = self._daemon(name)
            if daemon is not None:
                daemon.end()
        for daemon in of_directory(self.directory):
            daemon.end()
        # Whoever is interrupted here finds a sandbox, and not a directory of strange files, the next time.
        for path in self.directory.iterdir():
            if path.name != FACTS:
                _remove(path)
        _remove(self.directory)
        self.facts = {}

    def renew(self) -> None:
        """Make new trouble of every kind; the sandbox is up."""
        if not self.is_healthy():
            raise SandboxError("the sandbox is not up; raise it first")
        self.say("deleting products and growing collections")
        with self._mongod().client() as client:
            database = client[self.facts["database"]]
            delete_products(database)
            add_reclaimable(database, self.megabytes, rng_seed=random.randrange(1 << 30))
        self.say("new trouble in the shop's directory")
        make_trouble(self.root)

    def lines(self) -> list[str]:
        """The sandbox in a few lines for a person."""
        if not self.facts:
            return [f"no sandbox in {self.directory}"]
        answer = self.health() if self._runs("api") else {"status": "down"}
        state = ", ".join(f"{key} {value}" for key, value in answer.items() if key != "timestamp")
        lines = [f"native sandbox in {self.directory}"]
        for name, kind in (("api", "API"), ("frontend", "frontend"), ("mongod", "MongoDB")):
            port = self.ports["mongo" if name == "mongod" else name]
            address = f"127.0.0.1:{port}" if name == "mongod" else f"http://127.0.0.1:{port}"
            runs = f"pid {self.facts['pids'].get(name)}" if self._runs(name) else "DOWN"
            lines.append(f"  {kind:<9} {address:<24} {runs}")
        return [*lines, f"  health    {state}", f"  directory    {self.root}"]

    # -- making it -----------------------------------------------------------------------------------------------

    def _make(self) -> None:
        program = mongod_binary(self.say)
        self.directory.mkdir(parents=True, exist_ok=True)
        # The .env that everybody can read is part of the trouble; that nobody really can is this directory's doing.
        web = web_server(self.directory)
        let_through(self.directory, web)
        self.facts = {
            "format": FORMAT,
            "deployment": self.deployment,
            "complete": False,
            "directory": str(self.directory),
            "root": str(self.root),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "database": DATABASE,
            "ports": _free_ports("api", "frontend", "mongo"),
            "processes": {},
        }
        self._write_facts()
        for name in ("programs", "run", "cron", "log"):
            (self.directory / name).mkdir()
        # As on a real host: the lease and all records are nobody else's business.
        for name in ("state", "record"):
            (self.directory / name).mkdir(mode=0o700)
        self._programs(program)
        self.say(f"the shop's directory: {self.root}")
        settings = ShopSettings(
            root=self.root,
            mongo=f"127.0.0.1:{self.ports['mongo']}",
            password=root_password(),
            api_port=self.ports["api"],
            frontend_port=self.ports["frontend"],
            # Both are set, as in the shop's guide for native installations, and neither is where it would be without.
            extra={"UPLOAD_DIR": "./storage/uploads", "STORAGE_PATH": "../storage"},
        )
        write_shop(settings, logs_owner=web)
        # Where this sandbox's runs look for jobs. Nothing runs them.
        (self.directory / "cron/root").write_text(crontab(self.root), encoding="utf-8")
        self._start_mongod()
        self.say(f"filling the database with a shop, then {self.megabytes} MB of which two thirds are deleted again")
        with self._mongod().client() as client:
            database = client[settings.database]
            seed_shop(database, users=USERS, orders=ORDERS)
            self.facts["reclaimable_bytes"] = add_reclaimable(database, self.megabytes)
        self._start_all()
        self.say("trouble: open modes, secrets in code, 400 backups, large and old logs")
        self.facts["backups"] = make_trouble(self.root).backups
        self.facts["complete"] = True
        self._write_facts()
        self._prove()

    def _prove(self) -> None:
        if not self.is_healthy():
            raise SandboxError(f"the shop runs but is not healthy: {self.health()}; see {self.directory / 'log'}")

    def _programs(self, mongod: Path) -> None:
        """Put what the sandbox runs into its directory: it shall stay whole when the cache is removed."""
        target = self.directory / "programs/mongod"
        try:
            os.link(mongod, target)
        except OSError:  # another filesystem
            shutil.copy2(mongod, target)
        try:
            self.facts["logrotate"] = str(logrotate_into(self.directory / "programs"))
        except PackagesUnavailable as error:
            self.say(f"no logrotate: {error}; install it with: sudo apt-get install logrotate")

    def _mongod(self) -> Mongod:
        return Mongod(
            self.directory / "mongo",
            auth=True,
            port=self.ports["mongo"],
            root_password=self.env["MONGO_ROOT_PASSWORD"],
            die_with_parent=False,
            program=self.directory / "programs/mongod",
        )

    def _start_mongod(self) -> None:
        if self._runs("mongod"):
            return
        server = self._mongod()
        server.start()
        self._remember("mongod", server.detach())
        self.say(f"MongoDB on {server.address}, with authentication")

    def _start_all(self) -> None:
        self._start_mongod()
        for name, program in (("api", "backend/src/server.py"), ("frontend", "frontend/server.py")):
            if self._runs(name):
                continue
            path = self.root / program
            # The working directory is what tells the shop's API from any other Python process: backend/.
            directory = self.root / program.partition("/")[0]
            # Nothing of this process's environment is the shop's business, only where its library lies.
            libraries = str(Path(pymongo.__file__).parents[1])
            environment = {
                "PATH": os.defpath,
                "LANG": "C.UTF-8",
                "PYTHONPATH": libraries,
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            log = self.directory / "log" / f"{name}.log"
            if name == "frontend":
                environment["HOST"] = "127.0.0.1"
            if name == "api":
                environment["STANDIN_VISITORS"] = "local"
                # As in the shop's systemd and pm2 layouts: its output goes to a log that it holds open for appending.
                log = self.root / "storage/logs/api.log"
            self._remember(name, spawn([sys.executable, str(path)], directory, log, environment))
            self._wait_for(name, log)
            self.say(f"{name} on http://127.0.0.1:{self.ports[name]}")

    def _wait_for(self, name: str, log: Path, seconds: float = 60) -> None:
        """Wait until a part of the shop answers at all."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._runs(name):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/", timeout=15).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
        text = log.read_text(encoding="utf-8", errors="replace")[-800:]
        raise SandboxError(f"{name} does not answer on port {self.ports[name]}; its output ends with:\n{text}")


def _free_ports(*names: str) -> dict[str, int]:
    ports: set[int] = set()
    while len(ports) < len(names):
        ports.add(free_port())
    return dict(zip(names, ports))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
