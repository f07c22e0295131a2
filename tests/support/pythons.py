# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Python interpreters of other versions than the checkout's own, and virtual environments of theirs in .cache."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.sandbox.apt import PackagesUnavailable, debian_package, locked

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
# What Debian's testing release has and older ones lack, with the libraries it needs: those of an older release would not do.
FROM_DEBIAN = {"3.14": "forky"}
LIBRARIES = (
    "libbz2-1.0 libc6 libcrypt1 libexpat1 libffi8 libgcc-s1 liblzma5 libsqlite3-0 libssl3t64 libuuid1 libzstd1 zlib1g"
)


class PythonUnavailable(Exception):
    """There is no such interpreter on this machine, and it cannot be had."""


def _works(program: str, version: str) -> bool:
    code = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    try:
        return subprocess.run([program, "-c", code], capture_output=True, timeout=60).returncode == 0
    except OSError:
        return False


def find_interpreter(version: str) -> str:
    """A Python of this version (as in "3.8") from PATH, from pyenv's directory, or unpacked from Debian's packages.

    Raises PythonUnavailable.
    """
    candidates = [shutil.which(f"python{version}") or ""]
    candidates += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")), reverse=True)
    for candidate in candidates:
        # That of a virtual environment lacks what another environment has; the one behind it does not.
        candidate = os.path.realpath(candidate) if candidate else ""
        if candidate and _works(candidate, version):
            return candidate
    if version in FROM_DEBIAN and platform.machine() == "x86_64":
        try:
            return _from_debian(version, FROM_DEBIAN[version])
        except PackagesUnavailable as error:
            raise PythonUnavailable(f"python{version} from Debian {FROM_DEBIAN[version]}: {error}") from error
    raise PythonUnavailable(f"no python{version} on PATH or in ~/.pyenv/versions")


def _from_debian(version: str, suite: str) -> str:
    """Debian's packages in a directory of their own, with their own C library, so that they run on an older release."""
    home = CACHE / f"debian-python{version}"
    program = home / "usr/bin" / f"python{version}"
    with locked(CACHE / f"debian-python{version}.lock"):
        if _works(str(program), version):
            return str(program)
        python = f"python{version}"
        names = [python, f"{python}-minimal", f"{python}-venv", f"lib{python}-minimal", f"lib{python}-stdlib"]
        unpacked = debian_package([*names, "python3-pip-whl", *LIBRARIES.split()], suite)
        patchelf = debian_package(["patchelf"]) / "usr/bin/patchelf"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(unpacked, home, symlinks=True)
        libraries = home / "usr/lib/x86_64-linux-gnu"
        loader = str(libraries / "ld-linux-x86-64.so.2")
        subprocess.run(
            [str(patchelf), "--set-interpreter", loader, "--force-rpath", "--set-rpath", str(libraries), str(program)],
            check=True,
        )
        # Where pip's wheel lies is written into the installation.
        for path in (home / "usr/lib" / python).glob("_sysconfig*"):
            if path.is_symlink():
                continue
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace("/usr/share/python-wheels", f"{home}/usr/share/python-wheels"))
        if not _works(str(program), version):
            raise PackagesUnavailable("what was unpacked does not run here")
    return str(program)


def environment_of(version: str, name: str, packages: Sequence[str], upgrade: bool = False) -> Path:
    """The interpreter of a virtual environment with the packages, made once in .cache.

    version: of Python; name: of the directory; upgrade: look for newer releases that the packages' bounds allow.
    Raises PythonUnavailable.
    """
    directory = CACHE / name
    python = directory / "bin" / "python"
    wanted = "\n".join(packages)
    stamp = directory / "installed.txt"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        present = stamp.exists() and stamp.read_text() == wanted and _works(str(python), version)
        if not present:
            stamp.unlink(missing_ok=True)
            subprocess.run([find_interpreter(version), "-m", "venv", "--clear", str(directory)], check=True)
        if not present or upgrade:
            pip = [str(python), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
            subprocess.run([*pip, *(["--upgrade"] if upgrade else []), *packages], check=True)
            stamp.write_text(wanted)
    return python
