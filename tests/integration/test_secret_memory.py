# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""secret_scan reads nothing twice: Kingfisher is started again for a change, and for nothing else."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._audit.kingfisher import find_kingfisher
from tests.support.modules import ModuleResult, for_other_users
from tests.support.secret_scans import scan, settled

SECRET = "Canary-memory-{}"
FILES = {
    "backend/src/db.js": f"const dbPassword = '{SECRET.format('8841')}';\n",
    "backend/src/mailer.js": f"const smtpPassword = '{SECRET.format('7720')}';\n",
    "backend/src/fine.js": "const one = 1;\n",
    "release.zip": "packed",
    "storage/uploads/photo.txt": "x",
}


@dataclass
class Recorder:
    """A Kingfisher that writes down each of its starts."""

    program: Path
    log: Path

    def starts(self) -> list[str]:
        """The commands that it was started with since this was last asked."""
        found = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return found


def recorder(directory: Path, name: str = "kingfisher") -> Recorder:
    made = Recorder(directory / name, directory / f"{name}.log")
    made.program.write_text(f'#!/bin/sh\necho "$1" >> {made.log}\nexec {find_kingfisher(None)} "$@"\n')
    made.program.chmod(0o755)
    return made


CHANGES: dict[str, Callable[[Path], object]] = {}


def change(function: Callable[[Path], object]) -> Callable[[Path], object]:
    CHANGES[function.__name__] = function
    return function


@change
def written_anew(root: Path) -> None:
    """As long as before, and with the time of writing put back."""
    path = root / "backend/src/db.js"
    before = path.stat()
    path.write_text(path.read_text().replace("8841", "8842"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns and path.stat().st_size == before.st_size


@change
def another_file(root: Path) -> None:
    (root / "backend/src/fresh.js").write_text(f"const apiPassword = '{SECRET.format('9917')}';\n")


@change
def one_file_less(root: Path) -> None:
    (root / "backend/src/mailer.js").unlink()


@change
def another_name(root: Path) -> None:
    (root / "backend/src/mailer.js").rename(root / "backend/src/mailer.test.js")


@change
def another_mode(root: Path) -> None:
    (root / "backend/src/db.js").chmod(0o640)


@dataclass
class Shops:
    directory: Path
    recorder: Recorder
    other: Recorder

    def root(self, name: str) -> Path:
        return self.directory / name


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Shops:
    """One for each test, all made at a time: they have to be some seconds old."""
    directory = tmp_path_factory.mktemp("remembered")
    for shop in ("story", "sources", *CHANGES):
        for name, text in FILES.items():
            (directory / shop / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / shop / name).write_text(text)
    programs = directory / "programs"
    programs.mkdir()
    shops = Shops(directory, recorder(programs), recorder(programs, "other"))
    settled(directory)
    return shops


def told(result: ModuleResult) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in finding.items() if name not in ("since", "status")}
        for finding in result.result["findings"]
    ]


def memories(state: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (state / "scans").iterdir()}


