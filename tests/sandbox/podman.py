# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private Podman out of unpacked Debian packages, which answers like a Docker Engine on a socket of its own.

Everything lies in one directory. Its containers can be made and started without a network; it makes no bridge.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.sandbox import dockerd
from tests.sandbox.dockerd import EngineUnavailable
from tests.sandbox.engine import Engine, _die_with_parent

# sid moves on: an engine of another version is to fail loudly. Its libraries are those of a later C library.
PODMAN = ["podman=5.8.6+ds1-3", "conmon", "netavark", "libc6", "libgcc-s1"]
LIBRARIES = (
    "libassuan9 libaudit1 libcap-ng0 libcap2 libffi8 libgpg-error0 libgpgme45 libglib2.0-0t64 libpcre2-8-0 libseccomp2 "
    "libselinux1 libsqlite3-0 libsubid6 libsystemd0 zlib1g libatomic1"
).split()


class Podman(Engine):
    """A private `podman system service`. It takes the same requests as an Engine; a context manager."""

    _service: subprocess.Popen[bytes]

    def __enter__(self) -> Podman:
        return self.start(tied=True)

    def _programs(self) -> Path:
        """Copies of the programs that look for their libraries beside them."""
        root = dockerd.unpacked([*PODMAN, *LIBRARIES], "sid")
        patchelf = dockerd.unpacked(["patchelf"], "bookworm") / "usr/bin/patchelf"
        libraries = next(root.glob("usr/lib/*-linux-gnu"))
        loader = next(libraries.glob("ld-linux-*.so.*"))
        programs = self.directory / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        for name in ("usr/bin/podman", "usr/bin/conmon", "usr/lib/podman/netavark"):
            copy = programs / Path(name).name
            shutil.copy(root / name, copy)
            # Podman runs itself anew for some of its work: started by the loader, that would be the loader.
            command = [str(patchelf), "--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(libraries)]
            subprocess.run([*command, str(copy)], check=True)
        (programs / "runc").unlink(missing_ok=True)
        (programs / "runc").symlink_to(dockerd.programs("bookworm").find("runc"))
        return programs

    def start(self, tied: bool = False, keep_data: bool = False, timeout: float = 60) -> Podman:
        """Start the service; EngineUnavailable when it cannot run here."""
        self.check_machine()
        self.directory.mkdir(parents=True, exist_ok=True)
        programs = self._programs()
        policy = self.directory / ".config/containers/policy.json"
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        containers = self.directory / "containers.conf"
        containers.write_text(
            f'[engine]\nconmon_path=["{programs}/conmon"]\nhelper_binaries_dir=["{programs}"]\nruntime="runc"\n'
            f'cgroup_manager="cgroupfs"\nevents_logger="file"\n[engine.runtimes]\nrunc=["{programs}/runc"]\n'
        )
        storage = self.directory / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver="overlay"\nrunroot="{self.directory}/run"\ngraphroot="{self.data_root}"\n'
        )
        environment = {
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory),
            "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
            "CONTAINERS_CONF": str(containers),
            "CONTAINERS_STORAGE_CONF": str(storage),
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        }
        with self.log.open("ab") as log:
            self._service = subprocess.Popen(
                [str(programs / "podman"), "system", "service", "--time", "0", self.docker_host],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent if tied else None,
            )
        deadline = time.monotonic() + timeout
        while not self.running:
            if self._service.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise EngineUnavailable(f"podman does not answer: {self.log.read_text()[-600:]}")
            time.sleep(0.05)
        return self

    def stop(self, keep: bool = False) -> None:
        """End it, and its containers with it, and remove its directory."""
        if self.running:
            for container in self.api("GET", "/containers/json?all=1"):
                self.api("DELETE", f"/containers/{container['Id']}?force=1")
        self._service.send_signal(signal.SIGTERM)
        try:
            self._service.wait(20)
        except subprocess.TimeoutExpired:
            self._service.kill()
            self._service.wait()
        overlay = self.data_root / "overlay"
        if os.path.ismount(overlay):
            subprocess.run(["umount", "--lazy", str(overlay)], check=True)
        if not keep:
            shutil.rmtree(self.directory)
