# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.lease import boot_id
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import PathLeft
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.processes import read_process
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_context import RunContext
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory
from tests.conftest import lacking
from tests.sandbox.engine import Engine
from tests.sandbox.image import tiny_image
from tests.sandbox.mongod import Mongod
from tests.support.kill import kill_at_every_change
from tests.support.modules import ModuleResult, finish_module, run_module, start_module

STEPS = [
    {"step": "backup", "status": "changed", "headline": "made 3.1 MiB", "bytes": 3250585, "seconds": 1.2},
    {"step": "disk check", "status": "ok", "headline": "41 % used"},
    {"step": "security audit", "status": "failed", "headline": "2 new findings", "findings": 2},
]


def begin(state_dir: Path, **params: Any) -> ModuleResult:
    options = {key: params.pop(key) for key in ("check", "python") if key in params}
    return run_module(
        "maintenance_run",
        {"state": "begun", "state_dir": state_dir, "name": "weekly", "owner": "ops", **params},
        **options,
    )


def end(state_dir: Path, run_id: str, **params: Any) -> ModuleResult:
    options = {key: params.pop(key) for key in ("check", "python") if key in params}
    return run_module(
        "maintenance_run", {"state": "ended", "state_dir": state_dir, "run_id": run_id, **params}, **options
    )


def change_lease(state_dir: Path, **changes: str) -> None:
    path = state_dir / "lease.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def warnings_of(result: ModuleResult) -> str:
    return json.dumps(result.result.get("warnings", []))


def gone_note(state_dir: Path, kind: str, **facts: Any) -> Path:
    """A note of a module that was killed: written by a process that has ended."""
    code = (
        "import json, sys\n"
        "from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import *\n"
        "from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import _KINDS\n"
        "facts = json.loads(sys.argv[3])\n"
        "if 'keeper' in facts: facts['keeper'] = ProcessId(**facts['keeper'])\n"
        "notes = Leftovers(StateDirectory(sys.argv[1]), None, True)\n"
        "print(notes.register(_KINDS[sys.argv[2]](**facts)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(state_dir), kind, json.dumps(facts)],
        capture_output=True,
        text=True,
        check=True,
    )
    return state_dir / "leftovers" / (done.stdout.strip() + ".json")


def test_a_run_from_begin_to_end(state_dir: Path) -> None:
    begun = begin(state_dir)
    assert not begun.failed and not begun.changed
    run_id = begun.result["run_id"]
    assert state_dir.stat().st_mode & 0o777 == 0o700
    assert json.loads((state_dir / "lease.json").read_text())["run_id"] == run_id
    ended = end(state_dir, run_id, status="failed", steps=STEPS)
    assert not ended.failed and not ended.changed, ended.msg
    assert not (state_dir / "lease.json").exists()
    record = json.loads(Path(ended.result["record_path"]).read_text())
    assert record["status"] == "failed" and record["steps"] == STEPS and record["owner"] == "ops"
    assert ended.result["record"]["events"][0]["event"] == "begun"
    log = (state_dir / "maintenance-log.md").read_text()
    assert log.startswith("# Maintenance Log\n\n## %s\n- Weekly" % record["ended"][:10])
    for part in (run_id, "made 3.1 MiB", "**Security audit failed**: 2 new findings", "Nothing to do: disk check"):
        assert part in log
    again = end(state_dir, run_id, status="ok")
    assert not again.failed and not again.changed
    assert again.result["record"]["status"] == "failed", "what was recorded first stands"
    assert (state_dir / "maintenance-log.md").read_text() == log


