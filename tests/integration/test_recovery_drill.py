# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""recovery_drill: a shop comes up from nothing but its backup, does no harm, and goes again, whatever becomes of the drill."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import processes
from tests.integration.test_backup_role import play
from tests.integration.test_mongo_backup import ok, wait_for
from tests.sandbox.mongod import Mongod
from tests.sandbox.offsite import offsite_programs
from tests.sandbox.seed import seed_shop
from tests.support.modules import ModuleResult, finish_module, run_module, start_module

pytestmark = pytest.mark.usefixtures("mongod_libraries")

STANDIN = Path(__file__).parents[1] / "sandbox" / "standin" / "api.py"
PASSPHRASE = "correct horse battery canary"
DATABASE = "drilled"


@pytest.fixture(scope="module")
def backups(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An encrypted backup of a small shop, with files."""
    directory = tmp_path_factory.mktemp("drilled")
    for name in ("uploads", "invoices", "dest"):
        (directory / name).mkdir()
    (directory / "uploads" / "a.jpg").write_bytes(os.urandom(3000))
    (directory / "invoices" / "1.pdf").write_bytes(b"%PDF")
    (directory / ".env").write_text("MONGODB_URI=mongodb://127.0.0.1:1/nowhere\nPORT=1\n")
    (directory / "passphrase").write_text(PASSPHRASE + "\n")
    with mongod.client() as client:
        seed_shop(client[DATABASE], users=20, orders=30)
    include = [{"name": name, "path": str(directory / name)} for name in ("uploads", "invoices", ".env")]
    params = {
        "uri": mongod.uri_for(DATABASE),
        "dest": str(directory / "dest"),
        "state_dir": str(directory / "state"),
        "include": include,
        "passphrase_file": str(directory / "passphrase"),
        "min_free": "1MiB",
    }
    ok(run_module("mongo_backup", params))
    yield directory / "dest"
    with mongod.client() as client:
        client.drop_database(DATABASE)


@pytest.fixture
def params(mongod: Mongod, backups: Path, state_dir: Path) -> dict[str, Any]:
    api = ["env", f"PYTHONPATH={Path(pymongo.__file__).parents[1]}", sys.executable, str(STANDIN)]
    return {
        "src": str(backups),
        "passphrase": PASSPHRASE,
        "uri": mongod.uri_for(DATABASE),
        "api_command": api,
        "root": str(backups.parent),
        "state_dir": str(state_dir),
        "min_free": "1MiB",
    }


def left(state_dir: Path) -> list[str]:
    """Whatever is still there of a drill."""
    found = [str(path) for path in state_dir.glob("restore-test-*")]
    found += [str(path) for path in (state_dir / "leftovers").glob("*.json")]
    for process in processes.list_processes():
        if str(state_dir) in process.cwd or any(str(state_dir) in word for word in process.argv):
            found.append(f"{process.pid} {process.name}")
    return found


def drill(params: dict[str, Any], **options: Any) -> ModuleResult:
    return run_module("recovery_drill", {**params, **options})


def test_a_shop_comes_up_and_goes_again(params: dict[str, Any], state_dir: Path, mongod: Mongod) -> None:
    planned = ok(run_module("recovery_drill", params, check=True))
    assert planned.result["plan"][0]["action"] == "recovery_drill"
    assert not state_dir.exists()
    result = ok(drill(params, max_recovery_time="1h", max_data_age="1h"))
    assert [entry["action"] for entry in result.result["actions"]] == ["recovery_drill"]
    summary = result.result["summary"]
    assert summary["passed"] is True
    assert summary["api"] == "up"
    assert summary["files"] == 3
    assert summary["documents"] > 100
    assert 0 < summary["recovery_seconds"] < 3600
    assert summary["headline"].startswith("recovered from")
    assert not result.changed
    assert left(state_dir) == []
    assert PASSPHRASE not in json.dumps(result.result)


def test_a_copy_from_elsewhere_is_named_as_what_it_is(
    params: dict[str, Any], state_dir: Path, backups: Path, mongod: Mongod
) -> None:
    """Check mode names the backup that a run would bring here; after the drill nothing of a path is said that is gone."""
    name = "20261124_020000.tar.gz.enc"
    for src, told in ((f"{backups}/{name}", name), ("/nowhere/yet", "the backup that is in /nowhere/yet by then")):
        planned = ok(run_module("recovery_drill", {**params, "src": src}, check=True))
        assert planned.result["summary"]["headline"].startswith(f"would bring the shop up from {told} (")
    with mongod.client() as client:
        client.invalid.strict.insert_one({"a": 1})
        client.invalid.command("collMod", "strict", validator={"b": {"$exists": True}})
    brought = state_dir / "recovery-drill"
    made = {"uri": mongod.uri_for("invalid"), "dest": str(brought), "state_dir": str(state_dir), "min_free": "1MiB"}
    try:
        brought.mkdir(parents=True)
        path = ok(run_module("mongo_backup", made)).result["path"]
        warned = str(ok(drill(params, src=path, passphrase=None, start_api=False)).result["warnings"])
        assert "tar xzf 20" in warned and str(brought) not in warned
    finally:
        with mongod.client() as client:
            client.drop_database("invalid")


def test_the_newest_copy_of_the_second_place_is_taken_and_else_what_is_here(
    params: dict[str, Any], state_dir: Path, backups: Path, mongod: Mongod, tmp_path: Path
) -> None:
    """By the role: whether what lies on the host is older or newer than the copy, the copy counts; without a place, the newest here."""
    here, place, empty = (tmp_path / name for name in ("here", "place", "empty"))
    for directory in (here, place, empty):
        directory.mkdir()
    passphrase = backups.parent / "passphrase"
    environment = {
        "PATH": f"{offsite_programs()}:{os.environ['PATH']}",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    }
    backup: dict[str, Any] = {"dest": str(here), "passphrase_file": str(passphrase), "fresh_within": "0"}
    backup.update(uri=params["uri"], state_dir=str(state_dir), min_free="1MiB")

    def make() -> str:
        # What tells them apart, beside their names.
        with mongod.client() as client:
            client[DATABASE].marks.insert_one({})
        return os.path.basename(ok(run_module("mongo_backup", backup)).result["path"])

    oldest, copied = make(), make()
    copy = {"path": str(here), "method": "rsync", "target": str(place), "state_dir": str(state_dir), "max_copies": 1}
    ok(run_module("backup_offsite", copy, env=environment))
    (here / copied).unlink()
    with mongod.client() as client:
        client[DATABASE].marks.insert_one({})

    shop = {
        "deployment": "native",
        "env_from": "file",
        "mongo": {"address": mongod.address, "database": DATABASE},
        "storage": {"backups": {"path": str(tmp_path / "nowhere")}},
    }
    env_file = tmp_path / "env"
    env_file.write_text(f"MONGODB_URI={params['uri']}\n")
    env_file.chmod(0o600)
    variables = {
        "context_result": {"context": shop},
        "context_state_dir": str(state_dir),
        "context_root": str(tmp_path),
        "context_env_file": str(env_file),
        "context_tls_files": {},
        "backup_dest": str(here),
        "backup_passphrase_file": str(passphrase),
        "backup_test_assertions": [],
        "backup_test_samples": [],
        "dr_drill_start_api": False,
    }

    def drill_from(target: str) -> list[dict[str, Any]]:
        role = {"name": "miniecom.maintenance.dr_drill"}
        told = "drilled {{ dr_drill_result.summary.path | basename }} {{ dr_drill_result.summary.documents }}"
        return [
            {"ansible.builtin.import_role": role, "vars": {"backup_offsite_target": target}},
            {"ansible.builtin.debug": {"msg": told}},
        ]

    older, newer = drill_from(str(place)), drill_from(str(place))
    tasks = [*older, {"miniecom.maintenance.mongo_backup": backup}, *newer, *drill_from(""), *drill_from(str(empty))]
    done = play(tmp_path, tasks, variables, environment)
    found = re.findall(r"drilled (\S+) (\d+)", done.stdout)
    names = sorted(path.name for path in here.glob("*.enc"))
    assert len(names) == 2 and names[0] == oldest, done.stdout
    documents = int(found[0][1])
    assert found == [(copied, str(documents))] * 2 + [(names[1], str(documents + 1))], done.stdout
    assert done.returncode != 0 and "there is no finished copy at the place" in done.stdout, (
        "a place without a copy is no place"
    )
    assert not (state_dir / "recovery-drill").exists()


def test_what_is_not_reached_is_not_passed(params: dict[str, Any], state_dir: Path) -> None:
    result = drill(params, max_recovery_time="1s", max_data_age="1s", seconds_before=100, start_api=False)
    assert result.failed
    assert "(max_recovery_time)" in result.msg and "(max_data_age)" in result.msg
    assert result.result["summary"]["passed"] is False
    assert result.result["summary"]["api"] == ""
    assert result.result["summary"]["api_reason"] == "start_api is false"
    assert "was not started" in result.stdout
    wrong = drill(params, passphrase="nothing")
    assert wrong.failed and "passphrase is wrong" in wrong.msg
    asserted = drill(params, assertions=[{"collection": "nope"}], start_api=False)
    assert asserted.failed and "does not restore" in asserted.msg
    assert left(state_dir) == []


def test_the_api_can_do_no_harm(params: dict[str, Any], state_dir: Path, tmp_path: Path, mongod: Mongod) -> None:
    """It reaches the restored database, and neither the live one nor any file beside its own."""
    (tmp_path / "live").mkdir()
    spy = tmp_path / "spy.py"
    spy.write_text(
        "import json, os, socket, sys\n"
        "told = {}\n"
        "for name, path in (('live', %r), ('state', %r), ('tmp', '/tmp/x'), ('own', 'own')):\n"
        "    try:\n"
        "        open(path, 'w').close(); told[name] = 'written'\n"
        "    except OSError as error:\n"
        "        told[name] = error.strerror\n"
        "try:\n"
        "    socket.create_connection(('127.0.0.1', %d), 2); told['mongod'] = 'reached'\n"
        "except OSError as error:\n"
        "    told['mongod'] = error.strerror\n"
        "told['uploads'] = os.listdir('uploads'); told['invoices'] = os.listdir('storage/invoices')\n"
        "told['env'] = open('.env').read()[:11]\n"
        "print(json.dumps(told)); sys.exit(3)\n" % (str(tmp_path / "live" / "x"), str(state_dir / "x"), mongod.port)
    )
    result = drill(params, api_command=[sys.executable, str(spy)])
    assert result.failed
    reason = result.result["summary"]["api_reason"]
    told = json.loads(reason[reason.index("{") :])
    assert told["live"] == told["state"] == told["tmp"] == "Read-only file system"
    assert told["own"] == "written"
    assert told["mongod"] == "Connection refused"
    assert told["uploads"] == ["a.jpg"] and told["invoices"] == ["1.pdf"]
    assert told["env"] == "MONGODB_URI"
    assert left(state_dir) == []


def test_a_drill_that_is_killed_takes_its_processes_along_and_the_next_one_tidies(
    params: dict[str, Any], state_dir: Path, tmp_path: Path
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("import time\nopen('here', 'w').close()\ntime.sleep(600)\n")
    started = start_module("recovery_drill", {**params, "api_command": [sys.executable, str(slow)]})
    wait_for(lambda: list(state_dir.glob("restore-test-*/app/here")), seconds=60)
    started.kill()
    finish_module(started)
    wait_for(lambda: not [entry for entry in left(state_dir) if not entry.startswith("/")], seconds=30)
    assert left(state_dir), "its directory and its notes are still there"
    result = ok(drill(params, start_api=False))
    assert result.changed, "it has cleared away what was left"
    assert left(state_dir) == []
