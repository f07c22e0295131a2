# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of the logs belongs to the shop's user, who may plant there whatever he likes; the module runs as root."""

from __future__ import annotations

import gzip
import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError, SkipAction
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Action
from ansible_collections.miniecom.maintenance.plugins.module_utils._logs import open_files, pruning, retention
from tests.conftest import lacking
from tests.support.modules import run_module

DAY = 86400


def old_log(directory: Path) -> Path:
    directory.mkdir()
    log = directory / "app.log-1"
    log.write_text("harmless line\n" * 50)
    os.utime(log, (1e9, 1e9))
    return log


def test_a_pipe_in_the_place_of_the_compressed_copy_does_not_hang(tmp_path: Path, state_dir: Path) -> None:
    log = old_log(tmp_path / "logs")
    os.mkfifo(f"{log}.gz")
    params = {"paths": [str(log.parent)], "compress_after": "1d", "state_dir": state_dir}
    result = run_module("log_prune", params, timeout=20)
    assert result.rc == 0 and log.exists()
    assert "something else" in result.result["kept"][0]["reason"]


def test_a_damaged_compressed_copy_is_something_else(tmp_path: Path, state_dir: Path) -> None:
    log = old_log(tmp_path / "logs")
    packed = bytearray(gzip.compress(log.read_bytes()))
    packed[12:20] = b"\xff" * 8
    Path(f"{log}.gz").write_bytes(packed)
    result = run_module(
        "log_prune", {"paths": [str(log.parent)], "compress_after": "1d", "state_dir": state_dir}, timeout=20
    )
    assert result.rc == 0 and log.exists(), result.result
    assert "something else" in result.result["kept"][0]["reason"]


def test_a_retention_of_zero_days_removes_nothing(tmp_path: Path, state_dir: Path) -> None:
    log = old_log(tmp_path / "logs")
    params = {"paths": [str(log.parent)], "compress_after": "", "remove_after": "0d", "state_dir": state_dir}
    result = run_module("log_prune", params)
    assert result.rc == 0 and result.result["plan"] == [] and log.exists()


def test_a_log_swapped_for_a_link_for_a_moment_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = old_log(tmp_path / "logs")
    private = tmp_path / "private"
    private.write_text("root:secret\n" * 50)
    aside = log.with_name("aside")
    [found] = retention.scan([str(log.parent)], ["*.log-*"])

    def swap_in() -> None:
        log.rename(aside)
        log.symlink_to(private)

    def swap_back() -> None:
        log.unlink()
        aside.rename(log)

    seen = iter([swap_in, swap_back])
    real = pruning._recheck

    def recheck(item: retention.LogFile) -> None:
        step = next(seen, None)
        if step is swap_back:
            step()
        real(item)
        if step is swap_in:
            step()

    monkeypatch.setattr(pruning, "_recheck", recheck)
    task = pruning.LogPrune.__new__(pruning.LogPrune)
    with pytest.raises((SkipAction, MaintenanceError)):
        task.act(Action("compress", str(log), "old", retention.CompressLog(found)), [found])
    assert not Path(f"{log}.gz").exists()


@pytest.mark.parametrize(
    ("owner", "mode", "goes"),
    [(0, 0o640, True), (0, 0o644, True), (0, 0o660, False), (0, 0o666, False), (1, 0o600, False)],
)
def test_without_root_what_others_may_have_open_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int, goes: bool
) -> None:
    log = old_log(tmp_path / "logs")
    log.chmod(mode)
    user = os.getuid() + 12345
    if os.getuid() == 0:
        os.chown(log, user + owner, -1)
    elif owner:
        lacking("files of other users: only root can give files away")
    else:
        user = os.getuid()
    monkeypatch.setattr(os, "geteuid", lambda: user)
    for policy in (retention.Policy(DAY, None), retention.Policy(None, DAY)):
        found = retention.scan([str(log.parent)], ["*.log-*"])
        plan = retention.plan_retention(found, policy, datetime.now(timezone.utc))
        assert bool(plan.actions) is goes
        assert bool(plan.warnings) is not goes
        assert goes or plan.kept[0].reason == open_files.UNSEEN
    if not goes:
        task = pruning.LogPrune.__new__(pruning.LogPrune)
        with pytest.raises(SkipAction, match="only root"):
            task.act(Action("remove", str(log), "old", retention.RemoveLog(found[0])), found)
        assert log.exists()


def test_root_sees_all_and_handles_what_others_may_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = old_log(tmp_path / "logs")
    log.chmod(0o666)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    [found] = retention.scan([str(log.parent)], ["*.log-*"])
    assert retention.plan_retention([found], retention.Policy(DAY, None), datetime.now(timezone.utc)).actions