def test_the_log_keeps_what_people_wrote(state_dir: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.md"
    log.write_bytes(b"# Maintenance Log\n\n## 2024-01-01\n- Caf\xe9 opened\n")
    link = tmp_path / "link.md"
    link.symlink_to(log)
    log.chmod(0o664)
    for _number in range(2):
        run_id = begin(state_dir).result["run_id"]
        assert not end(state_dir, run_id, log_path=link).failed
    text = log.read_bytes()
    assert text.startswith(b"# Maintenance Log\n\n## 2024-01-01\n- Caf\xe9 opened\n\n## 20")
    assert text.count(b"\n## 20") == 2, "two runs of one day stand under one heading"
    assert link.is_symlink() and log.stat().st_mode & 0o777 == 0o664


def test_a_live_run_is_not_disturbed(state_dir: Path) -> None:
    first = begin(state_dir, owner="alice")
    second = begin(state_dir, owner="bob")
    assert second.failed and second.result["busy"]
    for part in ("alice", first.result["run_id"], "miniecom_takeover=true", "30 min"):
        assert part in second.msg
    looked = begin(state_dir, owner="bob", check=True)
    assert not looked.failed and looked.result["run_id"].startswith("check-")
    assert "alice" in warnings_of(looked)
    assert looked.result["lease"]["run_id"] == first.result["run_id"]


def test_two_at_once_and_one_wins(state_dir: Path) -> None:
    params = {"state": "begun", "state_dir": state_dir}
    both = [start_module("maintenance_run", params) for _number in range(4)]
    results = [finish_module(process) for process in both]
    winners = [result for result in results if not result.failed]
    assert len(winners) == 1
    assert json.loads((state_dir / "lease.json").read_text())["run_id"] == winners[0].result["run_id"]


def test_check_mode_writes_nothing(state_dir: Path) -> None:
    looked = begin(state_dir, check=True)
    assert not looked.failed and not state_dir.exists()
    ended = end(state_dir, looked.result["run_id"], check=True, steps=STEPS)
    assert not ended.failed and ended.result["record"]["steps"] == STEPS
    # A task that opts out of check mode hands on the same id.
    assert not end(state_dir, looked.result["run_id"], steps=STEPS).failed
    assert not state_dir.exists()


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"renewed": format_utc(datetime.now(timezone.utc) - timedelta(minutes=31))}, "no sign of life"),
        ({"boot": "00000000-another-boot"}, "last boot"),
    ],
)
def test_a_dead_run_is_taken_over(state_dir: Path, changes: dict[str, str], reason: str) -> None:
    if "boot" in changes and not boot_id():
        lacking("boot id: this kernel tells none")
    dead = begin(state_dir, owner="alice").result["run_id"]
    change_lease(state_dir, **changes)
    looked = begin(state_dir, owner="bob", check=True)
    assert looked.result["replaced"]["run_id"] == dead
    new = begin(state_dir, owner="bob")
    assert not new.failed, new.msg
    assert new.result["replaced"]["run_id"] == dead and reason in new.result["replaced"]["reason"]
    assert "alice" in new.result["summary"]["headline"]
    assert json.loads((state_dir / "runs" / (dead + ".json")).read_text())["status"] == "died"
    # The dead run's controller comes back: it may not touch what is not its any more.
    late = run_module("maintenance_flag_info", {"path": state_dir / "x", "state_dir": state_dir, "run_id": dead})
    assert late.failed and "no longer holds the host" in late.msg
    ended = end(state_dir, new.result["run_id"])
    assert "Took over the dead run %s of alice" % dead in (state_dir / "maintenance-log.md").read_text()
    assert not ended.failed


def test_takeover_on_request_but_never_of_a_module_at_work(state_dir: Path) -> None:
    first = begin(state_dir, owner="alice").result["run_id"]
    context = RunContext(first, str(state_dir), module="mongo_compact")
    with context.working():
        refused = begin(state_dir, owner="bob", takeover=True)
        assert refused.failed and "working at this moment" in refused.msg
    taken = begin(state_dir, owner="bob", takeover=True)
    assert not taken.failed and taken.result["replaced"]["owner"] == "alice"
    # The first one ends in its always part: its own record, nothing of the other's.
    late = end(state_dir, first, status="ok", steps=STEPS)
    assert not late.failed and "taken over" in warnings_of(late)
    assert late.result["lease"]["run_id"] == taken.result["run_id"]
    assert json.loads((state_dir / "lease.json").read_text())["run_id"] == taken.result["run_id"]


