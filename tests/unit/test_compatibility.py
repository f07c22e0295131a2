# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's table of compatibility is what make test-compat has seen, and what it sees is read rightly."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.tools import compatibility
from tests.tools.compatibility import CONTROLLERS, README, TARGETS, Row, Run, rendered

ROOT = Path(__file__).resolve().parents[2]
RELEASES = ["2.22.0b2", "2.22.0rc1", "2.22.0b10", "2.21.5", "2.21.10", "2.21.11rc1", "2.20.0", "2.2.9"]
# As 2.18 prints it, wrapped; and as newer ones do, with the place it came from.
OLD = """TASK [x] ***
[DEPRECATION WARNING]: miniecom.maintenance.old has been deprecated. Use
something else. This feature will be removed in version 2.0.
[WARNING]: another thing about miniecom
[WARNING]: Failure using method (v2_runner_on_ok) in callback plugin
(<x>): 'TaskResult' object has no attribute 'result'
[DEPRECATION WARNING]: community.docker.thing goes.
ok: [sandbox]
"""
NEW = f"""[DEPRECATION WARNING]: The `bool` coercion is deprecated.
Origin: {ROOT}/roles/backup/tasks/main.yml:3:9

1 - name: x
"""


def right(name: str = "core-2.18") -> Row:
    wanted = compatibility.CONTROLLER_RUNS if name.startswith("core-") else compatibility.TARGET_RUNS
    return Row(name, "2.18.1", "3.11", runs={run: Run(0, 7 if run == "weekly" else 0, 12.4) for run, _, _ in wanted})


def test_the_readme_has_the_table_of_what_was_seen() -> None:
    text = README.read_text(encoding="utf-8")
    assert compatibility.with_table(text, rendered(*compatibility.read())) == text, "make test-compat, or --render"


def test_every_version_that_is_promised_was_tried() -> None:
    _day, rows = compatibility.read()
    wanted = [*(f"core-{line}" for line in CONTROLLERS), "core-next", *(f"python-{version}" for version in TARGETS)]
    assert [row.name for row in rows] == wanted
    promised = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    assert promised == f">={next(iter(CONTROLLERS))}.0"


def test_releases_are_in_their_order() -> None:
    assert compatibility.newest_of("2.21", RELEASES) == "2.21.10"
    assert compatibility.newest_of("2.2", RELEASES) == "2.2.9"
    assert compatibility.newest_of("2.19", RELEASES) == ""
    assert compatibility.next_after("2.21", RELEASES) == "2.22.0rc1"
    assert compatibility.next_after("2.21", [*RELEASES, "2.22.0"]) == "2.22.0"
    assert compatibility.next_after("2.22", RELEASES) == ""


def test_only_deprecations_that_name_us_and_failed_callbacks_count() -> None:
    old, failed = compatibility.complaints_in(OLD + OLD)
    assert old.startswith("miniecom.maintenance.old") and "another thing" not in old
    assert failed.startswith("Failure using method (v2_runner_on_ok) in callback plugin (<x>)")
    (new,) = compatibility.complaints_in(NEW)
    assert new.endswith("Origin: ./roles/backup/tasks/main.yml:3:9")
    assert compatibility.complaints_in("[DEPRECATION WARNING]: x\n\nPLAY [miniecom]") == []


@pytest.mark.parametrize(
    ("spoil", "cell"),
    [
        ({"again": Run(0, 1, 5.0)}, "**changed 1 again**"),
        ({"assess": Run(0, 1, 5.0)}, "**changed 1 again**"),
        ({"check": Run(2, 0, 5.0)}, "**failed** (2)"),
    ],
)
def test_what_went_wrong_stands_in_the_table(spoil: dict[str, Run], cell: str) -> None:
    good, bad = right(), right()
    assert good.is_right and "| 2.18.1 | 3.11 | ok | ok | ok | ok |" in rendered("2026-01-01", [good])
    bad.runs.update(spoil)
    assert not bad.is_right and cell in rendered("2026-01-01", [bad])
    lacking = right("python-3.8")
    del lacking.runs["again"]
    assert not lacking.is_right and "| 3.11 | 2.18.1 | ok | not run |" in rendered("2026-01-01", [lacking])
    warned = Row(**{**vars(right()), "complaints": ["x"]})
    assert not warned.is_right and "Under ansible-core 2.18.1 " in rendered("2026-01-01", [warned])


def test_rows_are_stored_and_read_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    order = ["core-2.18", "python-3.8"]
    for row in (right("python-3.8"), right(), right()):
        compatibility.store(row, order, path)
    assert compatibility.read(path)[1] == [right(), right("python-3.8")]


def test_a_readme_without_its_markers_is_told() -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        compatibility.with_table("no table", "x")