def test_nothing_is_read_twice(shops: Shops, scan_state: Path) -> None:
    root, recorder = shops.root("story"), shops.recorder

    def again(**more: Any) -> ModuleResult:
        result = scan(root, scan_state, **{"kingfisher": str(recorder.program), **more})
        assert result.result["scanned"] == ("scan" in (starts := recorder.starts() + shops.other.starts())), starts
        return result

    first = again()
    assert first.result["scanned"] and first.result["summary"]["findings_total"] == 2
    (memory,) = (scan_state / "scans").iterdir()
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600 and "Canary" not in memory.read_text()

    second = again()
    assert not second.failed and not second.changed and not second.result["scanned"]
    assert told(second) == told(first) and second.result["scan_time"] == first.result["scan_time"]
    kept = {entry["target"]: entry["reason"] for entry in second.result["kept"]}
    files = first.result["summary"]["files_scanned"]
    assert (
        kept["unchanged files"]
        == f"{files} files not read again: unchanged since the scan of {first.result['scan_time']}"
    )
    assert kept.items() - {"unchanged files": kept["unchanged files"]}.items() == {
        (entry["target"], entry["reason"]) for entry in first.result["kept"]
    }
    summary = second.result["summary"]
    assert (summary["files_scanned"], summary["files_unchanged"], summary["files_not_scanned"]) == (0, files, 1)
    assert "no file has changed since the scan of" in summary["headline"]

    # What is not scanned may change.
    (root / "storage/uploads/other.txt").write_text("x")
    (root / "storage/.maintenance").write_text("{}")
    assert not again().result["scanned"]

    # Judged anew: what is waived, and until when; and check mode uses what it must not write.
    waiver = {"fingerprint": told(first)[0]["fingerprint"], "reason": "test account", "expires": "2999-12-31"}
    waived = again(waivers=[waiver])
    assert not waived.result["scanned"] and waived.result["summary"]["findings_waived"] == 1
    over = again(waivers=[{**waiver, "expires": "2020-01-01"}])
    assert not over.result["scanned"] and over.failed and "waiver" in json.dumps(over.result["findings"])
    before = memories(scan_state)
    assert not again(check=True).result["scanned"] and memories(scan_state) == before

    # Kingfisher's own rules are asked for, which is no scan.
    result = scan(
        root, scan_state, kingfisher=str(recorder.program), waivers=[{**waiver, "fingerprint": "", "rule": "nosuch"}]
    )
    assert (
        recorder.starts() == ["rules"] and not result.result["scanned"] and "nosuch" in str(result.result["warnings"])
    )

    # What decides beside the files.
    whole = again(rescan_after="0")
    assert whole.result["scanned"] and told(whole) == told(first)
    assert again(exclude=["nothing"]).result["scanned"] and len(memories(scan_state)) == 2
    assert again(kingfisher=str(shops.other.program), check=True).result["scanned"]
    assert again(paths=[str(root), str(shops.root("programs"))], check=True).result["scanned"]
    assert not again().result["scanned"]
    text = memory.read_text()
    content = json.loads(text)
    memory.write_text(json.dumps({**content, "began": content["began"] - 31 * 86400 * 10**9}))
    assert again(check=True).result["scanned"] and not again(check=True, rescan_after="32d").result["scanned"]
    memory.write_text(text[: len(text) // 2])
    damaged = again()
    assert damaged.result["scanned"] and not damaged.result.get("warnings") and told(damaged) == told(first)
    assert not again().result["scanned"], "it is written anew"
    (scan_state / "audit.key").unlink()
    assert again(check=True).result["scanned"], "fingerprints of another key"


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_read(shops: Shops, scan_state: Path, name: str) -> None:
    root, program = shops.root(name), str(shops.recorder.program)
    shops.recorder.starts()
    first = scan(root, scan_state, kingfisher=program, fail_on="never")
    CHANGES[name](root)
    second = scan(root, scan_state, kingfisher=program, fail_on="never")
    assert first.result["scanned"] and second.result["scanned"] and shops.recorder.starts() == ["scan", "scan"]
    if name != "another_mode":
        assert told(second) != told(first)
    assert memories(scan_state), "what was remembered is as good as before, should all be put back"
    # So soon after a change nothing is remembered.
    assert scan(root, scan_state, kingfisher=program, fail_on="never", check=True).result["scanned"]


def test_other_code_of_ours_reads_all_anew(shops: Shops, scan_state: Path, tmp_path: Path) -> None:
    root, program = shops.root("sources"), str(shops.recorder.program)
    place = for_other_users(tmp_path / "place")
    for expected in (True, False):
        assert scan(root, scan_state, kingfisher=program, place=place).result["scanned"] == expected
    for name in ("secret_rules", "secret_values"):
        path = place / f"collections/ansible_collections/miniecom/maintenance/plugins/module_utils/_audit/{name}.py"
        path.write_text(path.read_text() + "# another line\n")
        assert scan(root, scan_state, kingfisher=program, place=place).result["scanned"]
    assert not scan(root, scan_state, kingfisher=program, place=place).result["scanned"]


def test_check_mode_remembers_nothing(shops: Shops, scan_state: Path) -> None:
    root = shops.root("story")
    assert scan(root, scan_state, check=True).result["scanned"] and not (scan_state / "scans").exists()
    shutil.rmtree(scan_state)


def test_no_more_is_read_than_is_remembered(scan_state: Path, tmp_path: Path) -> None:
    """A link leads out of what is looked at for changes, and a file that says what to ignore would decide what is read."""
    root, elsewhere = tmp_path / "shop", tmp_path / "elsewhere"
    for directory in (root / "backend", root / ".git", elsewhere):
        directory.mkdir(parents=True)
    for name, path in {"7701": elsewhere / "linked.js", "7702": root / "backend/ignored.js"}.items():
        path.write_text(f"const apiPassword = '{SECRET.format(name)}';\n")
    for name in (".gitignore", ".ignore", "backend/.gitignore"):
        (root / name).write_text("ignored.js\nbackend\n")
    (root / "file.js").symlink_to(elsewhere / "linked.js")
    (root / "directory").symlink_to(elsewhere)
    found = scan(root, scan_state, fail_on="never").result["findings"]
    assert [Path(finding["target"]).name for finding in found] == ["ignored.js"]
