# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox of kind ``compose``: the shop in containers of a private Docker Engine, raised by docker compose.

<directory>/opt/miniecom        the shop's directory, with the compose file that runs it
<directory>/engine              the private engine's data
<directory>/run/docker.sock     its socket
<directory>/programs/docker     the docker command, talking to that engine
<directory>/sandbox.json        the facts: deployment, docker_host, ports, ...
"""

from __future__ import annotations

import io
import json
import random
import shlex
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.sandbox import docker_trouble, traces
from tests.sandbox.engine import Engine, EngineUnavailable
from tests.sandbox.fetch import PackagesUnavailable, logrotate_into, mongod_binary
from tests.sandbox.image import shop_images
from tests.sandbox.mongod import free_port
from tests.sandbox.seed import add_reclaimable, delete_products, seed_shop
from tests.sandbox.shopfiles import (
    ROOT_USER,
    ShopSettings,
    crontab,
    let_through,
    root_password,
    web_server,
    write_application_files,
    write_shop,
)
from tests.sandbox.standin.api import read_env
from tests.sandbox.trouble import make_trouble

CONTAINERS = ("miniecom_mongo", "miniecom_api", "miniecom_frontend")

COMPOSE_FILE = """\
# The shop's services and volumes on the sandbox's images; published on the loopback address alone.
services:
  mongo:
    image: {images.mongo}
    pull_policy: never
    container_name: miniecom_mongo
    restart: unless-stopped
    environment:
      MONGO_INITDB_ROOT_USERNAME: ${{MONGO_ROOT_USER:?}}
      MONGO_INITDB_ROOT_PASSWORD: ${{MONGO_ROOT_PASSWORD:?}}
    ports:
      - "127.0.0.1:{ports[mongo]}:27017"
    volumes:
      - mongo_data:/data/db
      - mongo_config:/data/configdb

  api:
    image: {images.api}
    pull_policy: never
    container_name: miniecom_api
    restart: unless-stopped
    # As the shop's own file: the API is given this one address of the database, and never reads .env.
    environment:
      MONGO_URI: ${{MONGO_URI:?}}
    depends_on:
      - mongo
    ports:
      - "127.0.0.1:{ports[api]}:3001"
    volumes:
      - api_storage:/app/storage
      - api_logs:/app/logs

  frontend:
    image: {images.frontend}
    pull_policy: never
    container_name: miniecom_frontend
    restart: unless-stopped
    environment:
      FRONTEND_PORT: "80"
    depends_on:
      - api
    ports:
      - "127.0.0.1:{ports[frontend]}:80"

  worker:
    image: {images.api}
    pull_policy: never
    container_name: miniecom_worker
    profiles: [worker]
    env_file: .env

  nginx:
    image: {images.frontend}
    pull_policy: never
    container_name: miniecom_nginx
    profiles: [nginx]
    volumes:
      - ./nginx:/etc/nginx/conf.d:ro
      - frontend_dist:/usr/share/nginx/html:ro

  mongo-express:
    image: {images.base}
    pull_policy: never
    container_name: miniecom_mongo_express
    profiles: [tools]

volumes:
  mongo_data:
  mongo_config:
  api_storage:
  api_logs:
  frontend_dist:
