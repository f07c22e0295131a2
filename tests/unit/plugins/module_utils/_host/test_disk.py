# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How full disks are, when they will be full, and what fills them."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._host import disk
from ansible_collections.miniecom.maintenance.plugins.module_utils._host.usage import Directory, biggest, choose_largest

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("used", "expected"),
    [(0, "ok"), (79.9, "ok"), (80, "warn"), (89.9, "warn"), (90, "critical"), (100, "critical"), (None, "ok")],
)
def test_thresholds(used: float | None, expected: str) -> None:
    assert disk.judge_usage(used, 80, 90) == expected


def test_the_worst_status_counts() -> None:
    assert disk.worst([]) == "ok" and disk.worst(["ok", "critical", "warn"]) == "critical"


def test_real_file_systems_are_measured_once_each(tmp_path: Path) -> None:
    (found,) = disk.measure_file_systems([str(tmp_path), str(tmp_path / "not" / "yet")])
    assert found.paths == (str(tmp_path), str(tmp_path / "not" / "yet"))
    assert os.path.ismount(found.mount_point)
    assert 0 < found.percent_used <= 100 and found.bytes_used + found.bytes_available <= found.bytes_total
    two = disk.measure_file_systems([str(tmp_path), "/proc"])
    assert [system.mount_point for system in two][1] == "/proc"
    assert two[1].percent_used == 0 and two[1].percent_inodes_used is None


def test_the_history_is_kept_bounded_and_survives_torn_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "HISTORY_LINES", 10)
    history = disk.History(str(tmp_path / "state"))
    assert history.load() == {}
    systems = disk.measure_file_systems([str(tmp_path)])
    for hour in range(15):
        history.add(systems, NOW + timedelta(hours=hour))
    with open(history.path, "ab") as handle:
        handle.write(b'{"at": "2026-')
    samples = history.load()[systems[0].mount_point]
    assert len(samples) <= 11 and samples[-1].at == NOW + timedelta(hours=14)


# -- biggest directories ----------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path, size in (
        ("a/x/big", 900000),
        ("a/x/small", 10),
        ("b/one", 300000),
        ("b/c/two", 200000),
        ("d/e/f/g/deep", 500000),
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)
    os.link(tmp_path / "a/x/big", tmp_path / "b" / "same")
    with open(tmp_path / "b" / "sparse", "wb") as handle:
        handle.truncate(10**7)
    return tmp_path


def test_directories_add_up_as_du_says(tree: Path) -> None:
    usage = biggest(str(tree), 20, 60)
    assert usage.complete and usage.unreadable == 0
    for directory in [*usage.largest, usage.total]:
        lines = subprocess.run(["du", "-s", "-B1", directory.path], capture_output=True, text=True, check=True).stdout
        own = os.lstat(directory.path).st_blocks * 512
        linked = 900000 // 4096 * 4096 + 4096
        # The directory's own block is counted with its parent; a file with two names counts where it was met first.
        assert int(lines.split()[0]) - own in (directory.allocated, directory.allocated + linked)
    sparse = next(item for item in usage.largest if item.path == str(tree / "b"))
    assert sparse.apparent >= 10**7 > sparse.allocated


def test_mere_wrappings_are_left_out(tree: Path) -> None:
    shown = [os.path.relpath(item.path, tree) for item in biggest(str(tree), 3, 60).largest]
    assert "d/e/f/g" in shown and not {".", "d", "d/e", "d/e/f", "a"} & set(shown)


def test_the_search_ends_when_its_time_is_over(tmp_path: Path) -> None:
    for number in range(5000):
        (tmp_path / str(number)).touch()
    assert not biggest(str(tmp_path), 3, -1).complete


def test_what_is_chosen_is_the_biggest_and_never_the_root() -> None:
    reached: Counter[str] = Counter()
    # What each holds beside its subdirectories: often hardly anything.
    own = st.integers(0, 3) | st.integers(0, 100)

    @settings(max_examples=200, deadline=None)
    @given(st.fixed_dictionaries(dict.fromkeys(("/r", "/r/a", "/r/a/b", "/r/a/b/d", "/r/c", "/r/cc"), own)))
    def check(sizes: dict[str, int]) -> None:
        directories = [
            Directory(path, sum(size for other, size in sizes.items() if (other + "/").startswith(path + "/")))
            for path in sizes
        ]
        directories.sort(key=lambda item: -item.allocated)
        chosen = choose_largest(directories, "/r", 2)
        assert len(chosen) <= 2 and "/r" not in [item.path for item in chosen]
        assert [item.allocated for item in chosen] == sorted((item.allocated for item in chosen), reverse=True)
        for directory in directories:
            inner = [item for item in directories if item.path.startswith(directory.path + "/")]
            wraps = any(item.allocated >= 0.9 * directory.allocated > 0 for item in inner)
            reached["wrappings"] += wraps
            reached["both"] += wraps and directory.path != "/r"
            assert not (wraps and directory in chosen)
            # Whatever is bigger than one that was chosen was left out for a reason.
            if directory not in chosen and chosen and directory.allocated > chosen[-1].allocated:
                assert wraps or directory.path == "/r"

    check()
    assert reached["wrappings"] >= 50 and reached["both"] >= 20, reached
