# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sandboxes import Sandbox, sandbox_command


@pytest.fixture(scope="session")
def native_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A native sandbox for the tests of whole playbooks."""
    directory = tmp_path_factory.mktemp("sandbox") / "native"
    sandbox_command("up", "native", directory)
    try:
        yield Sandbox(directory, "native")
    finally:
        sandbox_command("down", "native", directory)
