# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever goes wrong, the status tells what is: files that people have touched, full disks, and two at once."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.turn import take_turn_to_switch
from tests.conftest import lacking
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import ModuleResult, finish_module, run_module, start_module, wait_until_stopped


def call(base: Path, module: str = "maintenance_flag", **params: Any) -> ModuleResult:
    given = {"path": base / "storage/.maintenance", "state_dir": base / "state", **params}
    if module == "maintenance_flag":
        given = {"owner": "ops", "timer": "none", "layers": ["flag"], **given}
    return run_module(module, given)


def status(base: Path) -> tuple[dict[str, Any], str]:
    found = call(base, "maintenance_flag_info")
    assert not found.failed, found.msg
    return dict(found.result["maintenance"]), str(found.result["summary"]["headline"])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "storage").mkdir()
    return tmp_path


# What is in it is parsed in unit tests; each kind runs from end to end where every phase is tested.
BY_HAND = [
    (b"", "", ""),
    (b"\r\n", "", ""),
    (b"Bob is at it\r\n", "", "Bob is at it"),
    (b"2026-11-24T03:00:00Z|disks\r\nmore\r\n", "2026-11-24T03:00:00Z", "disks"),
    (b"\xff\xfe\x00|", "\ufffd\ufffd\x00", ""),
]


@pytest.mark.parametrize(("content", "since", "reason"), BY_HAND if EXHAUSTIVE else BY_HAND[2:3])
def test_a_flag_that_somebody_has_written_by_hand(base: Path, content: bytes, since: str, reason: str) -> None:
    flag = base / "storage/.maintenance"
    flag.write_bytes(content)
    found, headline = status(base)
    assert found["active"] and (found["since"], found["reason"]) == (since, reason)
    assert "by somebody else than this collection" in headline
    refused = call(base, state="absent")
    assert refused.failed and "force" in refused.msg and flag.read_bytes() == content
    assert not call(base, force=True).failed and status(base)[0]["owner"] == "ops"
    assert not call(base, state="absent").failed and not flag.exists()
    assert status(base) == (found | status(base)[0], "maintenance is not up")


def test_a_flag_that_cannot_be_read_keeps_no_shop_closed(base: Path) -> None:
    """A directory in its place: root may read whatever is a file."""
    assert not call(base).failed
    flag = base / "storage/.maintenance"
    flag.unlink()
    flag.mkdir()
    found, headline = status(base)
    assert found["active"] and not found["consistent"] and "cannot read the maintenance flag" in headline
    entered = call(base, reason="more")
    assert entered.failed and "cannot read the maintenance flag" in entered.msg
    left = call(base, state="absent")
    assert left.failed and "EISDIR" in left.msg and "cannot remove the file" in left.msg, left.msg
    flag.rmdir()
    assert not call(base, state="absent").failed and status(base)[1] == "maintenance is not up"


def test_a_note_that_makes_no_sense_is_told(base: Path) -> None:
    assert not call(base).failed
    (base / "state/maintenance.json").write_text("{")
    found, headline = status(base)
    assert found["active"] and not found["consistent"] and "makes no sense" in headline
    left = call(base, state="absent")
    assert left.failed and "makes no sense" in left.msg and "Move it away" in left.msg


@pytest.fixture
def full(base: Path) -> Iterator[Path]:
    """A file system without a byte left, as the directory of the flag."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8k", "miniecom-test", base / "storage"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lacking(f"a file system of our own (mount -t tmpfs): {done.stderr.strip()}")
    try:
        with (
            pytest.raises(OSError, match="No space left"),
            (base / "storage/ballast").open("wb", buffering=0) as handle,
        ):
            while True:
                handle.write(b"\0" * 4096)
        yield base
    finally:
        subprocess.run(["umount", base / "storage"], check=True)


def test_a_full_disk_closes_nothing_and_leaves_nothing(full: Path) -> None:
    refused = call(full)
    assert refused.failed and "ENOSPC" in refused.msg and refused.result["rolled_back"], refused.msg
    assert status(full)[1] == "maintenance is not up" and not (full / "state/maintenance.json").exists()
    (full / "storage/ballast").unlink()
    assert not call(full).failed
    with pytest.raises(OSError, match="No space left"), (full / "storage/ballast").open("wb", buffering=0) as handle:
        while True:
            handle.write(b"\0" * 4096)
    # To open the shop takes no room.
    assert not call(full, state="absent").failed and status(full)[1] == "maintenance is not up"


@pytest.mark.parametrize(
    ("jump", "expired", "said"),
    [
        (timedelta(hours=3), True, "has passed"),
        (timedelta(hours=-3), False, "lies ahead: the clock of this host was set back"),
        (timedelta(seconds=-20), False, ""),
    ],
)
def test_a_clock_that_was_set_is_told(base: Path, jump: timedelta, expired: bool, said: str) -> None:
    """The host's clock jumps by so much: all that was written before lies so much further back."""
    assert not call(base, expires="2h").failed
    note = base / "state/maintenance.json"
    written = json.loads(note.read_text())
    for key in ("since", "expires"):
        written[key] = (datetime.fromisoformat(written[key][:-1]) - jump).isoformat() + "Z"
    note.write_text(json.dumps(written))
    (base / "storage/.maintenance").write_text(f"{written['since']}|Scheduled maintenance\n")
    found, headline = status(base)
    assert found["active"] and found["owner"] == "ops" and found["consistent"], headline
    assert (found["since"], found["expires"], found["expired"]) == (written["since"], written["expires"], expired)
    assert said in headline if said else found["problems"] == []
    # A window that is over is a new one when it is asked for again, and any is taken down.
    again = call(base, expires="2h")
    assert not again.failed and again.changed == expired, again.msg
    assert not status(base)[0]["expired"] and not call(base, state="absent").failed
    assert status(base)[1] == "maintenance is not up"


def test_of_several_at_once_no_two_believe_that_it_is_theirs(base: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda owner: (owner, call(base, owner=owner)), ("anna", "ben", "cleo", "dan")))
    won = [owner for owner, result in done if not result.failed]
    assert len(won) <= 1, [(owner, result.msg) for owner, result in done]
    found, headline = status(base)
    if won:
        assert found["owner"] == won[0] and found["active"], headline
    for owner, result in done:
        if owner not in won:
            assert result.msg, owner
    assert not call(base, state="absent", force=True).failed and status(base)[1] == "maintenance is not up"


def test_whoever_switches_locks_out_the_others(base: Path) -> None:
    params = {"path": base / "storage/.maintenance", "state_dir": base / "state", "timer": "none", "layers": ["flag"]}
    anna = start_module("maintenance_flag", {**params, "owner": "anna"}, stop_at=0)
    try:
        wait_until_stopped(anna)
        with pytest.raises(MaintenanceError, match="another call is putting maintenance up"):
            take_turn_to_switch(str(base / "state"), wait=0.0)
        status(base)  # who only looks is not kept waiting
        anna.send_signal(signal.SIGCONT)
        assert not finish_module(anna).failed
    finally:
        anna.kill()
    assert call(base, owner="ben").failed and status(base)[0]["owner"] == "anna"
