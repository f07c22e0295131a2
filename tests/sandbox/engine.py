# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private Docker Engine out of unpacked Debian packages.

It has its own socket, data, bridge, subnets and control groups inside one directory, so that nothing that the tests or
the sandbox do can reach an engine of the machine, and stopping it leaves nothing behind. It has no way out to other
networks: images are loaded, never pulled.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import http.client
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.sandbox import bridge as net
from tests.sandbox import dockerd, traces
from tests.sandbox.dockerd import RELEASES, EngineUnavailable

# containerd takes no more for its sockets (the kernel would take 107); the longest below the exec root is this one.
SOCKET_PATH_MAX = 104
LONGEST_SOCKET = "exec/containerd/containerd.sock.ttrpc"

__all__ = ["Engine", "EngineError", "EngineUnavailable", "base_image"]

# All that an engine puts into its directory, its log left out.
FILES = "data exec bin cli daemon.json dockerd.pid key.json xtables.lock engine.json engine.json.partial".split()


class EngineError(Exception):
    """The engine answered with an error."""

    def __init__(self, what: str, status: int, text: str) -> None:
        super().__init__(f"{what}: {status} {text}")
        self.status = status


@dataclass(frozen=True)
class _Record:
    """What has to go when the engine stops, kept in a file so that a later process can clean up as well."""

    bridge: str
    block: str
    short: str


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """A private dockerd with everything it needs inside ``directory``.

    directory: absolute or relative path; removed by stop() as a whole unless ``keep`` is given there.
    release: Debian release of dockerd and containerd: bookworm (20.10.24), trixie (26.1.5) or sid (28.5.2).
    store: "classic" (overlay2) or "containerd" (the containerd image store; sid).
    socket_path: where the API's socket shall be; default ``directory/docker.sock``.
    Used as a context manager, the engine also dies with the process that started it.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        release: str = "bookworm",
        store: str = "classic",
        socket_path: str | os.PathLike[str] | None = None,
    ) -> None:
        if release not in RELEASES:
            raise ValueError(f"release must be one of {', '.join(RELEASES)}")
        self.directory = Path(os.path.abspath(directory))
        self.release = release
        self.store = store
        self.wanted_socket = Path(os.path.abspath(socket_path)) if socket_path else self.directory / "docker.sock"
        self._digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:8]
        # Where a directory's path is too long for sockets, they live in a short place and are linked from the directory.
        too_long = max(len(str(self.directory / LONGEST_SOCKET)), len(str(self.wanted_socket))) > SOCKET_PATH_MAX
        self.short = Path(f"/run/mcm-{self._digest}") if too_long else self.directory
        self.socket = self.short / "docker.sock" if too_long else self.wanted_socket
        self.log = self.directory / "dockerd.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._tied = False

    # -- facts ---------------------------------------------------------------------------------------------------

    @property
    def docker_host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def data_root(self) -> Path:
        return self.directory / "data"

    @property
    def bridge(self) -> str:
        return f"mcm{self._digest}"

    @property
    def running(self) -> bool:
        return self._ping()

    @property
    def version(self) -> str:
        return str(self.api("GET", "/version")["Version"])

    def environment(self) -> dict[str, str]:
        """An environment in which ``docker`` and ``docker compose`` talk to this engine and to no other."""
        environment, plugins = dockerd.client_environment(self.docker_host)
        config = self.directory / "cli"
        config.mkdir(parents=True, exist_ok=True)
        (config / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": plugins}), encoding="utf-8")
        return {**environment, "DOCKER_CONFIG": str(config)}

    def docker(self, *arguments: str, timeout: float = 300, check: bool = True, **options: Any) -> str:
        """Run the docker command against this engine and return its output; EngineError when it fails."""
        environment = {**self.environment(), **options.pop("env", {})}
        done = subprocess.run(
            ["docker", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **options,
        )
        if check and done.returncode != 0:
            raise EngineError(f"docker {' '.join(arguments)}", done.returncode, (done.stderr or done.stdout).strip())
        return done.stdout

    # -- the API -------------------------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 300
    ) -> tuple[int, bytes]:
        """Send one request to the API; body is bytes, a file opened for reading or an iterable of bytes."""
        connection = _UnixConnection(str(self.socket), timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def api(self, method: str, path: str, payload: Any = None, timeout: float = 300) -> Any:
        """Send one request with JSON in and out; EngineError for any status from 400 on."""
        body = None if payload is None else json.dumps(payload).encode()
        status, data = self.request(method, path, body, {"Content-Type": "application/json"}, timeout)
        text = data.decode("utf-8", "replace")
        if status >= 400:
            raise EngineError(f"{method} {path}", status, text.strip())
        return json.loads(text) if text.startswith(("{", "[")) and "\n{" not in text.strip() else text

    def _ping(self) -> bool:
        try:
            return self.request("GET", "/_ping", timeout=5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    # -- life ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Engine:
        self.start(tied=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, tied: bool = False, keep_data: bool = False, timeout: float = 60) -> Engine:
        """Start the engine, or do nothing when it already answers.

        What a killed engine left behind in the directory is cleared away first.
        tied: the engine dies with the calling process.
        keep_data: start on the data that is there, as after a reboot, instead of an empty engine.
        Raises EngineUnavailable when it cannot run here.
        """
        if self._ping():
            return self
        self.check_machine()
        programs = dockerd.programs(self.release)
        self._tied = tied
        before = self._record()
        if before is not None:
            self._clear(keep_data)
        self.directory.mkdir(parents=True, exist_ok=True)
        # One at a time looks for a free subnet: two engines that start together must not find the same one.
        with _alone():
            _sweep()
            block = net.free_block(int(self._digest, 16), prefer=before.block if before and keep_data else None)
            self._write_record(_Record(self.bridge, str(block), str(self.short)))
            net.create(self.bridge, str(block[1]), 24)
            if tied:
                net.set_note(self.bridge, f"{os.getpid()} {traces.started(os.getpid())} {self.directory}")
        try:
            self._launch(programs, block)
            self._wait(timeout)
        except BaseException:
            self._clear(keep_data)
            raise
        return self

    def restart(self, timeout: float = 60) -> None:
        """Stop the daemon in an orderly way and start it again on the same data."""
        record = self._record()
        if record is None:
            raise EngineUnavailable(f"no engine was started in {self.directory}")
        self.pause_daemon()
        self._launch(dockerd.programs(self.release), ipaddress.IPv4Network(record.block))
        self._wait(timeout)

    def pause_daemon(self) -> None:
        """Stop the daemon, and the containers with it, in an orderly way; restart() starts it on the same data."""
        self._end_daemon(signal.SIGTERM)

    def stop(self, keep: bool = False) -> None:
        """Stop the engine and its containers at once and remove every trace; the directory too unless keep is set."""
        self._clear()
        if not keep:
            traces.remove(self.directory)

    def kill(self) -> None:
        """Kill the daemon the hard way, as a crash would: everything else stays as it is."""
        for pid in self._daemons():
            traces.send(pid, signal.SIGKILL)
        self._reap()

    # -- starting ------------------------------------------------------------------------------------------------

    def check_machine(self) -> None:
        """Raise EngineUnavailable when this process cannot run an engine on this machine, whatever the packages."""
        if os.name != "posix" or os.uname().sysname != "Linux":
            raise EngineUnavailable("a private Docker Engine runs on Linux only")
        if os.geteuid() != 0:
            raise EngineUnavailable(
                "the compose sandbox runs a Docker Engine of its own and needs root; the native sandbox (DEPLOYMENT=native) does not"
            )
        if not Path("/sys/fs/cgroup").is_dir() or "cgroup" not in Path("/proc/mounts").read_text(encoding="utf-8"):
            raise EngineUnavailable("no control groups are mounted at /sys/fs/cgroup: containers cannot run here")

    def _launch(self, programs: dockerd.Programs, block: ipaddress.IPv4Network) -> None:
        for directory in (self.short, self.socket.parent):
            directory.mkdir(parents=True, exist_ok=True)
        # The bridge has the block's first /24, networks made later get theirs out of its second half.
        pool = list(block.subnets(prefixlen_diff=1))[1]
        config: dict[str, Any] = {
            "features": {"containerd-snapshotter": True} if self.store == "containerd" else {},
            "default-address-pools": [{"base": str(pool), "size": 24}],
        }
        if self.release == "bookworm":
            config["deprecated-key-path"] = str(self.directory / "key.json")
        (self.directory / "daemon.json").write_text(json.dumps(config), encoding="utf-8")
        command = [
            str(programs.find("dockerd")),
            f"--config-file={self.directory / 'daemon.json'}",
            f"--host=unix://{self.socket}",
            f"--data-root={self.data_root}",
            f"--exec-root={self.short / 'exec'}",
            f"--pidfile={self.directory / 'dockerd.pid'}",
            f"--bridge={self.bridge}",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            f"--userland-proxy-path={programs.find('docker-proxy')}",
            # A group of its own tells this engine's containers from all other processes, even after a crash.
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{self.bridge}",
            "--shutdown-timeout=5",
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=programs.environment(self.directory),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent if self._tied else None,
            )

    def _wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._ping():
            if self._process is not None and self._process.poll() is not None:
                raise EngineUnavailable(f"dockerd ended with status {self._process.returncode}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise EngineUnavailable(f"dockerd did not answer within {timeout:.0f} s: {self._last_words()}")
            time.sleep(0.05)
        if self.socket != self.wanted_socket:
            self.wanted_socket.parent.mkdir(parents=True, exist_ok=True)
            self.wanted_socket.unlink(missing_ok=True)
            self.wanted_socket.symlink_to(self.socket)

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "no log"
        telling = [line for line in lines if "level=error" in line or "level=fatal" in line or "failed" in line]
        return " | ".join((telling or lines)[-3:])

    # -- clearing away -------------------------------------------------------------------------------------------

    def _record(self) -> _Record | None:
        try:
            return _Record(**json.loads((self.directory / "engine.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _write_record(self, record: _Record) -> None:
        partial = self.directory / "engine.json.partial"
        partial.write_text(json.dumps(asdict(record)), encoding="utf-8")
        partial.rename(self.directory / "engine.json")

    def _clear(self, keep_data: bool = False) -> None:
        """End every process, mount, bridge and file of this engine, whatever state it is in."""
        record = self._record()
        # The daemon first and without grace: nothing of its data is needed, and it would restart its containers.
        self._end_daemon(signal.SIGKILL)
        exec_root = self.short / "exec"
        deadline = time.monotonic() + 20
        while rest := [*traces.in_group(self.bridge), *traces.of_exec_root(exec_root), *self._daemons()]:
            for pid in rest:
                traces.send(pid)
            self._reap()
            if time.monotonic() > deadline:
                raise EngineUnavailable(f"processes {rest} of the engine in {self.directory} do not end")
            time.sleep(0.02)
        directories = {self.directory, self.short}
        for point in traces.mounts_below(directories):
            traces.unmount(point)
        if mounted := traces.mounts_below(directories):
            # Removing files below a mount would remove what is mounted there.
            raise EngineUnavailable(f"still mounted, nothing was removed: {', '.join(mounted)}")
        net.delete(self.bridge)
        if record is not None:
            for name in net.bridges_within(record.block):
                net.delete(name)
        traces.remove_group(self.bridge)
        for name in FILES[1:] if keep_data else FILES:
            traces.remove(self.directory / name)
        if self.short != self.directory:
            traces.remove(self.short)
        traces.remove(self.socket)
        traces.remove(self.wanted_socket)
        if shutil.which("dockerd", path=os.defpath + ":/usr/sbin") is None:
            traces.tidy()

    def _end_daemon(self, how: int) -> None:
        daemons = self._daemons()
        for pid in daemons:
            traces.send(pid, how)
        deadline = time.monotonic() + 15
        while daemons and time.monotonic() < deadline:
            self._reap()
            daemons = [pid for pid in self._daemons() if pid in daemons]
            time.sleep(0.02)
        for pid in daemons:
            traces.send(pid, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        if self._process is not None:
            try:
                self._process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                return

    def _daemons(self) -> list[int]:
        marker = f"--data-root={self.data_root}"
        return [pid for pid, argv in traces.processes() if marker in argv]


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other engines of this machine from starting meanwhile. A directory is locked, so no lock file stays behind."""
    descriptor = os.open("/run", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep() -> None:
    """Clear away tied engines whose process was killed: dockerd went with it, bridges and data did not."""
    for name in net.bridges_within(str(net.RANGE)):
        pid, _blank, rest = net.note(name).partition(" ")
        started, _blank, directory = rest.partition(" ")
        if directory and traces.started(int(pid)) != started:
            engine = Engine(directory)
            if engine.bridge == name:
                engine.stop()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def base_image(engine: Engine) -> str:
    """Load the base image (Debian 12 with Python) into an engine and return its name."""
    from tests.sandbox.image import base_image as load  # image.py needs this module's Engine

    return load(engine)
