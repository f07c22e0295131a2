# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._core import run_context
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.atomic_file import is_partial
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.clock import format_utc
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.lease import (
    SILENCE_SECONDS,
    Lease,
    boot_id,
    judge_lease,
    read_lease,
    release_lease,
    take_lease,
    write_lease,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.leftovers import PathLeft, ProcessLeft
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.record import read_events
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_context import RunContext
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.state_dir import StateDirectory

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=timezone.utc)
LEASE = Lease("20261124T025900Z-abcdef", "weekly", "ops", "boot-1", format_utc(NOW), format_utc(NOW))


def renewed(seconds_ago: float) -> Lease:
    return replace(LEASE, renewed=format_utc(NOW - timedelta(seconds=seconds_ago)))


@given(
    silence=st.integers(min_value=0, max_value=10**6),
    lock_free=st.booleans(),
    takeover=st.booleans(),
    same_boot=st.booleans(),
)
def test_who_may_take_the_lease(silence: int, lock_free: bool, takeover: bool, same_boot: bool) -> None:
    verdict = judge_lease(renewed(silence), lock_free, "boot-1" if same_boot else "boot-2", NOW, takeover)
    dead = lock_free and (takeover or not same_boot or silence > SILENCE_SECONDS)
    assert verdict.state == ("dead" if dead else "live")
    assert verdict.reason


def test_ones_own_run_is_taken_over_once_it_does_not_work(tmp_path: Path) -> None:
    assert judge_lease(renewed(5), True, "boot-1", NOW, own="ops").state == "dead"
    assert judge_lease(renewed(5), True, "boot-1", NOW, own="somebody else").state == "live"
    assert judge_lease(renewed(5), False, "boot-1", NOW, own="ops").state == "live", "a module of it still works"
    state = StateDirectory(str(tmp_path))
    take_lease(state, "weekly", "alice", False, NOW)
    with pytest.raises(MaintenanceError, match="another run holds this host"):
        take_lease(state, "exit", "bob", False, NOW, "bob")
    assert "one's own" in take_lease(state, "exit", "alice", False, NOW, "alice").reason


def test_no_lease_is_free_unless_a_module_works() -> None:
    assert judge_lease(None, True, "b", NOW).state == "free"
    assert judge_lease(None, False, "b", NOW).state == "live"


def test_a_second_run_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path / "state"))
    first = take_lease(state, "weekly", "alice", False, NOW)
    with pytest.raises(MaintenanceError) as caught:
        take_lease(state, "backup", "bob", False, NOW + timedelta(minutes=1))
    for part in ("weekly", "alice", first.lease.run_id, "miniecom_takeover=true"):
        assert part in str(caught.value)
    assert release_lease(state, first.lease.run_id)
    second = take_lease(state, "backup", "bob", False, NOW)
    assert second.replaced is None
    assert not release_lease(state, first.lease.run_id), "a run that ended does not release another one's lease"
    assert read_lease(state) == second.lease


