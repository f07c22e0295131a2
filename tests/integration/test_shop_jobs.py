# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""shop_jobs on crontabs and run-parts directories as the shop's guides leave them; its timers are in test_schedule.py."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.support.extent import sampled
from tests.support.kill import boundaries, kill_and_run_again, kill_at_every_change
from tests.support.modules import ModuleResult, run_module

# Umlauts in another encoding, a carriage return, no line end at the end: nothing of it may change.
CRONTAB = (
    b"# the shop\xe4s jobs\nSHELL=/bin/sh\n"
    b"30 1 * * * root cd /opt/miniecom && ./scripts/rotate_backups.sh\n"
    b"0 6 * * * root echo harmless\n"
    b"15 * * * * root docker system prune -f --volumes\r\n"
    b"0 2 * * * root find /opt/miniecom/storage/backups -mtime +14 -delete # canary-password"
)
SCRIPT = b"#!/bin/sh\nrm -rf /opt/miniecom/storage/backups/old\n"


class Shop:
    """A host's places for jobs in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.crontab = directory / "cron.d" / "shop"
        self.user = directory / "crontabs" / "root"
        self.script = directory / "cron.daily" / "shop-cleanup"
        for path, content, mode in (
            (self.crontab, CRONTAB, 0o644),
            (self.user, b"5 4 * * * docker volume prune -f\n", 0o600),
        ):
            path.parent.mkdir()
            path.write_bytes(content)
            path.chmod(mode)
        self.script.parent.mkdir()
        self.script.write_bytes(SCRIPT)
        self.script.chmod(0o755)
        (directory / "logrotate.d").mkdir()
        (directory / "logrotate.d" / "shop").write_text(
            "/opt/miniecom/storage/backups/*.tar.gz {\n weekly\n rotate 1\n}\n"
        )

    def parameters(self, state: str = "off", **more: Any) -> dict[str, Any]:
        return {
            "state": state,
            "cron_paths": [str(self.directory / name) for name in ("cron.d", "crontabs", "cron.daily", "logrotate.d")],
            "state_dir": str(self.directory / "state"),
            **more,
        }

    def run(self, state: str = "off", check: bool = False, **more: Any) -> ModuleResult:
        result = run_module("shop_jobs", self.parameters(state, **more), check=check, diff=True)
        assert not result.failed, result.msg
        assert "canary" not in result.output
        return result

    def files(self) -> dict[str, tuple[bytes, int]]:
        found = {}
        for path in sorted(self.directory.rglob("*")):
            if path.is_file() and "state" not in path.relative_to(self.directory).parts:
                found[str(path.relative_to(self.directory))] = (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_off_and_on_again_byte_for_byte(shop: Shop) -> None:
    before = shop.files()
    planned = shop.run(check=True)
    assert shop.files() == before and not (shop.directory / "state").exists()
    done = shop.run()
    assert done.result["plan"] == planned.result["plan"]
    assert done.changed and done.result["summary"]["jobs_switched"] == 5
    lines = CRONTAB.split(b"\n")
    after = shop.crontab.read_bytes().split(b"\n")
    assert [new == old for new, old in zip(after, lines)] == [True, True, False, True, False, False]
    assert all(new.startswith(b"#") and new.endswith(old) for new, old in zip(after, lines) if new != old)
    assert not shop.script.exists() and "cron.daily/shop-cleanup.miniecom-maintenance-off" in shop.files()
    assert any("logrotate" in entry["target"] and "by hand" in entry["reason"] for entry in done.result["kept"])
    note = shop.directory / "state" / "undo" / (done.result["undo_id"] + ".json")
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    again = shop.run()
    assert not again.changed and "undo_id" not in again.result
    assert shop.run("restored", check=True).changed
    assert shop.run("restored", undo=done.result["undo_id"]).changed
    assert shop.files() == before
    assert not shop.run("restored").changed


def test_what_was_added_meanwhile_stays_and_what_was_changed_is_left_alone(shop: Shop) -> None:
    shop.run()
    raw = shop.crontab.read_bytes().replace(b"SHELL=/bin/sh\n", b"SHELL=/bin/sh\n0 5 * * * root echo new\n")
    shop.crontab.write_bytes(raw)
    shop.user.unlink()
    shop.script.write_bytes(b"another one of that name")
    result = shop.run("restored")
    assert shop.crontab.read_bytes() == CRONTAB.replace(b"SHELL=/bin/sh\n", b"SHELL=/bin/sh\n0 5 * * * root echo new\n")
    assert shop.script.read_bytes() == b"another one of that name"
    reasons = " ".join(entry["reason"] for entry in result.result["kept"])
    assert "its crontab is gone" in reasons and "switched on already" in reasons
    noted = [json.loads(path.read_text()) for path in (shop.directory / "state" / "undo").iterdir()]
    assert len(noted) == 1 and len(noted[0]["entries"]) == 5


def test_a_link_is_left_alone_and_named(shop: Shop) -> None:
    real = shop.directory / "repository"
    real.write_bytes(CRONTAB)
    shop.crontab.unlink()
    shop.crontab.symlink_to(real)
    result = shop.run()
    assert real.read_bytes() == CRONTAB and shop.crontab.is_symlink()
    assert "still active" in str(result.result["warnings"]) and result.result["summary"]["jobs_active"] >= 3


@pytest.mark.parametrize("number", sampled(boundaries(5)))
def test_killed_between_two_jobs_it_finishes_and_can_be_undone(shop: Shop, number: int) -> None:
    before = shop.files()
    kill_and_run_again("shop_jobs", shop.parameters(), number)
    assert shop.run("restored").changed
    assert shop.files() == before


def of_two(shop: Shop, state: str, **more: Any) -> dict[str, Any]:
    """One line and one script: each way of switching once."""
    paths = [str(shop.directory / name) for name in ("crontabs", "cron.daily")]
    return {**shop.parameters(state, **more), "cron_paths": paths}


@pytest.mark.parametrize("state", ["off", "restored"])
def test_killed_at_every_change_all_of_it_can_be_taken_back_or_finished(tmp_path: Path, state: str) -> None:
    before: dict[str, tuple[bytes, int]] = {}

    def prepare(world: Path) -> tuple[str, dict[str, Any]]:
        shop = Shop(world)
        before.update(shop.files())
        if state == "restored":
            assert run_module("shop_jobs", of_two(shop, "off")).changed
        return "shop_jobs", of_two(shop, state)

    def inspect(world: Path) -> None:
        shop = Shop.__new__(Shop)
        shop.directory = world
        back = run_module("shop_jobs", of_two(shop, "restored"))
        assert not back.failed, back.msg
        assert shop.files() == before
        off = run_module("shop_jobs", of_two(shop, "off"))
        assert off.result["summary"]["jobs_switched"] == 2 and off.result["summary"]["jobs_active"] == 0

    assert kill_at_every_change(tmp_path, prepare, inspect) >= 4


def test_on_the_oldest_python(shop: Shop, old_python: Path) -> None:
    before = shop.files()
    for state in ("off", "restored"):
        assert run_module("shop_jobs", shop.parameters(state), python=old_python).changed
    assert shop.files() == before