def test_a_killed_module_frees_the_lock_and_its_leftovers_go(state_dir: Path, tmp_path: Path) -> None:
    begin(state_dir, owner="alice")
    work = tmp_path / "throwaway"
    (work / "data").mkdir(parents=True)
    (work / "data" / "file").write_text("x")
    partial = tmp_path / ".backup.tar.gz.miniecom-partial"
    partial.write_text("half")
    child = subprocess.Popen(["sleep", "600"], cwd=work / "data", start_new_session=True)
    try:
        found = read_process(child.pid)
        assert found is not None
        notes = [
            gone_note(state_dir, "process", pid=found.pid, start_time=found.start_time, directory=str(work)),
            gone_note(state_dir, "path", path=str(work)),
            gone_note(state_dir, "path", path=str(partial)),
            gone_note(state_dir, "path", path=str(tmp_path / "gone already")),
        ]
        looked = begin(state_dir, takeover=True, check=True)
        assert len(looked.result["cleaned"]) == 4 and work.exists()
        taken = begin(state_dir, takeover=True)
        assert not taken.failed, taken.msg
        assert child.wait(timeout=30) == -signal.SIGTERM
        assert not work.exists() and not partial.exists()
        assert len(taken.result["cleaned"]) == 3
        assert not any(note.exists() for note in notes)
    finally:
        child.kill()
        child.wait()


def test_a_throwaway_server_ends_and_whoever_looks_at_it_does_not(state_dir: Path, tmp_path: Path) -> None:
    work = tmp_path / "throwaway"
    work.mkdir()
    with Mongod(work / "server") as server:
        looking = subprocess.Popen(["tail", "-f", str(server.log)], stdout=subprocess.DEVNULL, cwd=work)
        try:
            pid = server.pid
            gone_note(state_dir, "process", directory=str(work))
            begun = begin(state_dir)
            assert begun.result["cleaned"] == ["ended process %d (mongod)" % (pid or 0)]
            assert not server.running and looking.poll() is None
        finally:
            looking.kill()
            looking.wait()


def test_a_leftover_in_the_making_is_left_alone(state_dir: Path, tmp_path: Path) -> None:
    half = tmp_path / ".backup.tar.gz.miniecom-partial"
    half.write_text("half")
    # A module without a run id holds no lock; this very process stands for it.
    mine = RunContext(None, str(state_dir), module="mongo_backup").leftovers
    leftover = mine.register(PathLeft(str(half)))
    assert begin(state_dir).result["cleaned"] == []
    assert half.exists()
    mine.done(leftover)


@pytest.mark.parametrize("path", ["/", "/etc", "relative/path", ""])
def test_a_note_never_costs_more_than_a_work_file(state_dir: Path, path: str) -> None:
    note = gone_note(state_dir, "path", path=path)
    begun = begin(state_dir)
    assert not begun.failed and "no path that a run leaves behind" in warnings_of(begun)
    assert note.exists() and os.path.exists("/etc")


def test_the_state_directory_is_no_leftover(state_dir: Path) -> None:
    for path in (state_dir, state_dir.parent):
        gone_note(state_dir, "path", path=str(path))
    assert begin(state_dir).result["cleaned"] == []
    assert (state_dir / "lease.json").exists()


def test_a_lock_against_writes_is_released(state_dir: Path, tmp_path: Path) -> None:
    with Mongod(tmp_path / "mongod", auth=True) as server:
        env_file = tmp_path / ".env"
        env_file.write_text("MONGO_URI=%s\n" % server.uri_for("shop"))
        keeper = {"pid": 999999999, "start_time": 1}
        note = gone_note(state_dir, "fsync_lock", address=server.address, env_file=str(env_file), keeper=keeper)
        with server.client() as client:
            client.admin.command("fsync", lock=True)
        begun = begin(state_dir)
        assert "released the lock" in begun.result["cleaned"][0], warnings_of(begun)
        assert not note.exists() and server.root_password not in begun.output
        with server.client() as client:
            client.shop.things.insert_one({"written": True})


