# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scan passes over is counted, each thing once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.scanned_tree import ScannedTree
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.unscanned import (
    EXCLUDED,
    LARGE,
    OURS_ONLY,
    PACKED,
    STYLES,
    Passed,
    kept_entries,
    unscanned_kind,
)


@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        ("app.js", 10, ""),
        ("app.js", 101, LARGE),
        ("Makefile", 10, ""),
        ("gz", 10, ""),
        ("release.tar.gz", 10, PACKED),
        ("PRICES.XLSX", 500, PACKED),
        ("site.css", 10, STYLES),
        ("logo.PNG", 10, OURS_ONLY),
        ("logo.png", 101, LARGE),
        ("package-lock.json", 10, OURS_ONLY),
        ("Cargo.lock", 10, ""),
    ],
)
def test_kinds(name: str, size: int, kind: str) -> None:
    assert unscanned_kind(name, size, 100) == kind


def passed_over(root: Path, exclude: list[str]) -> dict[str, Passed]:
    tree = ScannedTree([str(root)], exclude, 100)
    tree.finish()
    return tree.passed


def test_each_kind_is_told_with_its_number_and_an_example(tmp_path: Path) -> None:
    for name in (
        "a.js",
        "one.zip",
        "two.tar.gz",
        "x.css",
        "node_modules/a/b.zip",
        "web/node_modules/c.js",
        "cache/deep/d.css",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link.zip").symlink_to(tmp_path / "one.zip")
    (tmp_path / "dump").write_bytes(b"x" * 101)
    found = passed_over(tmp_path, ["node_modules", "cache/deep"])
    assert {kind: passed.count for kind, passed in found.items()} == {PACKED: 2, STYLES: 1, EXCLUDED: 3, LARGE: 1}
    told = {kept.target: kept.reason for kept in kept_entries(found)}
    assert told[LARGE] == f"1 file such as {tmp_path}/dump: larger than the scan reads"
    assert told[EXCLUDED].startswith("3 directories such as ") and "2 files" in told[PACKED]
    assert kept_entries(passed_over(tmp_path / "a.js", [])) == []
