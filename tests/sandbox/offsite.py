# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Second places for backups: rsync, restic and rclone of Debian, and an ssh server; nothing is installed on the machine."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.sandbox.apt import CACHE, debian_package, locked
from tests.sandbox.mongod import free_port

PACKAGES = (
    *("libpopt0", "libxxhash0", "rsync", "restic", "rclone"),
    *("libwrap0", "openssh-client", "openssh-server", "openssh-sftp-server"),
)
PROGRAMS = ("rsync", "restic", "rclone", "ssh", "ssh-keygen")
USER = getpass.getuser()


def offsite_package() -> Path:
    """The root that the packages were unpacked to. Raises PackagesUnavailable."""
    return debian_package(PACKAGES)


def offsite_programs() -> Path:
    """A directory for PATH with the programs, each of which finds its libraries. Raises PackagesUnavailable."""
    package = offsite_package()
    directory = CACHE / "programs" / f"offsite-{package.name}"
    with locked(CACHE / "programs" / ".lock"):
        directory.mkdir(parents=True, exist_ok=True)
        libraries = ":".join(sorted({str(path.parent) for path in package.rglob("lib*.so*")}))
        for name in PROGRAMS:
            wrapper = directory / name
            text = f'#!/bin/sh\nLD_LIBRARY_PATH={shlex.quote(libraries)} exec {shlex.quote(str(package / "usr/bin" / name))} "$@"\n'
            if not wrapper.exists() or wrapper.read_text(encoding="utf-8") != text:
                wrapper.write_text(text, encoding="utf-8")
                wrapper.chmod(0o755)
    return directory


@dataclass
class SshServer:
    """A running ssh server.

    log: what it says.
    process: it, with all connections in its process group.
    """

    directory: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def key(self) -> Path:
        return self.directory / "key"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    def target(self, path: Path) -> str:
        return f"{USER}@127.0.0.1:{path}"

    def options(self) -> dict[str, str | int]:
        """Options of backup_offsite that reach it."""
        return {"ssh_key": str(self.key), "known_hosts": str(self.known_hosts), "ssh_port": self.port}


_CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/key.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
SetEnv PATH={programs}:/usr/bin:/bin
{more}
"""
# A server of root's wants a user and a directory that the machine may lack: they exist for it alone.
_OWN_MOUNTS = """
mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && mount --bind "$0" /etc/passwd && exec "$@"
"""


@contextlib.contextmanager
def ssh_server(directory: Path, more: str = "") -> Iterator[SshServer]:
    """An ssh server on a free port that takes one key, made for it.

    more: lines of its configuration.
    """
    programs = offsite_programs()
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "key"):
        command = [str(programs / "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    port = free_port()
    public = (directory / "host_key.pub").read_text(encoding="utf-8")
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}", encoding="utf-8")
    text = _CONFIGURATION.format(port=port, directory=directory, programs=programs, more=more)
    (directory / "sshd_config").write_text(text, encoding="utf-8")
    package = offsite_package()
    argv = [str(package / "usr/sbin/sshd"), "-D", "-e", "-f", str(directory / "sshd_config")]
    if os.geteuid() == 0:
        passwd = directory / "passwd"
        text = Path("/etc/passwd").read_text(encoding="utf-8")
        if "\nsshd:" not in text:
            text += "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
        passwd.write_text(text, encoding="utf-8")
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _OWN_MOUNTS, str(passwd), *argv]
    libraries = ":".join(sorted({str(path.parent) for path in package.rglob("lib*.so*")}))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": libraries},
            start_new_session=True,
        )
    try:
        _wait(process, port, directory / "log")
        yield SshServer(directory, port, process)
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class WebDav:
    """A running WebDAV server that asks for a password.

    password: as a configuration of rclone's holds it.
    """

    port: int
    process: subprocess.Popen[bytes]
    password: str

    def configuration(self, password: str = "") -> str:
        """A remote `vault` of rclone's, with another password if one is given."""
        return (
            f"[vault]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:{self.port}\n"
            f"user = shop\npass = {password or self.password}\n"
        )


def obscured(password: str) -> str:
    """A password as a configuration of rclone's holds it."""
    command = [str(offsite_programs() / "rclone"), "obscure", "-"]
    done = subprocess.run(command, input=password, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextlib.contextmanager
def webdav_server(directory: Path, root: Path, password: str) -> Iterator[WebDav]:
    """A WebDAV server on a free port, by rclone itself.

    directory: for its log.
    root: what it serves; it is made.
    """
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    argv = [str(offsite_programs() / "rclone"), "serve", "webdav", str(root), f"--addr=127.0.0.1:{port}"]
    with (directory / "webdav.log").open("wb") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "RCLONE_USER": "shop", "RCLONE_PASS": password, "HOME": str(directory)},
        )
    try:
        _wait(process, port, directory / "webdav.log")
        yield WebDav(port, process, obscured(password))
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"the server does not listen: {log.read_text(errors='replace')}") from None
            time.sleep(0.05)