"""


Say = Callable[[str], None]
# What .env still names, and the API does not use.
FORMER_DATABASE = "handmade_harmony_2019"
FACTS = "sandbox.json"
FORMAT = 1
USERS, ORDERS, MEGABYTES = 400, 1200, 200


class SandboxError(Exception):
    """The sandbox cannot be raised or removed; the text says why and what to do."""


class Compose:
    """One compose sandbox in a directory.

    say: takes a line of progress.
    megabytes: how much the database grows before two thirds of it are deleted again.
    """

    deployment = "compose"

    def __init__(self, directory: Path, say: Say = lambda text: None, *, megabytes: int = MEGABYTES) -> None:
        self.directory = Path(directory).absolute()
        self.root = self.directory / "opt/miniecom"
        self.megabytes = megabytes
        self.say = say
        self.engine = Engine(self.directory / "engine", socket_path=self.directory / "run/docker.sock")
        self.facts = self._read_facts()

    # -- facts ---------------------------------------------------------------------------------------------------

    def _read_facts(self) -> dict[str, Any]:
        try:
            facts = json.loads((self.directory / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) and facts.get("format") == FORMAT else {}

    def _write_facts(self) -> None:
        partial = self.directory / f".{FACTS}.partial"
        partial.write_text(json.dumps(self.facts, indent=2) + "\n", encoding="utf-8")
        partial.rename(self.directory / FACTS)

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

    def states(self) -> dict[str, str]:
        """The state of each of the shop's containers; empty when the engine does not answer."""
        if not self.engine.running:
            return {}
        found = {c["Names"][0].lstrip("/"): str(c["State"]) for c in self.engine.api("GET", "/containers/json?all=1")}
        return {name: found.get(name, "missing") for name in CONTAINERS}

    def is_healthy(self) -> bool:
        """Whether all three containers run and the API answers; a shop in maintenance is as well."""
        states = self.states()
        if not self.facts.get("complete") or not states or any(state != "running" for state in states.values()):
            return False
        answer = self.health()
        return bool(answer.get("mongoConnected") or answer.get("maintenance"))

    # -- the four commands ---------------------------------------------------------------------------------------

    def up(self) -> bool:
        """Raise the sandbox; False when it was up already and nothing was done.

        Raises EngineUnavailable when no engine can run here.
        """
        if self.is_healthy():
            return False
        self.engine.check_machine()
        if self.facts.get("complete"):
            self.say("starting again what does not run")
            # After a reboot: the engine finds its containers, images and volumes again.
            self.engine.start(keep_data=True)
            self._start()
            return True
        if self.facts:
            self.say("removing what an interrupted start has left")
            self.down()
        elif self.directory.is_dir() and any(self.directory.iterdir()):
            raise SandboxError(f"{self.directory} is not empty and no sandbox; name another directory or empty it")
        self._make()
        return True

    def down(self) -> None:
        """End containers and engine and remove the directory."""
        if not self.directory.exists():
            return
        if not self.facts and any(self.directory.iterdir()):
            raise SandboxError(f"{self.directory} has no {FACTS}: it is no sandbox and is left alone")
        self.engine.stop()
        # Whoever is interrupted here finds a sandbox, and not a directory of strange files, the next time.
        for path in self.directory.iterdir():
            if path.name != FACTS:
                traces.remove(path)
        traces.remove(self.directory)
        self.facts = {}

    def renew(self) -> None:
        """Make new trouble of every kind; the sandbox is up. The shop is away for some seconds meanwhile."""
        if not self.is_healthy():
            raise SandboxError("the sandbox is not up; raise it first")
        self.facts["rounds"] += 1
        self._docker_trouble()
        self._start()
        self.say("deleting products and growing collections")
        with closing(self.client()) as client:
            database = client[self.facts["database"]]
            delete_products(database)
            add_reclaimable(database, self.megabytes, rng_seed=random.randrange(1 << 30))
        self.say("new trouble in the shop's directory")
        make_trouble(self.root)
        self._write_facts()

    def lines(self) -> list[str]:
        """The sandbox in a few lines for a person."""
        if not self.facts:
            return [f"no sandbox in {self.directory}"]
        states = self.states()
        answer = self.health() if states.get("miniecom_api") == "running" else {"status": "down"}
        state = ", ".join(f"{key} {value}" for key, value in answer.items() if key != "timestamp")
        lines = [f"compose sandbox in {self.directory}"]
        for name, kind in (("api", "API"), ("frontend", "frontend"), ("mongo", "MongoDB")):
            address = f"{'' if name == 'mongo' else 'http://'}127.0.0.1:{self.ports[name]}"
            lines.append(f"  {kind:<9} {address:<24} container {states.get(f'miniecom_{name}', 'DOWN')}")
        lines.append(f"  engine    {self.engine.docker_host}{'' if states else ' DOWN'}")
        lines.append(f"  docker    {self.directory / 'programs/docker'}")
        return [*lines, f"  health    {state}", f"  directory    {self.root}"]

    # -- making it -----------------------------------------------------------------------------------------------

    def _make(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        # The .env that everybody can read is part of the trouble; that nobody really can is this directory's doing.
        let_through(self.directory, web_server(self.directory))
        self.facts = {
            "format": FORMAT,
            "deployment": self.deployment,
            "complete": False,
            "directory": str(self.directory),
            "root": str(self.root),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "docker_host": self.engine.docker_host,
            "ports": _free_ports("mongo", "api", "frontend"),
            "rounds": 1,
        }
        self._write_facts()
        try:
            self._make_all()
        except EngineUnavailable:
            self.down()
            raise

    def _make_all(self) -> None:
        for name in ("run", "programs", "cron", "log"):
            (self.directory / name).mkdir()
        # As on a real host: the lease and all records are nobody else's business.
        for name in ("state", "record"):
            (self.directory / name).mkdir(mode=0o700)
        self.say("a private Docker Engine")
        self.engine.start()
        mongod_binary(self.say)
        self.say("loading images; the first time Debian is fetched for them, half a minute")
        images = shop_images(self.engine)
        self.facts["images"] = asdict(images)
        # Before the shop runs: the engine is restarted for it.
        self._docker_trouble()
        self.say(f"the shop's directory: {self.root}")
        settings = ShopSettings(
            self.root, "mongo:27017", root_password(), api_port=3001, frontend_port=80, former_database=FORMER_DATABASE
        )
        self.facts["database"] = settings.database
        compose_file = COMPOSE_FILE.format(images=images, ports=self.ports)
        write_shop(settings, {"docker-compose.yml": compose_file}, web_server(self.directory))
        # Where this sandbox's runs look for jobs. Nothing runs them.
        (self.directory / "cron/root").write_text(crontab(self.root), encoding="utf-8")
        # In containers, what customers upload and the API writes is not in the shop's directory.
        for name in ("uploads", "storage"):
            shutil.rmtree(self.root / "backend" / name, ignore_errors=True)
        self._programs()
        self._start()
        self.say(f"filling the database with a shop, then {self.megabytes} MB of which two thirds are deleted again")
        self._fill_application()
        with closing(self.client()) as client:
            database = client[settings.database]
            seed_shop(database, users=USERS, orders=ORDERS)
            add_reclaimable(database, self.megabytes)
            client[FORMER_DATABASE].orders.insert_one({"orderNumber": "HH-0001", "note": "before the move"})
        self.say("trouble: open modes, secrets in code, 400 backups, large and old logs")
        make_trouble(self.root)
        self.facts["complete"] = True
        self._write_facts()
        if not self.is_healthy():
            raise SandboxError(f"the shop runs but is not healthy: {self.health()}; containers: {self.states()}")

    def _docker_trouble(self) -> None:
        self.say("old images, build cache, containers and volumes on the engine")
        made = docker_trouble.make(self.engine, self.facts["images"]["base"], serial=self.facts["rounds"])
        self.facts["docker_trouble"] = made.as_dict()

    def _programs(self) -> None:
        """The docker command for people, and what the sandbox's runs need of programs."""
        environment = self.engine.environment()
        client = shutil.which("docker", path=environment["PATH"])
        lines = ["#!/bin/sh", "# docker and docker compose, talking to the sandbox's engine"]
        lines += [f"export {name}={shlex.quote(environment[name])}" for name in ("DOCKER_HOST", "DOCKER_CONFIG")]
        path = self.directory / "programs/docker"
        path.write_text("\n".join([*lines, f'exec {shlex.quote(str(client))} "$@"', ""]), encoding="utf-8")
        path.chmod(0o755)
        try:
            self.facts["logrotate"] = str(logrotate_into(self.directory / "programs"))
        except PackagesUnavailable as error:
            self.say(f"no logrotate: {error}; install it with: sudo apt-get install logrotate")

    def _start(self) -> None:
        """Bring the shop up with docker compose and wait until it serves."""
        self.say("docker compose up")
        self.engine.docker("compose", "up", "--detach", "--no-build", cwd=self.root, timeout=180)
        deadline = time.monotonic() + 90
        while True:
            answer = self.health()
            if answer.get("mongoConnected") or answer.get("maintenance"):
                break
            if time.monotonic() > deadline:
                log = self.engine.docker("compose", "logs", "--tail", "10", cwd=self.root, check=False)
                raise SandboxError(f"the API does not serve: {answer}; containers: {self.states()}\n{log}")
            time.sleep(0.05)
        self.say(f"the API on http://127.0.0.1:{self.ports['api']}")

    def client(self) -> Any:
        """A MongoClient of the published port, as root; the container makes that user at its first start."""
        import pymongo
        from pymongo.errors import PyMongoError

        options = {"username": ROOT_USER, "password": self.env["MONGO_ROOT_PASSWORD"], "directConnection": True}
        deadline = time.monotonic() + 60
        while True:
            client: Any = pymongo.MongoClient(
                "127.0.0.1", self.ports["mongo"], serverSelectionTimeoutMS=2000, **options
            )
            try:
                client.admin.command("dbStats")
                return client
            except PyMongoError:
                client.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _fill_application(self) -> None:
        """Put uploads, invoices and labels where the API has them: uploads in its container, the rest in a volume."""
        buffer = io.BytesIO()
        with tempfile.TemporaryDirectory(dir=self.engine.directory) as name:
            write_application_files(Path(name))
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                archive.add(name, arcname=".", filter=_as_root)
        path = "/containers/miniecom_api/archive?path=/app"
        headers = {"Content-Type": "application/x-tar"}
        status, answer = self.engine.request("PUT", path, buffer.getvalue(), headers)
        if status != 200:
            raise SandboxError(f"files cannot be put into the API's container: {status} {answer.decode()}")


def up(directory: Path, *, say: Say = print, megabytes: int = MEGABYTES) -> dict[str, Any]:
    """Raise the sandbox of a directory and return its facts."""
    sandbox = Compose(directory, say, megabytes=megabytes)
    sandbox.up()
    return sandbox.facts


def renew(directory: Path, *, say: Say = print, megabytes: int = MEGABYTES) -> dict[str, Any]:
    """Make new trouble in the sandbox of a directory and return its facts."""
    sandbox = Compose(directory, say, megabytes=megabytes)
    sandbox.renew()
    return sandbox.facts


def down(directory: Path) -> None:
    """Remove the sandbox of a directory without trace."""
    Compose(directory).down()


def status(directory: Path) -> dict[str, Any]:
    """The facts of the sandbox of a directory, with ``up`` and the state of each container."""
    sandbox = Compose(directory)
    return {**sandbox.facts, "up": sandbox.is_healthy(), "containers": sandbox.states()}


def _free_ports(*names: str) -> dict[str, int]:
    ports: dict[str, int] = {}
    while len(set(ports.values())) < len(names):
        ports = {name: free_port() for name in names}
    return ports


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry
