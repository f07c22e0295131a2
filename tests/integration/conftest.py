# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.support.furnished import furnish
from tests.support.modules import run_module
from tests.support.sandboxes import Sandbox, sandbox_command


def raised(kind: str, bare: bool = False) -> Iterator[Sandbox]:
    """A sandbox beside the directories of pytest, which let nobody through: the shop's logs belong to another user.

    bare: without the environment that holds the modules' libraries, as a newcomer's host is.
    """
    if kind == "compose" and os.geteuid() != 0:
        lacking("Docker: a private engine needs root")
    parent = Path(tempfile.mkdtemp(prefix="miniecom-sandbox-"))
    parent.chmod(0o711)
    directory = parent / kind
    try:
        sandbox_command("up", kind, directory)
        sandbox = Sandbox(directory, kind)
        if not bare:
            furnish(sandbox)
        yield sandbox
    finally:
        sandbox_command("down", kind, directory)
        parent.rmdir()


@pytest.fixture(scope="session")
def native_sandbox() -> Iterator[Sandbox]:
    """A native sandbox for the tests of whole playbooks."""
    yield from raised("native")


@pytest.fixture(scope="session")
def compose_sandbox() -> Iterator[Sandbox]:
    """A compose sandbox for the tests of whole playbooks."""
    yield from raised("compose")


@pytest.fixture(scope="session")
def kingfisher() -> Path:
    """Kingfisher of the tests' own environment."""
    found = Path(sys.executable).with_name("kingfisher")
    if not found.exists():
        lacking("Kingfisher: kingfisher-bin is not installed beside this interpreter")
    return found


@pytest.fixture(scope="session")
def compiled_rules(tmp_path_factory: pytest.TempPathFactory, kingfisher: Path) -> Path:
    """A state directory whose cache of compiled rules is filled: compiling takes five seconds."""
    directory = tmp_path_factory.mktemp("warm")
    (directory / "code").mkdir()
    result = run_module("secret_scan", {"paths": [str(directory / "code")], "state_dir": str(directory / "state")})
    assert not result.failed, result.msg
    assert result.result["summary"]["findings_total"] == 0
    return directory / "state" / "kingfisher"


@pytest.fixture
def scan_state(state_dir: Path, compiled_rules: Path) -> Path:
    state_dir.mkdir(mode=0o700)
    shutil.copytree(compiled_rules, state_dir / "kingfisher")
    return state_dir
