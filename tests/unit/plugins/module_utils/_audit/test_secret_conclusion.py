# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a scan is remembered, and when what is remembered is taken in place of a scan."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit import (
    secret_conclusion,
    secret_reading,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.finding_arguments import finding_policy
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher_output import Scan
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.scanned_tree import RACY_NS, ScannedTree
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.secret_conclusion import SecretAudit
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import Finding
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.plan import Report

POLICY = finding_policy({"fail_on": "never", "waivers": [], "update_baseline": False, "sarif": None})
SECOND = 10**9
MONTH = 30 * 86400.0


class World:
    """A shop with one finding, and a clock."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.state, self.program = directory / "shop", directory / "state", directory / "kingfisher"
        self.root.mkdir()
        (self.root / "a.js").write_text("x")
        self.program.touch()
        # All of it is old by now.
        self.now, self.steady = time.time_ns() + 3600 * SECOND, 5 * SECOND
        self.incomplete = 0
        self.during: Callable[[], object] = lambda: None
        clock = SimpleNamespace(time_ns=lambda: self.now, monotonic_ns=lambda: self.steady)
        monkeypatch.setattr(secret_conclusion, "time", clock)
        monkeypatch.setattr(secret_reading, "read_findings", self._read)

    def _read(self, _scanning: object, roots: list[str], _exclude: object) -> tuple[Scan, list[Finding]]:
        self.now += 60 * SECOND
        self.steady += 60 * SECOND
        self.during()
        found = Finding("hard-coded-secret", "high", f"{self.root}/a.js", "m", "r", 1, scope=roots[0], subject="Canary")
        return Scan([], 1, 1, self.incomplete), [found]

    def audit(self, check: bool = False, exclude: tuple[str, ...] = ()) -> SecretAudit:
        call: Any = SimpleNamespace(check=check, tmpdir="", run=SimpleNamespace(state_dir=str(self.state)))
        clock = (self.now, self.steady)
        return SecretAudit(call, POLICY, [str(self.root)], exclude, str(self.program), clock)

    def scan(self, check: bool = False) -> Report:
        scanning: Any = None
        return self.audit(check).conclude_scan(scanning)

    def memories(self) -> list[Path]:
        return sorted(self.state.glob("scans/*"))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_what_was_found_is_told_again_and_nothing_is_read(world: World) -> None:
    first = world.scan()
    world.now += 7 * 86400 * SECOND
    audit = world.audit(check=True)
    kept = audit.remembered(MONTH)
    assert kept is not None
    again = audit.conclude_kept(kept)
    assert [found["fingerprint"] for found in again.values["findings"]] == [
        found["fingerprint"] for found in first.values["findings"]
    ]
    assert (first.values["scanned"], again.values["scanned"]) == (True, False)
    assert first.values["scan_time"] == again.values["scan_time"] and "Canary" not in world.memories()[0].read_text()
    assert [entry["target"] for entry in again.values["kept"]] == ["unchanged files"]
    assert again.headline.endswith("no file has changed since the scan of " + again.values["scan_time"][:10])


def test_check_mode_remembers_nothing(world: World) -> None:
    world.scan(check=True)
    assert not world.memories()


def test_an_incomplete_scan_is_not_remembered(world: World) -> None:
    world.incomplete = 1
    assert any("could not scan everything" in warning for warning in world.scan().warnings)
    assert not world.memories()


def test_a_clock_that_was_set_back_hides_changes(world: World) -> None:
    def set_back() -> None:
        world.now -= 3 * SECOND

    world.during = set_back
    world.scan()
    assert not world.memories()


def test_what_was_changed_a_moment_before_is_not_remembered(world: World) -> None:
    status = (world.root / "a.js").stat()
    world.now = status.st_ctime_ns + RACY_NS
    world.program = Path("/bin/sh")
    world.scan()
    assert not world.memories()


def test_a_program_that_was_put_there_a_moment_before_is_not_remembered(world: World) -> None:
    world.program.write_text("another")
    newest = ScannedTree([str(world.root)], [], 1)
    newest.finish()
    world.now = max(newest.newest, world.program.stat().st_ctime_ns) + RACY_NS
    world.scan()
    assert not world.memories()


def test_nothing_is_remembered_where_times_say_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ScannedTree, "timed", lambda _self: False)
        world.scan()
        assert not world.memories()
    world.scan()
    assert world.audit().remembered(MONTH) is not None
    monkeypatch.setattr(ScannedTree, "timed", lambda _self: False)
    assert world.audit().remembered(MONTH) is None


def other_key(world: World) -> None:
    (world.state / "audit.key").write_bytes(b"k" * 32)
    (world.state / "baselines/secret_scan.json").unlink()


def of_another_mark(world: World) -> None:
    (memory,) = world.memories()
    memory.write_text(json.dumps({**json.loads(memory.read_text()), "mark": "another"}))


ENDS: dict[str, Callable[[World], object]] = {
    "a file": lambda world: (world.root / "b.js").write_text("x"),
    "the program": lambda world: world.program.write_text("another"),
    "the key": other_key,
    "what decides": of_another_mark,
    "its age": lambda world: setattr(world, "now", world.now + int(MONTH) * SECOND),
    "a clock that is set back": lambda world: setattr(world, "now", world.now - 3600 * SECOND // 10),
    "damage": lambda world: world.memories()[0].write_text("{"),
    "removal": lambda world: world.memories()[0].unlink(),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with(world: World, end: str) -> None:
    world.scan()
    assert world.audit().remembered(MONTH) is not None
    ENDS[end](world)
    assert world.audit().remembered(MONTH) is None


def test_it_is_for_the_same_exclusions(world: World) -> None:
    world.scan()
    assert world.audit(exclude=("x",)).remembered(MONTH) is None and world.audit().remembered(0) is None


def test_after_a_difference_the_new_state_is_remembered(world: World) -> None:
    world.scan()
    (world.root / "b.js").write_text("x")
    audit, scanning = world.audit(), None
    assert audit.remembered(MONTH) is None
    audit.conclude_scan(scanning)  # type: ignore[arg-type]
    assert world.audit().remembered(MONTH) is not None


def test_what_only_a_scan_needs_is_not_loaded_for_what_is_remembered() -> None:
    """Nor before Kingfisher is started: on a target all of it is compiled anew for each call."""
    utils = Path(secret_conclusion.__file__).parents[1]
    found: set[str] = set()
    waiting = ["_audit.secret_scan", "_audit.secret_conclusion"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for node in ast.parse((utils / (name.replace(".", "/") + ".py")).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                room = f"{name.partition('.')[0]}." if node.level == 1 else ""
                waiting.append(room + (node.module or ""))
                waiting += [f"{room}{alias.name}" for alias in node.names if not node.module]
        waiting = [name for name in waiting if (utils / (name.replace(".", "/") + ".py")).is_file()]
    assert "_audit.kingfisher" in found and "_core.judgement" in found
    assert not found & {
        f"_audit.{name}" for name in ("secret_rules", "secret_values", "secret_matches", "secret_places")
    }
    assert "_audit.kingfisher_output" not in found and "_audit.secret_reading" not in found