def test_a_lock_that_cannot_be_ours_stays(tmp_path: Path, state_dir: Path) -> None:
    with Mongod(tmp_path / "mongod", auth=True) as server:
        env_file = tmp_path / ".env"
        env_file.write_text("MONGO_URI=%s\n" % server.uri_for("shop"))
        facts = {"address": server.address, "env_file": str(env_file)}
        running = read_process(os.getpid())
        assert running is not None
        held = gone_note(
            state_dir, "fsync_lock", **facts, keeper={"pid": running.pid, "start_time": running.start_time}
        )
        unknown = gone_note(state_dir, "fsync_lock", **facts)
        with server.client() as client:
            client.admin.command("fsync", lock=True)
            begun = begin(state_dir)
            assert begun.result["cleaned"] == []
            assert "still runs" in warnings_of(begun) and "does not name its keeper" in warnings_of(begun)
            assert held.exists() and unknown.exists()
            assert client.admin.command("currentOp")["fsyncLock"]
            client.admin.command("fsyncUnlock")


def test_a_container_is_removed_and_its_neighbour_stays(state_dir: Path, docker_engine: Engine) -> None:
    image = tiny_image(docker_engine)
    for name in ("miniecom-restore-test-1", "miniecom-restore-test-10"):
        docker_engine.api("POST", "/containers/create?name=" + name, {"Image": image, "Cmd": ["/bin/sh"]})
    note = gone_note(state_dir, "container", docker_host=docker_engine.docker_host, name="miniecom-restore-test-1")
    lost = gone_note(state_dir, "container", docker_host="unix:///nonexistent/docker.sock", name="x")
    begun = begin(state_dir)
    assert begun.result["cleaned"] == ["removed the container miniecom-restore-test-1"], warnings_of(begun)
    assert not note.exists()
    assert lost.exists() and "/nonexistent/docker.sock" in warnings_of(begun), "it is told, and tried again next time"
    names = [name for item in docker_engine.api("GET", "/containers/json?all=1") for name in item["Names"]]
    assert "/miniecom-restore-test-10" in names and "/miniecom-restore-test-1" not in names
    docker_engine.api("DELETE", "/containers/miniecom-restore-test-10?force=1")


def test_an_unknown_run_and_no_run_id(state_dir: Path) -> None:
    for run_id, part in (("20261124T000000Z-ffffff", "knows no such run"), ("../../etc", "not a run id")):
        result = end(state_dir, run_id)
        assert result.failed and part in result.msg
    assert "run_id" in run_module("maintenance_run", {"state": "ended", "state_dir": state_dir}).msg


def test_a_state_directory_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = begin(tmp_path / "file" / "state")
    assert result.failed and "state directory" in result.msg and str(tmp_path) in result.msg


def test_a_log_that_cannot_be_written_does_not_keep_the_lease(state_dir: Path, tmp_path: Path) -> None:
    run_id = begin(state_dir).result["run_id"]
    ended = end(state_dir, run_id, log_path=tmp_path / "no" / "such" / "directory.md")
    assert ended.failed and "maintenance log" in ended.msg
    assert not (state_dir / "lease.json").exists()
    assert Path(ended.result["record_path"]).exists()


def test_killed_while_ending_and_ended_again(state_dir: Path) -> None:
    run_id = begin(state_dir).result["run_id"]
    lease = (state_dir / "lease.json").read_text()
    assert not end(state_dir, run_id, status="failed", steps=STEPS).failed
    log = (state_dir / "maintenance-log.md").read_text()
    # Record and log are written before the lease goes back: as if it had been killed in between.
    (state_dir / "lease.json").write_text(lease)
    again = end(state_dir, run_id, status="failed", steps=STEPS)
    assert not again.failed and not (state_dir / "lease.json").exists()
    assert (state_dir / "maintenance-log.md").read_text() == log, "the run stands in the log once"


