# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import installing as subject


@pytest.mark.parametrize(
    "installer, command",
    [
        ("apt-get", "apt-get update && apt-get install -y logrotate"),
        ("", "apt-get update && apt-get install -y logrotate"),
        ("dnf", "dnf install -y logrotate"),
        ("apk", "apk add logrotate"),
    ],
)
def test_each_distribution_has_its_command(installer: str, command: str) -> None:
    assert subject.installing(installer, "logrotate") == command


def test_the_first_that_is_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject.os, "environ", {"PATH": str(tmp_path)})
    monkeypatch.setattr(subject, "INSTALLERS", ("none-such", "miniecom-installer", "other"))
    assert subject.find_installer() == ""
    for name in ("other", "miniecom-installer"):
        (tmp_path / name).touch(mode=0o755)
    assert subject.find_installer() == "miniecom-installer"
