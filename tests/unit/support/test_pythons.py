# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support import pythons

HERE = "{}.{}".format(*sys.version_info[:2])


def test_what_only_bears_the_name_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shim does that works in some directories only."""
    shim = tmp_path / f"python{HERE}"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    versions = tmp_path / ".pyenv/versions" / f"{HERE}.99" / "bin"
    versions.mkdir(parents=True)
    (versions / "python").symlink_to(os.path.realpath(sys.executable))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pythons.find_interpreter(HERE) == os.path.realpath(sys.executable)


def test_a_version_that_is_nowhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(pythons.PythonUnavailable, match=r"no python3\.4 on PATH or in ~/\.pyenv/versions"):
        pythons.find_interpreter("3.4")


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pythons, "CACHE", tmp_path)
    python = pythons.environment_of(HERE, "one", ["pip"])
    made = python.lstat().st_mtime_ns
    assert pythons.environment_of(HERE, "one", ["pip"]) == python and python.lstat().st_mtime_ns == made
    (tmp_path / "one/installed.txt").unlink()
    pythons.environment_of(HERE, "one", ["pip"])
    assert python.lstat().st_mtime_ns != made, "one that was interrupted is made anew"
