# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real mongod in a directory of its own, on a free loopback port."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from tests.sandbox.daemon import Daemon
from tests.sandbox.fetch import MONGOD_VERSION, mongod_binary, mongod_environment

ROOT = "root"
_PR_SET_PDEATHSIG = 1
_ADDRESS_IN_USE = 48  # mongod's exit status


class MongodError(Exception):
    """mongod did not start; the text has the end of its log."""


def free_port() -> int:
    """A loopback port that nothing listens on now.

    It lies below those that the kernel gives to outgoing connections, so that none of them takes it while a server
    that is to come back is down.
    """
    while True:
        with socket.socket() as probe:
            try:
                port = secrets.randbelow(12_000) + 20_000
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def _die_with_parent() -> None:  # pragma: no cover - runs in the child
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Mongod:
    """mongod with data, log and key file inside ``directory``; starts when it is entered.

    auth: authentication is on; the user ``root`` with ``root_password`` may do everything.
    replica_set: name of a replica set with this one member; None for a standalone.
    port: default a free one.
    root_password: default a random one.
    die_with_parent: the server is killed when the thread that started it ends, so that a killed test run leaves none.
    program: the mongod to run; default the one of the cache.
    version: which one of the cache, of ``fetch.MONGOD_VERSIONS``.
    The server keeps its data, port and password over stop(), kill() and start().
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        auth: bool = False,
        replica_set: str | None = None,
        port: int | None = None,
        *,
        root_password: str | None = None,
        die_with_parent: bool = True,
        program: Path | None = None,
        parameters: dict[str, str] | None = None,
        version: str = MONGOD_VERSION,
    ) -> None:
        self.directory = Path(directory).absolute()
        self.auth = auth
        self.version = version
        self.replica_set = replica_set
        self.port = port or free_port()
        self.root_password = (root_password or secrets.token_urlsafe(18)) if auth else ""
        self._port_is_given = port is not None
        self._die_with_parent = die_with_parent
        self._parameters = {"diagnosticDataCollectionEnabled": "false", **(parameters or {})}
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    # -- facts ---------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        """Connection string of the root user (when auth is on), straight to this server."""
        return self.uri_for("")

    def uri_for(self, database: str) -> str:
        """Connection string with a default database, as the shop's ``.env`` has it."""
        login = f"{ROOT}:{quote(self.root_password, safe='')}@" if self.auth else ""
        options = [text for text in ("authSource=admin" if self.auth else "", "directConnection=true") if text]
        return f"mongodb://{login}{self.address}/{database}?{'&'.join(options)}"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "mongod.log"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def client(self, **options: Any) -> Any:
        """A MongoClient as root; close it, or use it as a context manager."""
        import pymongo

        return pymongo.MongoClient(self.uri, **{"serverSelectionTimeoutMS": 10_000, **options})

    # -- life ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def command(self) -> list[str]:
        command = [
            str(self._program or mongod_binary(version=self.version)),
            "--dbpath",
            str(self.data),
            "--port",
            str(self.port),
        ]
        command += ["--bind_ip", "127.0.0.1"]
        command += ["--logpath", str(self.log), "--logappend", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
        for name, value in self._parameters.items():
            command += ["--setParameter", f"{name}={value}"]
        if self.auth:
            command.append("--auth")
        if self.replica_set:
            command += ["--replSet", self.replica_set, "--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]
            if self.auth:
                command += ["--keyFile", str(self.directory / "keyfile")]
        return command

    def start(self) -> None:
        """Start the server and return when it answers, as root if authentication is on; nothing if it runs."""
        if self.running:
            return
        self.data.mkdir(parents=True, exist_ok=True)
        if self.auth and self.replica_set and not (self.directory / "keyfile").exists():
            descriptor = os.open(self.directory / "keyfile", os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(secrets.token_hex(32))
        for attempt in range(5):
            self._spawn()
            if self._listening():
                break
            status = self._process.wait() if self._process else None
            if status == _ADDRESS_IN_USE and not self._port_is_given and attempt < 4:
                self.port = free_port()  # somebody took the port between our look and the server's start
                continue
            raise MongodError(f"mongod on port {self.port} ended with {status}:\n{self._log_end()}")
        self._port_is_given = True
        self._set_up()

    def stop(self) -> None:
        """Shut the server down in order: a checkpoint is written, no journal is left to replay."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a power failure would; the next start() replays its journal."""
        self._end(signal.SIGKILL)

    def detach(self) -> Daemon:
        """Let go of the server: it stays, and is found again by what is returned."""
        if self._process is None:
            raise MongodError("the server does not run")
        daemon = Daemon.of(self._process.pid)
        self._process.returncode = 0  # nobody shall warn that it still runs
        self._process = None
        return daemon

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def _spawn(self) -> None:
        with (self.directory / "mongod.out").open("ab") as output:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env=None if self._program else mongod_environment(self.version),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                # Only a system call is made there, so threads of this process do not matter.
                preexec_fn=_die_with_parent if self._die_with_parent else None,
            )

    def _listening(self) -> bool:
        """Wait until the server takes connections; False when it ended instead."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if not self.running:
                return False
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.02)
        self.kill()
        raise MongodError(f"mongod on port {self.port} did not listen within 90 seconds:\n{self._log_end()}")

    def _set_up(self) -> None:
        """Ping; at the first start also make the replica set and the root user, through the localhost exception."""
        import pymongo
        from pymongo.errors import OperationFailure

        marker = self.directory / "set-up"
        if not marker.exists():
            with pymongo.MongoClient(
                "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=30_000
            ) as client:
                if self.replica_set:
                    member = {"_id": 0, "host": self.address}
                    try:
                        client.admin.command("replSetInitiate", {"_id": self.replica_set, "members": [member]})
                    except OperationFailure as error:
                        if error.code != 23:  # AlreadyInitialized
                            raise
                    self._wait_for_primary(client)
                if self.auth:
                    client.admin.command("createUser", ROOT, pwd=self.root_password, roles=["root"])
            marker.touch()
        with self.client(serverSelectionTimeoutMS=30_000) as client:
            if self.replica_set:
                self._wait_for_primary(client)
            client.admin.command("dbStats" if self.auth else "ping")

    def _wait_for_primary(self, client: Any) -> None:
        deadline = time.monotonic() + 60
        while not client.admin.command("hello").get("isWritablePrimary"):
            if time.monotonic() > deadline:
                raise MongodError(f"{self.replica_set} has no primary after 60 seconds:\n{self._log_end()}")
            time.sleep(0.05)

    def _log_end(self) -> str:
        text = ""
        for path in (self.directory / "mongod.out", self.log):
            if path.exists():
                text += path.read_text(encoding="utf-8", errors="replace")[-1500:]
        return text
