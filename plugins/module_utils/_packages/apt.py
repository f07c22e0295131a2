# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks apt and dpkg, and has apt install.

What apt prints goes into a file rather than a pipe, and it runs in a session of its own: should this process be killed, apt goes on
to its end instead of leaving packages half installed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from datetime import datetime, timezone
from typing import Dict, List, Optional, Sequence, Tuple

from .._core.errors import MaintenanceError, from_os_error
from .._core.late_dataclass import dataclass
from .reading import (
    InstalledPackage,
    PackageChange,
    Update,
    apt_complaint,
    newer_kernel,
    read_changes,
    read_installed,
    read_releases,
    read_updates,
    silent_sources,
)

PROGRAMS = ("apt-get", "apt-cache", "apt-config", "apt-mark", "dpkg", "dpkg-query")
# Nobody is there to answer; what the administrator has changed in a configuration file stays; and needrestart only lists: it would
# restart the engine or the database in the middle of the day.
_ENVIRONMENT = {
    "LC_ALL": "C",
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "UCF_FORCE_CONFFOLD": "1",
    "NEEDRESTART_MODE": "l",
}
_REBOOT_FLAGS = ("/run/reboot-required", "/var/run/reboot-required")
_KERNEL_LINKS = ("/boot/vmlinuz", "/vmlinuz")


@dataclass(frozen=True)
class Said:
    """What a program printed, and its exit status."""

    status: int
    text: str


def has_apt() -> bool:
    return all(_program(name) for name in PROGRAMS)


def _program(name: str) -> Optional[str]:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")


