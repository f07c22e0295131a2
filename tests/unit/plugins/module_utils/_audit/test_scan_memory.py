# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is remembered of a scan holds for what it was made of and for nothing else, and has no secret in it."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit import scan_memory
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.scan_memory import (
    JUDGING,
    KeptScan,
    read_kept_scan,
    scan_mark,
    without_subjects,
    write_kept_scan,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.scan_place import kept_scan_path
from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.scanned_tree import RACY_NS
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.finding import Finding
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.judgement import Remembered, judge_findings

UTILS = Path(scan_memory.__file__).parents[1]
KEY = b"k" * 32
DAY = 86400 * 10**9
FOUND = [
    Finding("hard-coded-secret", "high", "/srv/a.js", "m", "r", 3, 7, (3, 9), "password: ********", "/srv", "Canary-1"),
    Finding("secret-fallback", "medium", "/srv/\\xff b.js", "m", "r", 1, scope="/srv/\udcff", subject="Canary-2"),
]


def kept(**more: Any) -> KeptScan:
    return replace(KeptScan("mark", 100 * DAY, frozenset(("a", "b")), without_subjects(KEY, FOUND), 4, 142), **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = Path(kept_scan_path(str(tmp_path), ["/srv"], ["x"]))
    assert write_kept_scan(str(tmp_path), str(path), kept()) == []
    return path


def test_it_comes_back_as_it_was_without_the_secrets(path: Path) -> None:
    assert read_kept_scan(str(path)) == kept()
    assert "Canary" not in path.read_text()
    assert path.stat().st_mode & 0o7777 == 0o600 and path.parent.stat().st_mode & 0o7777 == 0o700


def test_what_is_remembered_is_judged_as_what_was_found() -> None:
    judged = [
        judge_findings(found, Remembered(), [], "low", KEY, utc_now(), ["/srv", "/srv/\udcff"])
        for found in (FOUND, without_subjects(KEY, FOUND))
    ]
    whole, again = judged
    assert [finding.as_dict() for finding in whole.findings] == [finding.as_dict() for finding in again.findings]
    assert len({finding.fingerprint for finding in again.findings}) == 2 and whole.after == again.after


@pytest.mark.parametrize(
    ("days", "rescan_after", "recent"),
    [(0, 30, True), (29.99, 30, True), (30, 30, False), (31, 30, False), (0, 0, False), (-0.01, 30, False)],
)
def test_it_holds_for_a_time(days: float, rescan_after: float, recent: bool) -> None:
    assert kept().recent(int((100 + days) * DAY), rescan_after * 86400) == recent


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.pop(name)


def _with(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update({name: value})


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    **{f"without {name}": _without(name) for name in ("version", "mark", "began", "directories", "findings", "files")},
    "of another form": _with("version", 2),
    "a text for a number": _with("began", "yesterday"),
    "a number for a text": _with("mark", 1),
    "directories that are none": _with("directories", [1]),
    "no list": _with("directories", None),
    "findings that are none": _with("findings", [{"rule": "x"}]),
    "no severity": lambda content: content["findings"][0].update(severity="grave"),
    "no fingerprint": lambda content: content["findings"][0].update(fingerprint=""),
    "a line that is none": lambda content: content["findings"][0].update(line="3"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_not_there(path: Path, damage: str) -> None:
    content = json.loads(path.read_text())
    DAMAGE[damage](content)
    path.write_text(json.dumps(content))
    assert read_kept_scan(str(path)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"', "\udcff", "[" * 100_000])
def test_what_is_no_memory_is_not_there(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_kept_scan(str(path)) is None


def test_what_others_could_have_written_is_not_there(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.chmod(0o620)
    assert read_kept_scan(str(path)) is None
    path.chmod(0o600)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert read_kept_scan(str(path)) is None
    monkeypatch.undo()
    assert read_kept_scan(str(path)) is not None
    moved = path.rename(tmp_path / "elsewhere")
    path.symlink_to(moved)
    assert read_kept_scan(str(path)) is None
    path.unlink()
    os.mkfifo(path)
    assert read_kept_scan(str(path)) is None and read_kept_scan(str(path.with_name("none"))) is None


def test_where_it_cannot_be_written_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "scans").write_text("no directory")
    (warning,) = write_kept_scan(str(tmp_path), kept_scan_path(str(tmp_path), ["/srv"], []), kept())
    assert "will read all files again" in warning and "scans" in warning


def test_each_scan_has_a_place_of_its_own() -> None:
    asked: list[tuple[list[str], list[str]]] = [(["/a"], []), (["/a", "/b"], []), (["/a"], ["/b"]), (["/a"], ["c"])]
    assert len({kept_scan_path("/state", *arguments) for arguments in asked}) == len(asked)


def test_the_mark_stands_for_all_that_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kingfisher"
    program.write_text("#!/bin/sh\n")

    def settled() -> int:
        status = program.stat()
        return max(status.st_ctime_ns, status.st_mtime_ns) + RACY_NS + 1

    def mark(roots: tuple[str, ...] = ("/a",), exclude: tuple[str, ...] = ("x",), key: bytes = KEY) -> str:
        return scan_mark(str(program), roots, exclude, key, settled())

    before = mark()
    assert before and before == mark()
    assert scan_mark(str(program), ("/a",), ("x",), KEY, settled() - 1) == "", "it may not be what was started"
    others = [mark(roots=("/b",)), mark(exclude=("y",)), mark(key=b"o" * 32)]
    times = program.stat()
    program.write_text("#!/bin/zz\n")
    os.utime(program, ns=(times.st_atime_ns, times.st_mtime_ns))
    others.append(mark())
    program.with_name("other").write_text("#!/bin/sh\n")
    program.with_name("other").replace(program)
    others.append(mark())
    now = mark()
    for owner, name, value in (
        (os, "geteuid", lambda: 4711),
        (os, "getgroups", lambda: [4711]),
        (scan_memory, "VERSION", 99),
        (scan_memory, "_sources_digest", lambda: "of other code"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            others.append(mark())
    assert mark() == now and len({before, *others}) == len(others) + 1
    program.unlink()
    assert scan_mark(str(program), ("/a",), ("x",), KEY, 2**62) == ""


def _imported(name: str) -> Iterator[str]:
    """The modules of module_utils that one of them imports, wherever in it."""
    room, _, _stem = name.partition(".")
    for node in ast.walk(ast.parse((UTILS / (name.replace(".", "/") + ".py")).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = room if node.level == 1 else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            for full in (module, *(f"{module}.{alias.name}" for alias in node.names)):
                if (UTILS / (full.replace(".", "/") + ".py")).is_file():
                    yield full


def test_all_code_that_judges_is_part_of_the_mark() -> None:
    found: set[str] = set()
    waiting = ["_audit.secret_reading"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_imported(name))
    assert found == set(JUDGING) and len(JUDGING) == len(found)


@pytest.mark.parametrize("name", JUDGING)
def test_each_line_of_it_counts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = scan_memory._sources_digest()
    full = "%s.%s" % (scan_memory.__name__.rsplit(".", 2)[0], name)
    __import__(full)
    loader = type(scan_memory.sys.modules[full].__spec__.loader)  # type: ignore[union-attr]
    source = loader.get_source
    monkeypatch.setattr(loader, "get_source", lambda self, asked: source(self, asked) + ("#" if asked == full else ""))
    assert scan_memory._sources_digest() != before


def test_what_is_sent_when_it_is_loaded_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under Mitogen."""
    before, read, asked = scan_memory._sources_digest(), scan_memory._source, []

    def late(full: str) -> Any:
        asked.append(full)
        return read(full) if asked.count(full) > 1 else None

    monkeypatch.setattr(scan_memory, "_source", late)
    assert scan_memory._sources_digest() == before and len(asked) == 2 * len(JUDGING)


def test_without_the_source_of_it_nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kingfisher"
    program.touch()
    assert scan_mark(str(program), [], [], KEY, 2**62)
    monkeypatch.setattr(scan_memory, "JUDGING", ("_audit.there_is_none",))
    assert scan_mark(str(program), [], [], KEY, 2**62) == ""
