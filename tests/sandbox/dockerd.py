# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of a private Docker Engine: where they come from and what they need to run uninstalled."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.sandbox.apt import PackagesUnavailable, debian_package

# Debian 12's runc and client serve all of them: the later ones want a newer libc. What a release names first is found
# first. sid moves on: its versions are pinned, so that a newer one fails loudly instead of being another engine.
BOOKWORM = ("bookworm", ["docker.io", "containerd", "runc", "libdevmapper1.02.1"])
RELEASES: dict[str, list[tuple[str, list[str]]]] = {
    "bookworm": [BOOKWORM],
    "trixie": [("trixie", ["docker.io", "containerd"]), BOOKWORM],
    "sid": [("sid", ["docker.io=28.5.2+dfsg4-5", "containerd=2.1.9+ds1-5"]), BOOKWORM],
}
# The resolver of container names works through NAT rules inside each container's own network namespace.
IPTABLES = [
    "iptables",
    "libip4tc2",
    "libip6tc2",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
    "libxtables12",
]
CLI_PLUGINS = ("docker-compose", "docker-buildx")


class EngineUnavailable(Exception):
    """No private engine can run here; the text says why."""


def unpacked(names: list[str], suite: str) -> Path:
    """A directory with Debian packages in it; EngineUnavailable when they cannot be had."""
    try:
        return debian_package(names, suite)
    except PackagesUnavailable as error:
        raise EngineUnavailable(f"the engine's packages are not to be had: {error}") from error


@dataclass(frozen=True)
class Programs:
    """The unpacked programs of one release."""

    roots: tuple[Path, ...]
    iptables: Path

    @property
    def path(self) -> list[Path]:
        return [root / directory for root in self.roots for directory in ("usr/bin", "usr/sbin", "sbin")]

    def find(self, name: str) -> Path:
        for directory in self.path:
            if (directory / name).is_file():
                return directory / name
        raise EngineUnavailable(f"{name} is in none of the unpacked packages")

    def environment(self, home: Path) -> dict[str, str]:
        """The environment that dockerd runs in: nothing of the caller's but PATH, its files in the engine's directory.

        Raises EngineUnavailable when container names could not resolve.
        """
        path = [str(home / "bin"), *map(str, self.path), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
        roots = [*self.roots, self.iptables]
        libraries = {
            str(p) for root in roots for where in ("lib", "usr/lib") for p in root.glob(f"{where}/*-linux-gnu")
        }
        environment = {
            "PATH": ":".join(path),
            "LD_LIBRARY_PATH": ":".join(sorted(libraries)),
            "XTABLES_LOCKFILE": str(home / "xtables.lock"),
            "XTABLES_LIBDIR": str(next(self.iptables.glob("usr/lib/*/xtables"))),
            "HOME": str(home),
            "TMPDIR": str(home),
        }
        _choose_iptables(self.iptables / "usr/sbin", home / "bin", environment)
        return environment


def programs(release: str) -> Programs:
    """Unpack what a release needs; EngineUnavailable when it cannot be had."""
    roots = tuple(unpacked(names, suite) for suite, names in RELEASES[release])
    return Programs(roots, unpacked(IPTABLES, BOOKWORM[0]))


def client_environment(docker_host: str) -> tuple[dict[str, str], list[str]]:
    """What makes the docker command talk to one engine and to no other, and the directories of its plugins."""
    # The client is always Debian 12's: it talks to every engine here and needs nothing newer of the machine.
    client = unpacked(BOOKWORM[1], BOOKWORM[0]) / "usr/bin"
    plugins = [str(unpacked([name], "trixie") / "usr/libexec/docker/cli-plugins") for name in CLI_PLUGINS]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    environment.update(PATH=f"{client}:{os.environ.get('PATH', os.defpath)}", DOCKER_HOST=docker_host)
    return environment, plugins


def _choose_iptables(programs: Path, directory: Path, environment: dict[str, str]) -> None:
    """Link the variant of iptables that this kernel understands into a directory."""
    directory.mkdir(exist_ok=True)
    for kind in ("nft", "legacy"):
        for name in ("iptables", "ip6tables"):
            (directory / name).unlink(missing_ok=True)
            (directory / name).symlink_to(programs / f"xtables-{kind}-multi")
        # Tried in an empty network namespace: no rule of the machine is read or written.
        probe = "iptables -t nat -A OUTPUT -d 127.0.0.11 -p udp --dport 53 -j DNAT --to-destination 127.0.0.11:40000"
        done = subprocess.run(
            ["unshare", "--net", *probe.split()], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
    raise EngineUnavailable(f"the kernel has no NAT, container names would not resolve: {done.stderr.strip()}")
