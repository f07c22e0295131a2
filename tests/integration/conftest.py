# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sandboxes import Sandbox, sandbox_command


def raised(kind: str) -> Iterator[Sandbox]:
    """A sandbox beside the directories of pytest, which let nobody through: the shop's logs belong to another user."""
    parent = Path(tempfile.mkdtemp(prefix="miniecom-sandbox-"))
    parent.chmod(0o711)
    directory = parent / kind
    try:
        sandbox_command("up", kind, directory)
        yield Sandbox(directory, kind)
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
    from tests.conftest import lacking

    if os.geteuid() != 0:
        lacking("Docker: a private engine needs root")
    yield from raised("compose")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The story of a newcomer's first runs comes first: it wants a sandbox that nobody has maintained yet."""
    items.sort(key=lambda item: item.path.name != "test_weekly.py")
