# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.record import write_record
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory
from ansible_collections.miniecom.maintenance.plugins.module_utils._flag.flag_file import Note
from ansible_collections.miniecom.maintenance.plugins.module_utils._operations import expiry

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=timezone.utc)


def note(left: float, on_expiry: str = "lift") -> Note:
    return Note(
        "ops", "2026-11-24T03:00:00Z", "disks", "/flag", format_utc(NOW + timedelta(seconds=left)), "2h", on_expiry
    )


@pytest.mark.parametrize(
    "found, decision",
    [
        (None, expiry.OVER),
        (Note("ops", "", "", "/flag"), expiry.OVER),
        (note(3600), expiry.LATER),
        (note(5), expiry.SOON),
        (note(0), expiry.LIFT),
        (note(-3600), expiry.LIFT),
        (note(0, "alert"), expiry.ALERT),
    ],
)
def test_the_note_decides(found: Note | None, decision: str) -> None:
    assert expiry.decide_expiry(found, NOW) == decision


def test_the_program_is_complete_needs_no_ansible_and_is_always_the_same(tmp_path: Path) -> None:
    packed = expiry.program()
    assert packed == expiry.program()
    path = tmp_path / "program.pyz"
    path.write_bytes(packed)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            source = archive.read(name).decode("utf-8")
            assert not re.search(r"^\s*(import|from) ansible", source, re.MULTILINE), name
    check = (
        "import sys; sys.modules['ansible'] = sys.modules['ansible_collections'] = None; sys.path.insert(0, sys.argv[1]);"
        "from miniecom_maintenance._operations import expiry; import hashlib;"
        "print(hashlib.sha256(expiry.program()).hexdigest() == hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", check, str(path)], capture_output=True, text=True, cwd="/")
    assert done.stdout.strip() == "True", "it can arm itself again: " + done.stderr


def test_it_logs_where_the_last_run_has_logged(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path / "state"))
    assert expiry.log_path(state) == str(tmp_path / "state/maintenance-log.md")
    state.prepare()
    for run_id, path in (("20261124T010000Z-aaaaaa", "old.md"), ("20261124T020000Z-bbbbbb", "new.md")):
        write_record(state, {"run_id": run_id, "log_path": str(tmp_path / path)})
    assert expiry.log_path(state) == str(tmp_path / "new.md")
    for _ in range(2):
        expiry.log(state, note(-1), "failed", "no answer", NOW)
        expiry.log(state, note(-1), "lifted", "taken down", NOW)
    text = (tmp_path / "new.md").read_text()
    assert text.count("no answer") == text.count("taken down") == 1


def test_a_log_that_cannot_be_written_does_not_keep_the_shop_closed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = StateDirectory(str(tmp_path / "state"))
    state.prepare()
    (tmp_path / "state/maintenance-log.md").mkdir()
    expiry.log(state, note(-1), "lifted", "taken down", NOW)
    assert capsys.readouterr().out.startswith("<4>cannot write the maintenance log")


def test_what_breaks_is_told_and_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "maintenance.json").write_text("{")
    assert expiry.main([str(tmp_path)]) == expiry.RETRY
    assert expiry.main([]) == expiry.RETRY
    out = capsys.readouterr().out
    assert "makes no sense" in out and "IndexError" in out
    assert all(line.startswith("<3>") for line in out.splitlines())