def test_a_dead_run_is_taken_over_and_its_modules_stop(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    first = take_lease(state, "weekly", "alice", False, NOW)
    second = take_lease(state, "weekly", "bob", False, NOW + timedelta(seconds=SILENCE_SECONDS + 1))
    assert second.replaced == first.lease
    assert "no sign of life" in second.reason
    late = RunContext(first.lease.run_id, str(tmp_path), module="mongo_compact")
    with pytest.raises(MaintenanceError, match="no longer holds the host"), late.working():
        pytest.fail("a run without the lease must not work")


def test_a_lease_is_given_back_by_its_own_run_alone(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    first = take_lease(state, "weekly", "alice", False, NOW).lease
    second = take_lease(state, "weekly", "bob", True, NOW).lease
    assert release_lease(state, first.run_id) is False
    assert read_lease(state) == second
    assert release_lease(state, second.run_id) is True
    assert read_lease(state) is None


def test_a_run_of_an_earlier_boot_is_dead(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    first = take_lease(state, "weekly", "alice", False, NOW)
    write_lease(state, replace(first.lease, boot="another boot"))
    assert "boot" in take_lease(state, "weekly", "bob", False, NOW).reason


def test_a_working_module_keeps_the_run_alive_however_long(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    first = take_lease(state, "weekly", "alice", False, NOW)
    script = (
        "import sys\n"
        "from ansible_collections.miniecom.maintenance.plugins.module_utils._core.run_context import RunContext\n"
        "with RunContext(sys.argv[1], sys.argv[2]).working():\n"
        "    print('working', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script, first.lease.run_id, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "working\n"
        assert not state.lock_is_free()
        much_later = NOW + timedelta(days=2)
        for takeover in (False, True):
            with pytest.raises(MaintenanceError, match="working at this moment"):
                take_lease(state, "weekly", "bob", takeover, much_later)
        worker.kill()
        worker.wait()
        assert state.lock_is_free()
        assert take_lease(state, "weekly", "bob", True, much_later).replaced is not None
    finally:
        worker.kill()
        worker.communicate()


def test_check_mode_and_a_check_run_write_nothing(tmp_path: Path) -> None:
    for context in (
        RunContext("20261124T025900Z-abcdef", str(tmp_path / "a"), check=True),
        RunContext("check-1", str(tmp_path / "a")),
        RunContext(None, str(tmp_path / "a")),
    ):
        with context.working():
            context.append({"event": "x"})
            context.renew()
    assert not (tmp_path / "a").exists()


def test_the_record_survives_a_torn_line(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    run_id = take_lease(state, "weekly", "alice", False, NOW).lease.run_id
    context = RunContext(run_id, str(tmp_path), module="mongo_backup")
    context.append({"event": "begin"})
    with open(state.events_path(run_id), "a", encoding="utf-8") as handle:
        handle.write('{"event": "torn')
    assert [event["event"] for event in read_events(state, run_id)] == ["begin"]
    context.append({"event": "end"})
    assert [event["event"] for event in read_events(state, run_id)] == ["begin", "end"]
    assert (
        json.loads(Path(state.events_path(run_id)).read_text(encoding="utf-8").splitlines()[0])["module"]
        == "mongo_backup"
    )


def test_actions_side_by_side_write_one_lease_and_one_record(tmp_path: Path) -> None:
    run_id = take_lease(StateDirectory(str(tmp_path)), "weekly", "ops", False, NOW).lease.run_id
    context = RunContext(run_id, str(tmp_path), module="docker_prune")

    def act(number: int) -> None:
        context.renew()
        context.append({"event": "end", "number": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(200)))
    written = [event["number"] for event in read_events(context.state, run_id) if event["event"] == "end"]
    assert sorted(written) == list(range(200))
    assert not [path for path in tmp_path.rglob("*") if is_partial(path.name)]


@pytest.mark.parametrize("run_id", ["../../etc/x", "", ".hidden"])
def test_a_run_id_is_no_path(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(MaintenanceError, match="not a run id"):
        StateDirectory(str(tmp_path)).events_path(run_id)


def test_leftovers_are_noted_until_they_are_done(tmp_path: Path) -> None:
    leftovers = RunContext(None, str(tmp_path)).leftovers
    first = leftovers.register(PathLeft("/tmp/x"))
    second = leftovers.register(ProcessLeft(pid=1, start_time=2))
    assert {note.left for note in leftovers.found()} == {PathLeft("/tmp/x"), ProcessLeft(pid=1, start_time=2)}
    leftovers.done(first)
    assert [note.id for note in leftovers.found()] == [second]
    leftovers.done(second)
    leftovers.done(second)
    assert leftovers.found() == []


def test_state_is_private(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path / "state"))
    take_lease(state, "weekly", "alice", False, NOW)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "lease.json").stat().st_mode & 0o777 == 0o600
    assert boot_id()


def test_a_sign_of_life_is_written_when_it_is_old_or_of_another_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDirectory(str(tmp_path))
    lease = take_lease(state, "weekly", "ops", False, NOW).lease
    run = RunContext(lease.run_id, str(tmp_path))
    moment = [NOW]
    monkeypatch.setattr(run_context, "utc_now", lambda: moment[0])
    for seconds, written in ((5, 0), (14, 0), (15, 15), (20, 15), (40, 40), (10, 10)):
        moment[0] = NOW + timedelta(seconds=seconds)
        run.renew()
        assert read_lease(state) == replace(lease, renewed=format_utc(NOW + timedelta(seconds=written)))
    # The run has rebooted the host: nobody may take it for dead because of that.
    monkeypatch.setattr(run_context, "boot_id", lambda: "next boot")
    run.renew()
    found = read_lease(state)
    assert found is not None and judge_lease(found, True, "next boot", moment[0]).state == "live"
