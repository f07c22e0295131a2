# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The daily look at a shop in containers, which has a row more than that of a native one: what the containers have logged."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.integration.test_playbooks import play, rows
from tests.sandbox.compose import Compose
from tests.support.sandboxes import Sandbox


def test_a_day_tells_what_the_containers_have_logged_and_keeps_it(compose_sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox, log = Compose(compose_sandbox.directory), tmp_path / "tasks.jsonl"
    api = next(name for name in sandbox.states() if "api" in name)

    def smoke(till: int) -> None:
        sandbox.engine.docker("exec", api, "sh", "-c", f"echo '[ERROR] till {till} smokes' > /proc/1/fd/1")

    def collected() -> str:
        return "".join(gzip.decompress(path.read_bytes()).decode() for path in kept.glob("*api*/*.gz"))

    kept = compose_sandbox.directory / "state" / "container-logs"
    play("backup", compose_sandbox, log).assert_ok()
    smoke(7)
    told = rows(play("daily", compose_sandbox, log).assert_ok())
    assert list(told) == ["context", "health", "disk", "backup age", "log errors", "container logs"]
    row = told["container logs"]
    assert row["status"] == "changed" and "containers collected" in str(row["headline"]), row
    assert "[ERROR] till # smokes (1)" in str(row["headline"]), row
    assert collected().count("till 7 smokes") == 1
    # The next one takes what came since.
    smoke(8)
    only = ("--tags", "logs_containers", "-e", "logs_containers_fresh_within=0s")
    row = rows(play("daily", compose_sandbox, log, *only).assert_ok())["container logs"]
    assert "none of them new" in str(row["headline"]) and "till # smokes (1)" in str(row["headline"]), row
    assert (collected().count("till 7 smokes"), collected().count("till 8 smokes")) == (1, 1)
