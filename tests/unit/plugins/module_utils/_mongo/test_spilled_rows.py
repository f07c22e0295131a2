# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows come back whole, each in the part of its key, and nothing with a name is left, whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo import spilled_references, spilled_rows
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.spilled_references import (
    is_worth_a_file,
    room_for,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.spilled_rows import (
    PARTS,
    OutOfRoom,
    SpilledRows,
    SpillFile,
)

KEYS = st.lists(st.binary(min_size=12, max_size=12), max_size=30)


@settings(deadline=None)
@given(st.lists(KEYS, max_size=5), st.integers(1, 40), st.integers(1, 400))
def test_rows_of_one_key_come_back_in_one_part(batches: list[list[bytes]], rows: int, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch, SpillFile("/tmp", 10**6) as file:
        patch.setattr(spilled_rows, "ROWS_AT_ONCE", rows)
        patch.setattr(spilled_rows, "BYTES_AT_ONCE", size)
        both = (SpilledRows(file), SpilledRows(file))
        for batch in batches:
            both[0].add(batch, [key + b"first " for key in batch])
            both[1].add(batch, batch)
        first = [b"".join(both[0].part(number)) for number in range(PARTS)]
        second = [b"".join(both[1].part(number)) for number in range(PARTS)]
    parts = [[data[place : place + 12] for place in range(0, len(data), 12)] for data in second]
    assert Counter(key for part in parts for key in part) == Counter(key for batch in batches for key in batch)
    assert [b"".join(key + b"first " for key in part) for part in parts] == first
    assert sum(len(set(part)) for part in parts) == len({key for batch in batches for key in batch})


def test_no_more_is_written_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spilled_rows, "ROWS_AT_ONCE", 1)
    with SpillFile(str(tmp_path), 24) as file:
        rows = SpilledRows(file)
        rows.add([b"a" * 12, b"b" * 12], [b"a" * 12, b"b" * 12])
        with pytest.raises(OutOfRoom):
            rows.add([b"c" * 12], [b"c" * 12])


def test_a_disk_that_is_full_is_told() -> None:
    with SpillFile("/tmp", 10**6) as file, open("/dev/full", "wb", buffering=0) as full:
        os.dup2(full.fileno(), file._file.fileno())
        with pytest.raises(OutOfRoom, match="No space left"):
            file.append(b"x")


def test_a_file_that_cannot_be_made_or_was_cut_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutOfRoom), SpillFile(str(tmp_path / "none"), 10):
        pass
    with SpillFile(str(tmp_path), 10) as file:
        file.append(b"0123456789")
        assert file.read(2, 3) == b"234"
        os.truncate(file._file.fileno(), 4)
        with pytest.raises(OutOfRoom):
            file.read(2, 3)


def test_nothing_is_left_of_a_killed_process(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from ansible_collections.miniecom.maintenance.plugins.module_utils._mongo.spilled_rows import SpillFile\n"
        "with SpillFile(sys.argv[1], 100) as file:\n"
        "    file.append(b'x' * 50)\n"
        "    print(len(os.listdir(sys.argv[1])), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), list(tmp_path.iterdir())) == (-9, "0", [])


def test_a_file_takes_no_more_than_half_of_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Space:
        f_bavail, f_frsize = 20, 100

    monkeypatch.setattr(spilled_references.os, "statvfs", lambda _directory: Space)
    assert room_for(str(tmp_path), 25, 16) == 1000
    assert room_for(str(tmp_path), 26, 16) == 0
    monkeypatch.undo()
    assert room_for(str(tmp_path / "none"), 1, 1) == 0


def test_few_references_are_looked_up() -> None:
    assert is_worth_a_file(500_000, 1_000_000) and not is_worth_a_file(499_999, 1_000_000)
