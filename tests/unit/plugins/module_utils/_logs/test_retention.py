# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._logs import retention
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.open_files import (
    UNSEEN,
    OpenFiles,
    files_open_now,
    open_for_writing,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs.retention import (
    OPENED,
    LogFile,
    Policy,
    in_use,
    plan_retention,
)

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
DAY = 86400.0

FILES = st.lists(
    st.builds(
        LogFile,
        path=st.from_regex(r"\A/l/[a-c]\.log(\.gz)?\Z"),
        size=st.integers(0, 10**9),
        modified=st.floats(NOW.timestamp() - 100 * DAY, NOW.timestamp() + DAY),
        device=st.just(1),
        inode=st.integers(1, 9),
        opened=st.booleans(),
        compressed_twin=st.booleans(),
        blocked_by=st.sampled_from(["", "/l/a.log.gz"]),
    ),
    max_size=6,
)
AGES = st.one_of(st.none(), st.floats(0, 90 * DAY))


@given(FILES, AGES, AGES)
def test_what_goes_and_what_stays(files: list[LogFile], compress: float | None, remove: float | None) -> None:
    plan = plan_retention(files, Policy(compress, remove), NOW)
    assert len(plan.actions) + len(plan.kept) == len(files)
    assert all(kept.reason for kept in plan.kept)
    for action in plan.actions:
        log = action.work.log
        age = NOW.timestamp() - log.modified
        assert not log.opened
        if action.action == "remove":
            assert (remove is not None and age > remove) or log.compressed_twin
        else:
            assert compress is not None and age > compress
            assert not log.compressed and not log.blocked_by


@given(FILES)
def test_an_empty_policy_does_nothing(files: list[LogFile]) -> None:
    assert plan_retention(files, Policy(None, None), NOW).actions == []


# -- who has it open ----------------------------------------------------------------------------------------------------

ME = 1000


def proc_of(directory: Path, monkeypatch: pytest.MonkeyPatch, uids: str, state: str = "S", status: bool = True) -> str:
    """A /proc with one process that does not let us look at its files."""
    for pid in ("1", "77"):
        (directory / pid / "fd").mkdir(parents=True)
    if status:
        (directory / "77" / "status").write_text(f"Name:\tx\nState:\t{state} (x)\nUid:\t{uids}\n")
    real = os.listdir

    def listdir(path: str) -> list[str]:
        if str(path).endswith("77/fd"):
            raise PermissionError(13, "no")
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    return str(directory)


@pytest.mark.parametrize(
    ("user", "uids", "state", "blind"),
    [
        (ME, f"{ME}\t{ME}\t{ME}\t{ME}", "S", True),
        (ME, f"0\t0\t{ME}\t0", "S", True),
        (ME, f"{ME}\t{ME}\t{ME}\t{ME}", "Z", False),
        (ME, "1001\t1001\t1001\t1001", "S", False),
        (0, "1001\t1001\t1001\t1001", "S", True),
    ],
)
def test_a_process_that_hides_its_files_makes_blind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, uids: str, state: str, blind: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert files_open_now({(1, 2)}, proc_of(tmp_path, monkeypatch, uids, state)) == OpenFiles(set(), blind)


def test_a_proc_that_hides_processes_makes_blind(tmp_path: Path) -> None:
    assert files_open_now({(1, 2)}, str(tmp_path)).blind
    (tmp_path / "1" / "fd").mkdir(parents=True)
    assert not files_open_now({(1, 2)}, str(tmp_path)).blind
    assert files_open_now(set(), str(tmp_path / "none")) == OpenFiles(set(), False)


def test_the_kernel_tells_who_writes(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("x")
    status = log.stat()
    identity = (status.st_dev, status.st_ino)
    told = open_for_writing(str(log), identity)
    if told is None:
        pytest.skip("no leases on this file system")
    with open(log, encoding="ascii"):
        assert told is False, "a reader loses nothing"
    with open(log, "a", encoding="ascii"):
        assert open_for_writing(str(log), identity) is True
    assert open_for_writing(str(log), identity) is False
    assert open_for_writing(str(log), (1, 2)) is None
    (tmp_path / "link").symlink_to(log)
    assert open_for_writing(str(tmp_path / "link"), identity) is None


@pytest.mark.parametrize(
    ("written", "held", "blind", "expected"),
    [
        (None, False, True, UNSEEN),
        (None, False, False, ""),
        (False, False, True, ""),
        (True, False, True, OPENED),
        (None, True, True, OPENED),
    ],
)
def test_what_keeps_from_touching_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bool | None, held: bool, blind: bool, expected: str
) -> None:
    log = tmp_path / "a.log"
    log.write_text("x")
    log.chmod(0o600)
    monkeypatch.setattr(retention, "open_for_writing", lambda path, identity: written)
    monkeypatch.setattr(retention, "files_open_now", lambda wanted: OpenFiles(wanted if held else set(), blind))
    assert in_use(str(log), log.stat()) == expected
    [found] = retention.scan([str(tmp_path)], ["*.log"])
    assert (found.opened, found.unseen_writers) == (expected == OPENED, blind and written is None)


@pytest.mark.parametrize("policy", [Policy(DAY, None), Policy(None, DAY)])
def test_what_somebody_unseen_may_write_to_stays(policy: Policy) -> None:
    log = LogFile("/l/a.log", 5, NOW.timestamp() - 9 * DAY, 1, 1)
    assert plan_retention([log], policy, NOW).actions
    plan = plan_retention([replace(log, unseen_writers=True)], policy, NOW)
    assert not plan.actions and plan.kept[0].reason == UNSEEN
    assert "become: true" in plan.warnings[0]
