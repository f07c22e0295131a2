# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which servers a test of MongoDB's modules runs on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import server_versions
from tests.support.modules import ROOT


@pytest.mark.parametrize(
    ("setting", "marked", "others"),
    [
        ("", ("6.0.5", "6.0.27"), ("6.0.5",)),
        ("every", ("6.0.5", "6.0.27"), ("6.0.5", "6.0.27")),
        ("6.0.27", ("6.0.27",), ("6.0.27",)),
    ],
)
def test_versions(
    monkeypatch: pytest.MonkeyPatch, setting: str, marked: tuple[str, ...], others: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MINIECOM_TEST_MONGOD", setting)
    assert (server_versions(True), server_versions(False)) == (marked, others)


def test_a_version_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIECOM_TEST_MONGOD", "8.0.1")
    with pytest.raises(pytest.UsageError, match=r"6\.0\.27: 8\.0\.1"):
        server_versions(True)


def test_the_mark_is_what_counts() -> None:
    """As pytest sees it: each marked test once for each server, an unmarked one once."""
    tests = Path(ROOT, "tests", "integration", "test_mongo_backup.py")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(tests)]
    environment = {**os.environ, "MINIECOM_TEST_MONGOD": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    names = [line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    both = "test_everything_is_in_the_backup_in_stock_format"
    assert [name for name in names if name.startswith(both)] == [f"{both}[6.0.5]", f"{both}[6.0.27]"]
    assert [name for name in names if name.startswith("test_encrypted")] == ["test_encrypted[6.0.5]"]
    # One server after the other: each is started once.
    versions = [name.partition("[")[2][:6] for name in names if "[6." in name]
    assert versions == sorted(versions, key=lambda version: version.startswith("6.0.27"))
