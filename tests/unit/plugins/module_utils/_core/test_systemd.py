# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import systemd
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

# As systemctl answers for a unit that has ended five times in ten seconds: it begins once that count is set to nothing.
LIMITED = """#!/bin/sh
case "$1" in
reset-failed) rm -f "{0}/limit";;
*) if [ -e "{0}/limit" ]; then echo "Start request repeated too quickly." >&2; exit 1; fi; echo "$*" >> "{0}/begun";;
esac
"""


@pytest.mark.parametrize("how", ["start", "restart"])
def test_what_has_ended_too_often_is_begun_all_the_same(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "systemctl"
    program.write_text(LIMITED.format(tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "limit").touch()
    with pytest.raises(MaintenanceError, match="repeated too quickly"):
        systemd.call("systemctl", how, "shop.service")
    systemd.start_unit("shop.service", how)
    assert (tmp_path / "begun").read_text() == f"{how} shop.service\n"