def test_killed_at_every_change_while_taking_over(tmp_path: Path) -> None:
    """Whenever it dies, the next run takes over, the leftovers go, and each dead run has its record."""

    before = tmp_path / "before"
    dead = begin(before, owner="alice").result["run_id"]
    note = gone_note(before, "path", path="THROWAWAY").relative_to(before)

    def prepare(world: Path) -> tuple[str, dict[str, Any]]:
        state_dir = world / "state"
        shutil.copytree(before, state_dir)
        (world / "throwaway" / "db").mkdir(parents=True)
        (world / "throwaway" / "db" / "file").write_text("x")
        (state_dir / note).write_text((before / note).read_text().replace("THROWAWAY", str(world / "throwaway")))
        params = {"state": "begun", "state_dir": state_dir, "name": "weekly", "owner": "bob", "takeover": True}
        return "maintenance_run", params

    def inspect(world: Path) -> None:
        state_dir = world / "state"
        lease = json.loads((state_dir / "lease.json").read_text())
        between = "" if lease["owner"] == "alice" else lease["run_id"]
        taken = begin(state_dir, owner="carol", takeover=True)
        assert not taken.failed, taken.msg
        assert not (world / "throwaway").exists() and os.listdir(state_dir / "leftovers") == []
        runs = state_dir / "runs"
        for run_id in filter(None, (dead, between)):
            assert json.loads((runs / f"{run_id}.json").read_text())["status"] == "died"
        ended = end(state_dir, taken.result["run_id"], steps=STEPS)
        assert not ended.failed, ended.msg
        assert not (state_dir / "lease.json").exists()
        assert not list(state_dir.rglob("*.miniecom-*")), "no half-written file stays"

    assert kill_at_every_change(tmp_path, prepare, inspect) > 8


def test_killed_at_every_change_while_ending(tmp_path: Path) -> None:
    """Ended again, the run has one record and one entry in the log, and the host is free."""
    before, text = tmp_path / "before", "# Maintenance Log\n\n## 2024-01-01\n- Opened\n"
    run_id = begin(before).result["run_id"]
    (before / "maintenance-log.md").write_text(text)
    (before / "runs" / "20200101T000000Z-abcdef.jsonl").write_text("{}")

    def prepare(world: Path) -> tuple[str, dict[str, Any]]:
        shutil.copytree(before, world / "state")
        params = {"state": "ended", "state_dir": world / "state", "run_id": run_id, "status": "failed", "steps": STEPS}
        return "maintenance_run", params

    def inspect(world: Path) -> None:
        state_dir = world / "state"
        log = state_dir / "maintenance-log.md"
        assert log.read_text().startswith(text), "what people wrote stays"
        again = end(state_dir, run_id, status="failed", steps=STEPS)
        assert not again.failed, again.msg
        assert json.loads((state_dir / "runs" / f"{run_id}.json").read_text())["status"] == "failed"
        assert log.read_text().startswith(text) and log.read_text().count(run_id) == 1
        assert not (state_dir / "lease.json").exists()
        assert not list(state_dir.rglob("*.miniecom-*")), "no half-written file stays"

    assert kill_at_every_change(tmp_path, prepare, inspect) > 5


def test_old_records_go(state_dir: Path) -> None:
    run_id = begin(state_dir).result["run_id"]
    runs = StateDirectory(str(state_dir)).runs_dir
    for name in ("20200101T000000Z-abcdef.jsonl", "20200101T000000Z-abcdef.json", "notes.json"):
        Path(runs, name).write_text("{}")
    end(state_dir, run_id)
    assert sorted(os.listdir(runs)) == [run_id + ".json", run_id + ".jsonl", "notes.json"]


def test_no_secret_reaches_record_or_log(state_dir: Path) -> None:
    run_id = begin(state_dir).result["run_id"]
    steps = [{"step": "x", "status": "failed", "headline": "cannot use mongodb://root:canary-pass@127.0.0.1/shop"}]
    ended = end(state_dir, run_id, steps=steps)
    assert not ended.failed
    for path in state_dir.rglob("*"):
        if path.is_file():
            assert "canary-pass" not in path.read_text()


def test_on_the_oldest_python(state_dir: Path, old_python: Path) -> None:
    begun = begin(state_dir, python=old_python)
    assert not begun.failed, begun.msg
    assert not end(state_dir, begun.result["run_id"], steps=STEPS, python=old_python).failed