def ask_apt(command: Sequence[str]) -> Said:
    """Run a program to its end.

    Raises:
        MaintenanceError: it cannot be started.
    """
    kept = {name: value for name, value in os.environ.items() if name in ("APT_CONFIG", "http_proxy", "https_proxy")}
    environment = {**kept, **_ENVIRONMENT, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    with tempfile.TemporaryFile() as printed:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise from_os_error("cannot start %s" % command[0], error, target=command[0]) from error
        status = process.wait()
        printed.seek(0)
        return Said(status, printed.read().decode("utf-8", "replace"))


def _answer(command: Sequence[str], what: str) -> str:
    said = ask_apt(command)
    if said.status:
        raise MaintenanceError(
            "%s: %s" % (what, apt_complaint(said.text) or said.text.strip()[-300:] or "it gave no reason"),
            code=said.status,
            next_step="Look at what `%s` prints on the host." % " ".join(command[:3]),
        )
    return said.text


def installed_packages() -> List[InstalledPackage]:
    """Raises MaintenanceError: dpkg does not tell."""
    native = _answer(["dpkg", "--print-architecture"], "cannot ask dpkg for the architecture").strip()
    shown = "--showformat=${Package}\t${Architecture}\t${Status}\n"
    return read_installed(_answer(["dpkg-query", "--show", shown], "cannot list what is installed"), native)


def newer_packages(installed: Sequence[InstalledPackage]) -> List[Update]:
    """What apt's lists know to be newer. Raises MaintenanceError: it does not tell."""
    releases = read_releases(_answer(["apt-cache", "policy"], "cannot ask apt for its sources"))
    names = [package.name for package in installed]
    table = _answer(["apt-cache", "policy", *names], "cannot ask apt for versions") if names else ""
    return read_updates(table, releases, frozenset(package.name for package in installed if package.held))


def lists_moment() -> Optional[datetime]:
    """When apt's lists were last asked for; None when there are none. Raises MaintenanceError: they cannot be looked at."""
    said = _answer(["apt-config", "shell", "LISTS", "Dir::State::lists/d"], "cannot ask apt where its lists lie")
    directory = said.strip().partition("=")[2].strip("'\"") or "/var/lib/apt/lists"
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_os_error("cannot look at apt's lists", error, target=directory) from error
    if not any(name.endswith("Release") for name in names):
        return None
    moments = []
    for path in (directory, os.path.join(directory, "partial"), "/var/lib/apt/periodic/update-success-stamp"):
        try:
            moments.append(os.stat(path).st_mtime)
        except OSError:
            continue
    return datetime.fromtimestamp(max(moments), tz=timezone.utc) if moments else None


def refresh_lists(lock_timeout: int) -> List[str]:
    """Fetch apt's lists anew.

    Returns:
        The sources that did not answer: what they offer is not known.

    Raises:
        MaintenanceError: it failed altogether.
    """
    said = ask_apt(
        ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=%d" % lock_timeout, "-o", "APT::Update::Error-Mode=any", "update"]
    )
    silent = silent_sources(said.text)
    if said.status and not silent:
        raise MaintenanceError(
            "apt-get update failed: %s" % (apt_complaint(said.text) or said.text.strip()[-300:]),
            code=said.status,
            next_step="Nothing was installed. Run apt-get update on the host.",
        )
    return silent


def _install(packages: Sequence[Tuple[str, str]]) -> List[str]:
    """Newer versions of what is there, and nothing else: no package is removed for them, nor one that is only recommended added."""
    options = ["-q", "-y", "--no-remove", "--only-upgrade", "-o", "APT::Install-Recommends=false"]
    return ["apt-get", *options, "install", *("%s=%s" % package for package in packages)]


def simulate(packages: Sequence[Tuple[str, str]]) -> Tuple[Optional[List[PackageChange]], str]:
    """What apt would do to have these versions; None and the reason where it would refuse.

    Raises:
        MaintenanceError: it cannot be started.
    """
    command = _install(packages)
    # Even then it would write a log of how it planned.
    options = ["-s", "-o", "Debug::NoLocking=true", "-o", "Dir::Log::Planner=/dev/null"]
    said = ask_apt([command[0], *options, *command[1:]])
    if said.status:
        return None, apt_complaint(said.text) or "apt-get gave no reason"
    return read_changes(said.text), ""


def install_versions(packages: Sequence[Tuple[str, str]], lock_timeout: int) -> None:
    """Have apt install these versions.

    Raises:
        MaintenanceError: it failed.
    """
    automatic = set(_answer(["apt-mark", "showauto"], "cannot ask apt what was installed by itself").split())
    options = ["-o", "DPkg::Lock::Timeout=%d" % lock_timeout]
    options += ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]
    command = _install(packages)
    said = ask_apt([command[0], *options, *command[1:]])
    # Named on a command line, a package counts as wanted for its own sake from then on.
    again = sorted(automatic & {name for name, _version in packages})
    if again:
        _answer(["apt-mark", "auto", *again], "cannot mark packages as installed by themselves")
    if said.status:
        raise MaintenanceError(
            "apt-get failed: %s" % (apt_complaint(said.text) or said.text.strip()[-300:]),
            code=said.status,
            next_step="Look at /var/log/apt/term.log. `dpkg --configure -a` finishes what was begun.",
        )


def versions_now(names: Sequence[str]) -> Dict[str, str]:
    """The installed version of each of these packages."""
    said = ask_apt(
        ["dpkg-query", "--show", "--showformat=${Package}\t${Package}:${Architecture}\t${Version}\t${Status}\n", *names]
    )
    found = {}
    for line in said.text.splitlines():
        fields = line.split("\t")
        if len(fields) == 4 and fields[3].endswith(" installed"):
            found[fields[1]] = fields[2]
            found.setdefault(fields[0], fields[2])
    return found


def reboot_reasons() -> List[str]:
    """Why the host has to be started anew, empty when it does not have to."""
    found = []
    for path in _REBOOT_FLAGS:
        if os.path.exists(path):
            try:
                with open(path + ".pkgs", encoding="utf-8", errors="replace") as handle:
                    names = sorted(set(handle.read().split()))
            except OSError:
                names = []
            found.append("installed: %s" % ", ".join(names) if names else "a package asks for it")
            break
    for path in _KERNEL_LINKS:
        if os.path.islink(path):
            kernel = newer_kernel(platform.release(), os.readlink(path))
            if kernel:
                found.append("kernel %s is installed, %s runs" % (kernel, platform.release()))
            break
    return found
