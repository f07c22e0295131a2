# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker Engine that an ordinary user runs, by Docker's own script, out of unpacked Debian packages.

The user exists in a mount namespace alone, and the engine in a process namespace, which ends with it: nothing of the machine is
changed, and nothing stays behind.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.sandbox import dockerd, traces
from tests.sandbox.dockerd import EngineUnavailable, unpacked
from tests.sandbox.engine import Engine

PACKAGES = ["rootlesskit", "uidmap", "slirp4netns", "libslirp0", "libsubid4"]
UID = 23456
# The user, and the ids that belong to it, are known to what runs below this alone. /dev/net/tun, open to everybody on a usual
# machine, may be root's in a container. The shell stays the namespace's first process: who changes the user is spared the signal that
# comes when a parent ends.
NAMESPACE = """
set -e
cd "$1"
for name in passwd group subuid subgid; do mount --bind "$name" "/etc/$name"; done
mknod -m 666 tun c 10 200
mount --bind tun /dev/net/tun
setpriv --reuid "$2" --regid "$2" --clear-groups "$3" --data-root "$1/home/data" --iptables=false --ip6tables=false
exit $?
"""


def _killed_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class RootlessEngine(Engine):
    """An engine of an ordinary user; used as a context manager."""

    def __init__(self, release: str = "bookworm") -> None:
        # A path that the user may pass through, which a test's directory is not.
        self.home = Path(tempfile.mkdtemp(prefix="mcm-rootless-"))
        super().__init__(self.home / "engine", release, socket_path=self.home / "run" / "docker.sock")
        self.socket = self.wanted_socket

    @property
    def data_root(self) -> Path:
        return self.home / "home" / "data"

    def __enter__(self) -> RootlessEngine:
        try:
            self._begin()
        except BaseException:
            self.stop()
            raise
        return self

    def _begin(self) -> None:
        self.check_machine()
        programs = dockerd.programs(self.release)
        tools = unpacked(PACKAGES, "bookworm")
        self.home.chmod(0o755)
        self.directory.mkdir()
        for name, line in (
            ("passwd", f"shopop:x:{UID}:{UID}::{self.home}/home:/bin/sh\n"),
            ("group", f"shopop:x:{UID}:\n"),
            ("subuid", "shopop:300000:65536\n"),
            ("subgid", "shopop:300000:65536\n"),
        ):
            known = Path("/etc", name).read_text(encoding="utf-8") if name in ("passwd", "group") else ""
            (self.home / name).write_text(known + line, encoding="utf-8")
        for name in ("home", "run"):
            (self.home / name).mkdir(mode=0o700)
            os.chown(self.home / name, UID, UID)
        environment = programs.environment(self.directory)
        libraries = [str(path) for path in tools.glob("usr/lib/*-linux-gnu")]
        environment.update(
            PATH=f"{tools}/usr/bin:{environment['PATH']}",
            LD_LIBRARY_PATH=":".join([*libraries, environment["LD_LIBRARY_PATH"]]),
            HOME=str(self.home / "home"),
            TMPDIR=str(self.home / "home"),
            XDG_RUNTIME_DIR=str(self.home / "run"),
            DOCKERD_ROOTLESS_ROOTLESSKIT_NET="slirp4netns",
        )
        script = programs.find("dockerd").parents[1] / "share/docker.io/contrib/dockerd-rootless.sh"
        namespaces = "unshare --mount --propagation private --pid --fork --kill-child --mount-proc sh -c".split()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*namespaces, NAMESPACE, "sh", str(self.home), str(UID), str(script)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_killed_with_parent,
            )
        deadline = time.monotonic() + 60
        while not self.running:
            if self._process.poll() is not None or time.monotonic() > deadline:
                words = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
                raise EngineUnavailable(f"a rootless engine does not run here: {' | '.join(words)}")
            time.sleep(0.05)

    def stop(self, keep: bool = False) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
        deadline = time.monotonic() + 20
        while self.processes() or self.home.exists():
            if not self.processes():
                shutil.rmtree(self.home, ignore_errors=True)
            if time.monotonic() > deadline:
                raise EngineUnavailable(f"the engine in {self.home} does not end")
            time.sleep(0.05)

    def processes(self) -> list[int]:
        """What runs of it: whatever it starts has its place in its arguments."""
        return [pid for pid, argv in traces.processes() if any(str(self.home) in word for word in argv)]

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", "/info")
        return found
