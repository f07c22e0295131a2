# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""backup_offsite with real programs: rsync over a real sshd, rclone, and restic, each to a place on this disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._backup import catalogue
from tests.conftest import lacking
from tests.sandbox.apt import PackagesUnavailable
from tests.sandbox.offsite import SshServer, obscured, offsite_programs, ssh_server, webdav_server
from tests.support.extent import EXHAUSTIVE
from tests.support.modules import ModuleResult, run_module, start_module

METHODS = ("rsync", "rclone", "restic")
PASSWORD = "canary-of-the-repository-7719"
ENVIRONMENT = "canary-of-the-environment-3382"


@pytest.fixture(scope="session")
def programs() -> Path:
    try:
        return offsite_programs()
    except PackagesUnavailable as error:
        lacking(f"rsync, restic, rclone and sshd of Debian: {error}")
        raise


@pytest.fixture(scope="session")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@dataclass
class World:
    """Backups here, and a place."""

    method: str
    here: Path
    place: Path
    state: Path
    programs: Path
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, check: bool = False, **options: Any) -> ModuleResult:
        return run_module("backup_offsite", self.params(**options), check=check, env=self.env)

    def params(self, **options: Any) -> dict[str, Any]:
        given = {"method": self.method, "path": str(self.here), "state_dir": str(self.state), "owner": "host-1"}
        return {**given, **self.options, **options}

    @property
    def env(self) -> dict[str, str | None]:
        return {"PATH": f"{self.programs}:{os.environ['PATH']}", "SSH_AUTH_SOCK": None}

    def copies(self) -> list[str]:
        return [copy["name"] for copy in ok(self.run(check=True)).result["copies"]]


