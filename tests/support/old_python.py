# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The oldest Python that targets may have, with the last libraries that run on it."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = "3.8"
# The last releases for Python 3.8.
PACKAGES = ("pymongo==4.10.1", "docker==7.2.0")


class PythonUnavailable(Exception):
    """There is no such interpreter on this machine."""


def _works(program: str) -> bool:
    code = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{VERSION}')"
    try:
        return subprocess.run([program, "-c", code], capture_output=True, timeout=60).returncode == 0
    except OSError:
        return False


def find_interpreter() -> str:
    """A Python 3.8 from PATH or from pyenv's directory."""
    candidates = [shutil.which(f"python{VERSION}") or ""]
    candidates += sorted(map(str, Path.home().glob(f".pyenv/versions/{VERSION}.*/bin/python")), reverse=True)
    for candidate in candidates:
        if candidate and _works(candidate):
            return candidate
    raise PythonUnavailable(f"no python{VERSION} on PATH or in ~/.pyenv/versions")


def old_python() -> Path:
    """The interpreter of a virtual environment with PACKAGES, made once in .cache."""
    directory = ROOT / ".cache" / f"python{VERSION}"
    wanted = "\n".join(PACKAGES)
    stamp = directory / "installed.txt"
    directory.parent.mkdir(exist_ok=True)
    with (directory.parent / f"python{VERSION}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted and _works(str(directory / "bin" / "python"))):
            stamp.unlink(missing_ok=True)
            interpreter = find_interpreter()
            subprocess.run([interpreter, "-m", "venv", "--clear", str(directory)], check=True)
            pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-input"]
            subprocess.run([*pip, *PACKAGES], check=True)
            stamp.write_text(wanted)
    return directory / "bin" / "python"
