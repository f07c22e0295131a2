# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled code on the host: used for the very source that was sent, and for nothing else."""

from __future__ import annotations

import errno
import hashlib
import json
import marshal
import os
import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import code_cache
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.code_cache import DIRECTORY, CodeCache
from tests.support.old_python import VERSION, PythonUnavailable
from tests.support.pythons import find_interpreter

ROOT = Path(__file__).resolve().parents[5]
CORE = "ansible_collections/miniecom/maintenance/plugins/module_utils/_core"
# What a module does, in short: import from the archive, work, keep what was compiled.
PROGRAM = """
import sys, json, traceback
sys.path.insert(0, sys.argv[1])
from {package} import CODE
from {package} import thing
seen = {{"value": thing.VALUE, "cached": CODE is not None, "source": thing.__loader__.get_source(thing.__name__)}}
try:
    thing.fail()
except ValueError:
    seen["traceback"] = traceback.format_exc()
seen["fresh"] = 0 if CODE is None else len(CODE.fresh)
if CODE is not None and sys.argv[2] == "keep":
    CODE.keep()
print(json.dumps(seen))
""".format(package=CORE.replace("/", "."))
SOURCE = "VALUE = %d\n\n\ndef fail():\n    raise ValueError('the line of the error')\n"


class Host:
    """A virtual environment with a directory for code, and what Ansible sends there."""

    def __init__(self, directory: Path, base: Path) -> None:
        self.place = directory
        self.venv = directory / "venv"
        subprocess.run([base, "-m", "venv", "--without-pip", self.venv], check=True)
        self.code = self.venv / DIRECTORY
        self.code.mkdir(mode=0o700)

    def call(self, value: int = 1, last: str = "keep", number: int = 0) -> dict[str, Any]:
        """One call with a module that says `value`; each is sent as an archive of another name."""
        archive = self.place / f"payload-{number}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
            for depth in range(1, CORE.count("/") + 1):
                content.writestr("/".join(CORE.split("/")[:depth]) + "/__init__.py", "")
            for name in ("__init__", "code_cache"):
                source = (ROOT / "plugins/module_utils/_core" / f"{name}.py").read_bytes()
                content.writestr(f"{CORE}/{name}.py", source)
            content.writestr(f"{CORE}/thing.py", SOURCE % value)
        environment = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
        command = [self.venv / "bin" / "python", "-c", PROGRAM, archive, last]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, cwd=self.place)
        return dict(json.loads(done.stdout))

    def kept(self) -> list[Path]:
        return sorted(self.code.iterdir())

    def file_of(self, value: int = 1) -> Path:
        (found,) = self.code.glob(hashlib.sha256((SOURCE % value).encode()).hexdigest() + ".*")
        return found


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    return Host(tmp_path, Path(sys.executable))


def pretend(host: Host, value: int, other: int) -> None:
    """Put compiled code that says `other` in the place of that of the source that says `value`."""
    code = compile(SOURCE % other, "thing.py", "exec")
    size = len(SOURCE % value).to_bytes(4, "little")
    data = MAGIC_NUMBER + bytes(8) + size + marshal.dumps(code)
    host.file_of(value).write_bytes(hashlib.sha256(data).digest() + data)


def test_what_was_compiled_once_is_used_the_next_time(host: Host) -> None:
    first = host.call()
    assert first["value"] == 1 and first["cached"] and first["fresh"] > 0
    assert len(host.kept()) == first["fresh"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in host.kept())
    assert host.call(number=1)["fresh"] == 0
    pretend(host, 1, 7)
    assert host.call()["value"] == 7, "the kept code is not what runs"


def test_another_source_is_compiled_anew(host: Host) -> None:
    host.call()
    pretend(host, 1, 7)
    other = host.call(value=2)
    assert other["value"] == 2 and other["fresh"] == 1


def test_source_and_lines_of_errors_are_told_from_kept_code_as_well(host: Host) -> None:
    for number in (0, 1):
        seen = host.call(number=number)
        assert seen["source"] == SOURCE % 1
        assert f"payload-{number}.zip" in seen["traceback"] and "the line of the error" in seen["traceback"]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "of another Python"])
def test_damaged_code_is_compiled_anew(host: Host, damage: str) -> None:
    host.call()
    path = host.file_of()
    content = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    elif damage == "of another Python":
        data = b"\0\0\r\n" + content[36:]
        path.write_bytes(hashlib.sha256(data).digest() + data)
    else:
        path.write_bytes(content[:60] if damage == "truncated" else b"")
    again = host.call()
    assert again["value"] == 1 and again["fresh"] == 1
    assert host.file_of().read_bytes() == content


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_directory_that_others_write_to_is_not_trusted(host: Host, mode: int) -> None:
    host.call()
    pretend(host, 1, 7)
    host.code.chmod(mode)
    seen = host.call()
    assert seen["value"] == 1 and not seen["cached"]


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: a directory of another owner, which needs root")
def test_a_directory_of_another_owner_is_not_trusted(host: Host) -> None:
    os.chown(host.code, 65534, 65534)
    assert not host.call()["cached"] and not host.kept()


def test_a_link_is_not_followed(host: Host) -> None:
    real = host.code.rename(host.place / "elsewhere")
    host.code.symlink_to(real)
    assert not host.call()["cached"]


def test_without_the_directory_all_is_as_before(host: Host) -> None:
    host.code.rmdir()
    seen = host.call()
    assert seen["value"] == 1 and not seen["cached"] and not host.code.exists()


def test_nothing_is_written_unless_it_is_told(host: Host) -> None:
    assert host.call(last="check mode")["fresh"] > 0
    assert not host.kept()


def test_on_the_oldest_python(tmp_path: Path) -> None:
    try:
        python = find_interpreter(VERSION)
    except PythonUnavailable as error:
        pytest.skip(f"NOT TESTED: {error}")
    host = Host(tmp_path, Path(python))
    assert host.call()["value"] == 1
    assert host.call(number=1)["fresh"] == 0


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CodeCache(str(tmp_path))
    cache.fresh = [("a.pyc", b"code"), ("b.pyc", b"code")]

    def full(_source: str, _target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(code_cache.os, "rename", full)
    cache.keep()
    assert not list(tmp_path.iterdir()) and not cache.fresh


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_cache, "MOST_FILES", 3)
    cache = CodeCache(str(tmp_path))
    for number in range(5):
        cache.fresh = [(f"{number}.pyc", b"code")]
        cache.keep()
        os.utime(tmp_path / f"{number}.pyc", (number, number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.pyc", "3.pyc", "4.pyc"]
    assert cache.read("4.pyc") == b"code"
    with pytest.raises(FileNotFoundError):
        cache.read("0.pyc")