def backup(directory: Path, moment: datetime, size: int = 200_000, encrypted: bool = True, **record: Any) -> Path:
    """A verified backup that can be one."""
    path = directory / catalogue.backup_name(moment.astimezone(), encrypted)
    path.write_bytes(b"Salted__" + os.urandom(size // 16 * 16 - 8))
    status = path.stat()
    utc = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = catalogue.VerificationRecord(
        status.st_size,
        status.st_mtime_ns,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        utc,
        utc,
        "miniecom",
        components=("uploads",),
        **record,
    )
    catalogue.write_sidecar(str(path), found)
    return path


NOW = datetime.now().replace(microsecond=0) - timedelta(hours=1)


# restic and rclone are met in what follows anyway; make test-long does all with each of them.
@pytest.fixture(params=METHODS if EXHAUSTIVE else ("rsync",))
def world(request: pytest.FixtureRequest, tmp_path: Path, programs: Path, server: SshServer) -> World:
    return make_world(request.param, tmp_path, programs, server)


def make_world(method: str, directory: Path, programs: Path, server: SshServer) -> World:
    found = World(method, directory / "backups", directory / "place", directory / "state", programs)
    found.here.mkdir()
    for day in (2, 1, 0):
        backup(found.here, NOW - timedelta(days=day), tags=("pre-update",) if day == 2 else ())
    found.options["target"] = str(found.place)
    if method == "rsync":
        found.options.update(server.options(), target=server.target(found.place))
    if method == "restic":
        for name, text in (("password", PASSWORD + "\n"), ("environment", f"AWS_SECRET_ACCESS_KEY={ENVIRONMENT}\n")):
            (directory / name).write_text(text)
            (directory / name).chmod(0o600)
        found.options.update(password_file=str(directory / "password"), environment_file=str(directory / "environment"))
    if method == "rclone":
        (directory / "rclone.conf").write_text(f"[vault]\ntype = alias\nremote = {directory}\n# {ENVIRONMENT}\n")
        (directory / "rclone.conf").chmod(0o600)
        found.options.update(config_file=str(directory / "rclone.conf"), target="vault:place")
    return found


def ok(result: ModuleResult) -> ModuleResult:
    assert not result.failed, result.msg
    return result


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("world", METHODS if EXHAUSTIVE else ("rsync", "restic"), indirect=True)
def test_copy_rotate_and_fetch(world: World, tmp_path: Path) -> None:
    """The whole story: check mode, copies, nothing to do, rotation, and a fetch on a host that knows nothing."""
    before, oldest = tree(world.here), names(world.here)[0]
    missing = world.run()
    assert missing.failed and "backup_offsite_create=true" in missing.msg, missing.msg

    would = ok(world.run(check=True, create=True))
    assert [entry["action"] for entry in would.result["plan"]] == ["make_place", *["copy_backup"] * 3]
    assert not world.place.exists() and not world.state.exists()
    assert "would copy 3 backups" in would.result["summary"]["headline"]

    real = ok(world.run(create=True))
    assert real.changed and real.result["plan"] == would.result["plan"]
    assert tree(world.here) == before
    assert [copy["name"] for copy in real.result["copies"]] == names(world.here)[::-1]
    assert all("read back" in copy["checked"] for copy in real.result["copies"])
    assert 0.9 < real.result["summary"]["age_hours"] < 1.5
    assert "3 copies there, the newest is 1 h" in real.result["summary"]["headline"]
    again = ok(world.run(create=True))
    assert not again.changed and not again.result["plan"], again.result["plan"]

    known = ok(run_module("backup_info", {"path": str(world.here), "state_dir": str(world.state)}))
    assert 0.9 < known.result["summary"]["offsite_age_hours"] < 1.5
    assert known.result["offsite"]["name"] == names(world.here)[-1]
    # Nobody asks the place for this: when it was last seen is told.
    assert re.search(r"copy off the host is 1 h.* old, as seen there \S+ s ago", known.result["summary"]["headline"])

    # Rotation at the place: what has no rule goes, what is tagged stays, and nothing here changes.
    newer = backup(world.here, NOW + timedelta(minutes=1))
    before = tree(world.here)
    rules = {"keep_last": 1, "keep_tags": ["pre-update"]}
    would = ok(world.run(check=True, **rules))
    rotated = ok(world.run(**rules))
    assert rotated.result["plan"] == would.result["plan"]
    assert [entry["action"] for entry in rotated.result["plan"]] == ["copy_backup", "remove_copy", "remove_copy"]
    assert [copy["name"] for copy in rotated.result["copies"]] == [newer.name, oldest]
    assert tree(world.here) == before
    assert not ok(world.run(**rules)).changed

    # Another host, with neither the backups nor the state of the first.
    other = tmp_path / "recovery"
    other.mkdir()
    fetch = {"action": "fetch", "path": str(other), "state_dir": str(tmp_path / "elsewhere"), "owner": None}
    assert ok(world.run(check=True, **fetch)).result["path"] == str(other / newer.name)
    assert not tree(other)
    fetched = ok(world.run(**fetch))
    assert fetched.changed and fetched.result["summary"]["verified"]
    assert (other / newer.name).read_bytes() == newer.read_bytes()
    assert (other / newer.name).stat().st_mode & 0o7777 == 0o600
    assert [found.verified for found in catalogue.read_catalogue(str(other)).backups] == [True]
    assert not ok(world.run(**fetch)).changed
    by_name = ok(world.run(**fetch, name=oldest))
    assert by_name.result["path"] == str(other / oldest)
    assert catalogue.look_at(str(other / oldest)).tags == frozenset({"pre-update"})  # type: ignore[union-attr]
    absent = world.run(**fetch, name="20200101_000000.tar.gz.enc")
    assert absent.failed and "no finished copy of this name" in absent.msg
    (other / newer.name).write_bytes(b"Salted__ and something else")
    taken = world.run(**fetch)
    assert taken.failed and "It was not touched" in taken.msg
    for result in (real, rotated, fetched, absent):
        assert PASSWORD not in result.output and ENVIRONMENT not in result.output


def test_what_is_fetched_for_one_run_goes_with_it_or_with_the_next(
    tmp_path: Path, programs: Path, server: SshServer
) -> None:
    world = make_world("rsync", tmp_path, programs, server)
    ok(world.run(create=True))
    own, newest = names(world.here)[0], names(world.here)[-1]
    other = tmp_path / "recovery"
    other.mkdir()
    state = {"state_dir": str(world.state)}
    fetch = {"action": "fetch", "path": str(other)}
    ok(world.run(**fetch, name=own))
    before = tree(other)
    run_id = ok(run_module("maintenance_run", {"state": "begun", **state})).result["run_id"]
    ok(world.run(**fetch, temporary=True, run_id=run_id))
    assert newest in names(other)
    # The one that lay there stays, though it was asked for again.
    ok(world.run(**fetch, temporary=True, run_id=run_id, name=own))
    ended = ok(run_module("maintenance_run", {"state": "ended", "run_id": run_id, **state}))
    assert any(newest in line for line in ended.result["cleaned"])
    assert tree(other) == before

    # A run that never comes to its end.
    dead = ok(run_module("maintenance_run", {"state": "begun", **state})).result["run_id"]
    ok(world.run(**fetch, temporary=True, run_id=dead))
    ok(run_module("maintenance_run", {"state": "begun", "takeover": True, **state}))
    assert tree(other) == before


def flip(world: World, name: str) -> None:
    """Change one byte of a copy at the place, and keep its time."""
    path = world.place / name
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("method", ["rclone", "restic"])
def test_a_damaged_copy_is_found_when_it_is_fetched(
    method: str, tmp_path: Path, programs: Path, server: SshServer
) -> None:
    world = make_world(method, tmp_path, programs, server)
    ok(world.run(create=True, max_copies=1))
    newest = names(world.here)[-1]
    other = tmp_path / "recovery"
    other.mkdir()
    if world.method == "restic":
        for path in (world.place / "data").rglob("*"):
            if path.is_file():
                path.chmod(0o600)
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
    else:
        flip(world, newest)
    result = world.run(action="fetch", path=str(other), name=newest)
    assert result.failed, result.result
    assert not names(other), "what is damaged never gets the name of a backup"
    if world.method != "restic":
        assert "another SHA-256" in result.msg


def test_what_was_damaged_here_since_it_was_verified_is_not_sent(
    tmp_path: Path, programs: Path, server: SshServer
) -> None:
    world = make_world("rclone", tmp_path, programs, server)
    path = world.here / names(world.here)[-1]
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    result = world.run(create=True)
    assert result.failed and "another SHA-256 than when it was verified" in result.msg
    assert not names(world.place)
    assert path.read_bytes() == bytes(data)


@pytest.mark.parametrize("method", ["rsync", "rclone"])
def test_a_file_of_somebody_elses_is_neither_overwritten_nor_removed(
    method: str, tmp_path: Path, programs: Path, server: SshServer
) -> None:
    world = make_world(method, tmp_path, programs, server)
    world.place.mkdir()
    newest, old = names(world.here)[-1], "20200101_000000.tar.gz.enc"
    for name in (newest, old, "photos.zip"):
        (world.place / name).write_bytes(b"Salted__somebody's")
    result = world.run(keep_last=2)
    assert result.failed and "Nothing was overwritten" in result.msg
    assert {(world.place / name).read_bytes() for name in (newest, old, "photos.zip")} == {b"Salted__somebody's"}
    # The very same archive, which somebody has taken there by hand, is noted and counts.
    shutil.copy2(world.here / newest, world.place / newest)
    ok(world.run(keep_last=2))
    assert world.copies() == names(world.here)[:0:-1]
    # A second host at the same place: what it would put under that name is another backup, and the copies of the first stay.
    theirs = World(method, tmp_path / "theirs", world.place, tmp_path / "their-state", programs, dict(world.options))
    theirs.here.mkdir()
    backup(theirs.here, NOW)
    result = theirs.run(owner="host-2", keep_last=1)
    assert "another backup of host-1 has its name" in str(result.result["kept"]) + result.msg
    assert world.copies() == names(world.here)[:0:-1]
    assert (world.place / old).exists() and (world.place / "photos.zip").exists()


@pytest.mark.parametrize("method", METHODS if EXHAUSTIVE else ("rsync", "restic"))
def test_two_hosts_of_one_name_do_not_rotate_each_others_copies(
    method: str, tmp_path: Path, programs: Path, server: SshServer
) -> None:
    """Production and a staging set up from its image, both called host-1, with one place and one rule."""
    world = make_world(method, tmp_path, programs, server)
    twin = World(method, tmp_path / "theirs", world.place, tmp_path / "their-state", programs, dict(world.options))
    twin.here.mkdir()
    for minutes in (1, 2, 3):
        backup(twin.here, NOW + timedelta(minutes=minutes))
    ok(world.run(create=True))
    rules = {"keep_last": 1}
    would = ok(twin.run(check=True, **rules))
    theirs = ok(twin.run(**rules))
    assert theirs.result["plan"] == would.result["plan"]
    assert [entry["action"] for entry in theirs.result["plan"]] == ["copy_backup"]
    assert "another host has copies of the name host-1" in str(theirs.result["warnings"])
    assert [copy["name"] for copy in theirs.result["copies"]] == names(twin.here)[-1:]
    assert world.copies() == names(world.here)[::-1], "nothing of the first host is gone"
    ours = ok(world.run(**rules))
    assert [entry["action"] for entry in ours.result["plan"]] == ["remove_copy"] * 2
    assert ours.result["summary"]["copies"] == 1
    assert [copy["name"] for copy in ok(twin.run(**rules)).result["copies"]] == names(twin.here)[-1:]
    # What is brought back elsewhere must be named: the newest copy is that of the wrong shop.
    other = tmp_path / "recovery"
    other.mkdir()
    elsewhere = {"action": "fetch", "path": str(other), "state_dir": str(tmp_path / "elsewhere")}
    refused = world.run(**elsewhere)
    assert refused.failed and "several hosts of the name host-1" in refused.msg
    assert ok(world.run(**elsewhere, name=names(world.here)[-1])).result["path"].endswith(names(world.here)[-1])

    # A host that was set up anew says so once, and its copies are one series again.
    shutil.rmtree(world.state)
    shutil.rmtree(twin.state)
    assert "backup_offsite_adopt=true" in str(ok(world.run(check=True, **rules)).result["warnings"])
    assert not world.state.exists()
    backup(world.here, NOW + timedelta(minutes=30))
    would = ok(world.run(check=True, adopt=True, **rules))
    taken = ok(world.run(adopt=True, **rules))
    assert taken.result["plan"] == would.result["plan"]
    assert [entry["action"] for entry in taken.result["plan"]] == ["adopt_copies", "copy_backup", *["remove_copy"] * 2]
    again = ok(world.run(**rules))
    assert not again.changed and "another host" not in str(again.result.get("warnings", ""))
    assert [copy["name"] for copy in again.result["copies"]] == names(world.here)[-1:]


def test_an_unencrypted_backup_is_sent_only_where_that_is_allowed(
    tmp_path: Path, programs: Path, server: SshServer
) -> None:
    world = make_world("rclone", tmp_path, programs, server)
    plain = backup(world.here, NOW + timedelta(minutes=1), encrypted=False)
    result = world.run(create=True)
    assert result.failed and "is not encrypted" in result.msg
    assert not world.place.exists()
    sent = ok(world.run(create=True, allow_unencrypted=True, max_copies=1))
    assert [copy["name"] for copy in sent.result["copies"]] == [plain.name]


@pytest.mark.parametrize("world", METHODS if EXHAUSTIVE else ("rsync",), indirect=True)
def test_killed_half_way_nothing_is_lost_and_the_next_call_finishes(world: World) -> None:
    """SIGKILL while the program sends: what is at the place is no copy, and goes or is gone on with."""
    backup(world.here, NOW + timedelta(minutes=1), size=24_000_000)
    before, newest = tree(world.here), names(world.here)[-1]
    process = start_module("backup_offsite", world.params(create=True, bandwidth="3MiB"), env=world.env)
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in world.place.rglob("*") if path.is_file()) < 2_000_000 and (
        process.poll() is None and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for_end(world)
    assert tree(world.here) == before
    assert world.copies() == []
    ok(world.run(create=True))
    assert world.copies() == names(world.here)[::-1] and world.copies()[0] == newest
    assert not ok(world.run(create=True)).changed
    assert not list(world.place.rglob("*partial*")), "no leftover stays"
    assert tree(world.here) == before


def wait_for_end(world: World) -> None:
    """Wait until no program works at the place: the kernel has told it that its module is gone."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        if not any(str(world.place) in line or "vault:place" in line for line in done.stdout.splitlines()):
            return
        time.sleep(0.1)
    raise AssertionError("a program goes on without its module")


def test_the_target_gone_half_way_is_a_clear_error(tmp_path: Path, programs: Path, server: SshServer) -> None:
    with ssh_server(tmp_path / "sshd") as going:
        world = make_world("rsync", tmp_path, programs, going)
        backup(world.here, NOW + timedelta(minutes=1), size=24_000_000)
        before = tree(world.here)
        process = start_module("backup_offsite", world.params(create=True, bandwidth="3MiB"), env=world.env)
        deadline = time.monotonic() + 60
        while sum(path.stat().st_size for path in world.place.rglob("*") if path.is_file()) < 2_000_000 and (
            process.poll() is None and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        for child in children_of(going.process.pid):
            os.kill(child, signal.SIGKILL)
        going.process.kill()
        stdout, _stderr = process.communicate(timeout=60)
    result = json.loads(stdout)
    assert result["failed"] and "cannot send the backup" in result["msg"], result["msg"]
    assert "run again" in result["msg"]
    assert tree(world.here) == before
    assert [entry["status"] for entry in result["actions"]][-1] == "failed"
    # What had come is not sent twice.
    world.options.update(server.options())
    held = sum(path.stat().st_size for path in world.place.rglob("*") if path.is_file())
    assert held >= 1_000_000
    ok(world.run(create=True))
    assert world.copies() == names(world.here)[::-1]


def over_a_network(directory: Path, programs: Path, server: SshServer) -> World:
    """A world whose place a WebDAV server serves. Its configuration is to be written once that runs."""
    world = make_world("rclone", directory, programs, server)
    world.options["target"] = "vault:shop/backups"
    world.place = directory / "served" / "shop" / "backups"
    return world


def test_rclone_over_a_network(tmp_path: Path, programs: Path, server: SshServer) -> None:
    """A WebDAV server that asks for a password: the whole way there and back."""
    world = over_a_network(tmp_path, programs, server)
    rules = {"keep_last": 1, "keep_tags": ["pre-update"]}
    with webdav_server(tmp_path, tmp_path / "served", ENVIRONMENT) as running:
        (tmp_path / "rclone.conf").write_text(running.configuration())
        missing = world.run()
        assert missing.failed and "backup_offsite_create=true" in missing.msg, missing.msg
        sent = ok(world.run(create=True))
        assert [copy["name"] for copy in sent.result["copies"]] == names(world.here)[::-1]
        assert all("read back" in copy["checked"] for copy in sent.result["copies"])
        newer = backup(world.here, NOW + timedelta(minutes=1))
        rotated = ok(world.run(**rules))
        assert [entry["action"] for entry in rotated.result["plan"]] == ["copy_backup", "remove_copy", "remove_copy"]
        assert not ok(world.run(**rules)).changed
        other = tmp_path / "recovery"
        other.mkdir()
        ok(world.run(action="fetch", path=str(other), state_dir=str(tmp_path / "elsewhere"), owner=None))
        assert (other / newer.name).read_bytes() == newer.read_bytes()

        (tmp_path / "rclone.conf").write_text(running.configuration(obscured("another")))
        refused = world.run()
        assert refused.failed and "401" in refused.msg and not refused.result["actions"], refused.msg
    for answer in (refused.output, rotated.output):
        assert ENVIRONMENT not in answer and running.password not in answer


@pytest.mark.exhaustive  # rclone waits for the server to come back: half a minute
def test_a_server_gone_half_way_while_rclone_sends(tmp_path: Path, programs: Path, server: SshServer) -> None:
    world = over_a_network(tmp_path, programs, server)
    backup(world.here, NOW + timedelta(minutes=1), size=24_000_000)
    before = tree(world.here)
    with webdav_server(tmp_path, tmp_path / "served", ENVIRONMENT) as going:
        (tmp_path / "rclone.conf").write_text(going.configuration())
        process = start_module("backup_offsite", world.params(create=True, bandwidth="3MiB"), env=world.env)
        deadline = time.monotonic() + 60
        while sum(path.stat().st_size for path in world.place.rglob("*") if path.is_file()) < 2_000_000 and (
            process.poll() is None and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        going.process.kill()
        stdout, _stderr = process.communicate(timeout=150)
    result = json.loads(stdout)
    assert result["failed"] and "cannot send the backup" in result["msg"] and "run again" in result["msg"], result
    assert tree(world.here) == before and not names(world.place)
    with webdav_server(tmp_path, tmp_path / "served", ENVIRONMENT) as again:
        (tmp_path / "rclone.conf").write_text(again.configuration())
        ok(world.run())
        assert world.copies() == names(world.here)[::-1]
        assert not [path for path in world.place.iterdir() if "partial" in path.name], "no leftover stays"


def children_of(pid: int) -> list[int]:
    """All that a process has started, and what these have."""
    done = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        below = [child for child, above in pairs if above == parent]
        found += below
        waiting += below
    return found


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("rsync", {"known_hosts": "/dev/null"}, "known hosts"),
        ("rsync", {"ssh_port": 1}, "run again"),
        ("rsync", {"target": "vault/miniecom"}, "absolute path"),
        ("restic", {"password_file": "wrong"}, "password"),
        ("rclone", {"target": "nowhere:x"}, "configuration"),
        ("rclone", {"target": ":sftp,host=h,pass=x:y"}, "every user of this host"),
        ("rsync", {"target": "-oProxyCommand=x:/y"}, "no place"),
        ("restic", {"environment_file": "readable"}, "0600"),
    ],
)
def test_errors_say_what_to_do(
    method: str, options: dict[str, Any], words: str, tmp_path: Path, programs: Path, server: SshServer
) -> None:
    world = make_world(method, tmp_path, programs, server)
    if "password_file" in options:
        ok(world.run(create=True, max_copies=1))
    (tmp_path / "wrong").write_text("another\n")
    (tmp_path / "wrong").chmod(0o600)
    (tmp_path / "readable").write_text("A=B\n")
    (tmp_path / "readable").chmod(0o644)
    given = {key: str(tmp_path / value) if value in ("wrong", "readable") else value for key, value in options.items()}
    result = world.run(**given)
    assert result.failed and words in result.msg, result.msg
    assert not result.result["actions"]


def test_a_program_that_is_not_installed_is_named(tmp_path: Path, programs: Path, server: SshServer) -> None:
    world = make_world("restic", tmp_path, programs, server)
    result = run_module("backup_offsite", world.params(), env={"PATH": str(tmp_path)})
    assert result.failed and "Install the package restic" in result.msg


def test_no_secret_is_in_a_command_line(tmp_path: Path, programs: Path, server: SshServer) -> None:
    """Each program is replaced by one that notes its arguments and environment, and calls it."""
    spies = tmp_path / "spies"
    spies.mkdir()
    for name in METHODS:
        (spies / name).write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" >>{tmp_path}/argv\nenv >>{tmp_path}/environ\nexec {programs}/{name} "$@"\n'
        )
        (spies / name).chmod(0o755)
    for method in METHODS:
        directory = tmp_path / method
        directory.mkdir()
        world = make_world(method, directory, programs, server)
        result = run_module(
            "backup_offsite",
            world.params(create=True, max_copies=1),
            env={**world.env, "PATH": f"{spies}:{programs}:{os.environ['PATH']}"},
        )
        ok(result)
    argv, environ = (tmp_path / "argv").read_text(), (tmp_path / "environ").read_text()
    assert "--stdin" in argv and "copyto" in argv and "--partial-dir" in argv
    assert PASSWORD not in argv and ENVIRONMENT not in argv
    assert PASSWORD not in environ and ENVIRONMENT in environ
