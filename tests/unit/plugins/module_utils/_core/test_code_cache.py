# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled code on the host: used for the very source that was sent, and for nothing else."""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import marshal
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import code_cache
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.code_cache import DIRECTORY, CodeCache, install
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


PACKAGE = "ansible_collections.miniecom.maintenance.sent"
OTHER = "ansible_collections.somebody.other"
SENT = "VALUE = %d\nLOADERS.append(__spec__.loader)\n"


class Importer:
    """As Mitogen's: a finder that is its own loader, serves no submodule of what another one loaded, and asks the others first."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources
        self.compiled: list[str] = []
        self.loaders: list[Any] = []
        self._asking = False

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        parent = fullname.rpartition(".")[0]
        if self._asking or fullname not in self.sources or (parent and sys.modules[parent].__spec__.loader is not self):
            return None
        self._asking = True
        try:
            found = next(filter(None, (finder.find_spec(fullname, path) for finder in list(sys.meta_path))), None)
        finally:
            self._asking = False
        return found or ModuleSpec(fullname, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        spec.origin = f"master:/{spec.name}.py"
        if any(name.startswith(f"{spec.name}.") for name in self.sources):
            spec.submodule_search_locations = []
        module = ModuleType(spec.name)
        module.LOADERS = self.loaders  # type: ignore[attr-defined]
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        self.compiled.append(module.__name__)
        exec(compile(self.sources[module.__name__], str(module.__spec__.origin), "exec"), module.__dict__)

    def get_source(self, fullname: str) -> str | None:
        return self.sources.get(fullname)


@dataclass
class Interpreter:
    """One that Mitogen keeps: each call of `begin` stands for a new one, with this importer."""

    directory: Path
    patch: pytest.MonkeyPatch

    def begin(self, value: int = 1) -> tuple[Importer, CodeCache | None]:
        for name in [name for name in sys.modules if name.startswith((PACKAGE, OTHER))]:
            self.patch.delitem(sys.modules, name)
        names = (f"{PACKAGE}.inner", f"{PACKAGE}.inner.thing", PACKAGE, f"{OTHER}.thing", OTHER)
        importer = Importer(dict.fromkeys(names, SENT % value))
        self.patch.setattr(sys, "meta_path", [importer, *ORDINARY])
        for name in {name.rpartition(".")[0] for name in (PACKAGE, OTHER)}:
            package = ModuleType(name)
            package.__path__ = []
            package.__spec__ = ModuleSpec(name, importer, is_package=True)  # type: ignore[arg-type]
            self.patch.setitem(sys.modules, name, package)
        return importer, install(importer)

    def kept(self) -> list[Path]:
        return sorted((self.directory / DIRECTORY).iterdir())


ORDINARY = list(sys.meta_path)


@pytest.fixture(name="interpreter")
def _interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Interpreter]:
    (tmp_path / DIRECTORY).mkdir(mode=0o700)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before = {name for name in sys.modules if name.startswith(PACKAGE)}
    yield Interpreter(tmp_path, monkeypatch)
    monkeypatch.undo()
    for name in [name for name in sys.modules if name.startswith((PACKAGE, OTHER)) and name not in before]:
        del sys.modules[name]


def test_what_mitogen_sends_is_compiled_once(interpreter: Interpreter) -> None:
    for fresh in (1, 0):
        importer, cache = interpreter.begin()
        assert cache is not None
        thing = importlib.import_module(f"{PACKAGE}.inner.thing")
        assert thing.VALUE == 1 and not importer.compiled
        # Of one source, and so of one name.
        assert len({name for name, _data in cache.fresh}) == fresh
        cache.keep()
    assert len(interpreter.kept()) == 1


def test_what_mitogen_sends_changed_is_compiled_anew(interpreter: Interpreter) -> None:
    for value in (1, 2):
        _importer, cache = interpreter.begin(value)
        assert cache is not None
        assert value == importlib.import_module(f"{PACKAGE}.inner.thing").VALUE
        cache.keep()
    assert len(interpreter.kept()) == 2


def test_what_mitogen_sends_is_the_importers_when_it_is_loaded(interpreter: Interpreter) -> None:
    importer, _cache = interpreter.begin()
    thing = importlib.import_module(f"{PACKAGE}.inner.thing")
    assert importer.loaders == [importer] * 3
    assert thing.__loader__ is thing.__spec__.loader is importer
    assert thing.__spec__.origin == f"master:/{PACKAGE}.inner.thing.py"


def test_what_mitogen_sends_of_others_is_left_alone(interpreter: Interpreter) -> None:
    importer, cache = interpreter.begin()
    assert cache is not None
    assert importlib.import_module(f"{OTHER}.thing").VALUE == 1
    assert importer.compiled == [OTHER, f"{OTHER}.thing"] and not cache.fresh


@pytest.mark.parametrize("lacks", ["find_spec", "create_module", "exec_module", "get_source"])
def test_an_importer_of_another_kind_is_left_alone(interpreter: Interpreter, lacks: str) -> None:
    importer = type("Other", (), {name: None for name in code_cache._IMPORTER if name != lacks})()
    sys.meta_path.insert(0, importer)
    finders = list(sys.meta_path)
    assert install(importer) is None and sys.meta_path == finders


def test_a_loader_that_is_no_finder_is_left_alone(interpreter: Interpreter) -> None:
    finders = list(sys.meta_path)
    assert install(Importer({})) is None and sys.meta_path == finders


def test_a_source_that_mitogen_does_not_tell_is_loaded_by_its_importer(interpreter: Interpreter) -> None:
    importer, cache = interpreter.begin()
    assert cache is not None
    importer.get_source = lambda _fullname: None  # type: ignore[method-assign, assignment]
    assert importlib.import_module(f"{PACKAGE}.inner.thing").VALUE == 1
    assert len(importer.compiled) == 3 and not cache.fresh


def test_without_the_directory_mitogen_is_left_alone(interpreter: Interpreter) -> None:
    (interpreter.directory / DIRECTORY).rmdir()
    importer, cache = interpreter.begin()
    assert cache is None and sys.meta_path == [importer, *ORDINARY]
