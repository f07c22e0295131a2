# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages unpacked into the cache, without installing anything on the machine."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT_SOURCES = Path("/etc/apt")
_DEBIAN_SUITES = ("bullseye", "bookworm", "trixie", "forky", "sid", "stable", "oldstable", "testing", "unstable")


class PackagesUnavailable(Exception):
    """A Debian package cannot be had on this machine; the text says why."""


def mirror(directory: Path = APT_SOURCES) -> str:
    """Return the address of the Debian archive that the machine's own apt uses.

    Nothing else is tried: a machine behind a proxy or with a local mirror has said where packages come from.
    """
    files = sorted(directory.glob("sources.list.d/*.sources"))
    for path in files:
        for stanza in re.split(r"\n\s*\n", path.read_text(encoding="utf-8", errors="replace")):
            fields: dict[str, str] = {}
            for line in stanza.splitlines():
                if ":" in line and not line.startswith(("#", " ")):
                    name, _colon, value = line.partition(":")
                    fields[name.strip().lower()] = value.strip()
            if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
                if set(fields.get("suites", "").split()) & set(_DEBIAN_SUITES):
                    return fields["uris"].split()[0]
    for path in [directory / "sources.list", *sorted(directory.glob("sources.list.d/*.list"))]:
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            words = re.sub(r"\[[^]]*\]", "", line.split("#", 1)[0]).split()
            if len(words) >= 4 and words[0] == "deb" and words[2] in _DEBIAN_SUITES:
                return words[1]
    raise PackagesUnavailable(f"no Debian archive in the apt sources under {directory}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file: two test runs may fill the same cache at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise PackagesUnavailable(f"{command[0]} failed ({done.returncode}): {done.stdout.strip()[-600:]}")


def _apt(suite: str) -> list[str]:
    """The apt-get command with a configuration of its own for one suite: the machine's lists stay as they are."""
    home = CACHE / "apt" / suite
    for directory in ("lists/partial", "archives/partial"):
        (home / directory).mkdir(parents=True, exist_ok=True)
    sources = home / "debian.sources"
    sources.write_text(
        f"Types: deb\nURIs: {mirror()}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n", encoding="utf-8"
    )
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": home / "lists",
        "Dir::Cache": home,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",
    }
    return ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]


def debian_package(names: Sequence[str], suite: str = "bookworm") -> Path:
    """Unpack Debian packages into the cache and return the directory that stands for their root.

    names: packages, each as ``name`` or ``name=version``; what they depend on has to be named too.
    suite: the Debian release they come from.
    Raises PackagesUnavailable when the machine has no apt or the archive does not have them.
    """
    names = [names] if isinstance(names, str) else sorted(names)
    digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:10]
    target = CACHE / "deb" / suite / f"{names[0].split('=')[0]}-{digest}"
    if target.is_dir():
        return target
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise PackagesUnavailable(f"{program} is not on this machine: Debian packages cannot be unpacked")
    if not KEYRING.is_file():
        raise PackagesUnavailable(f"{KEYRING} is missing: Debian packages cannot be checked")
    with locked(CACHE / "deb" / ".lock"):
        if target.is_dir():
            return target
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        downloads = partial / "archives"
        downloads.mkdir(parents=True)
        apt = _apt(suite)
        _run([*apt, "update"])
        _run([*apt, "download", *names], cwd=downloads)
        for archive in sorted(downloads.glob("*.deb")):
            _run(["dpkg-deb", "-x", str(archive), str(partial)])
        shutil.rmtree(downloads)
        partial.rename(target)
    return target
