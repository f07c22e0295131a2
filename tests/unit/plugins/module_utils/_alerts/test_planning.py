# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told, against a model that knows what each channel has heard."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts import memory as memory_module
from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.memory import (
    alone,
    load_told,
    save_told,
    told_path,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.planning import (
    FORGET_DAYS,
    PingHeartbeat,
    Policy,
    SendMessage,
    after_telling,
    message_for,
    plan_alerts,
    stand,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._alerts.problems import (
    KINDS,
    Concern,
    Recalled,
    RunSeen,
    read_problems,
)
from ansible_collections.miniecom.maintenance.plugins.module_utils._core.errors import MaintenanceError

START = datetime(2026, 11, 29, 3, 0, tzinfo=timezone.utc)
STEPS = ("backup", "health", "permissions")
RUNS = ("daily", "weekly")
CHANNELS = ("mail", "ops")
REPEAT = 24 * 3600.0
POLICY = Policy("high", REPEAT, CHANNELS, True)


def seen(
    name: str = "weekly", status: str = "ok", looked_at: tuple[str, ...] = STEPS, present: tuple[str, ...] = ()
) -> RunSeen:
    return RunSeen(name, "20261129T030000Z-abcd", "shop1", status, "all well", looked_at, present)


def problem(kind: str, own: str, severity: str = "critical", step: str = "", run: str = "weekly") -> Concern:
    return Concern(kind, f"{kind}:{own}", severity, f"{own} is wrong", step or own, run)


BACKUP = problem("step", "backup")


def step_of_time(
    memory: list[Recalled],
    problems: list[Concern],
    run: RunSeen,
    now: datetime,
    reached: tuple[str, ...] = CHANNELS,
    policy: Policy = POLICY,
) -> tuple[list[Recalled], dict[str, SendMessage]]:
    """One run as the module does it: plan, tell the channels that can be reached, remember."""
    plan = plan_alerts(stand(memory, problems, run, policy, now), run, policy, now)
    sent = {}
    for action in plan.actions:
        if isinstance(action.work, SendMessage) and action.work.channel in reached:
            sent[action.work.channel] = action.work
            memory = after_telling(memory, action.work.message, action.work.channel, now)
    return stand(memory, problems, run, policy, now), sent


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[RunSeen, list[Concern], float, tuple[str, ...]]]:
    """Runs one after another: what each found, what it looked at, how long after the last one, which channels answer."""
    found = []
    for _ in range(draw(st.integers(1, 12))):
        looked = draw(st.sets(st.sampled_from(STEPS)))
        standing = [
            Concern("step", f"step:{step}", draw(st.sampled_from(["medium", "high", "critical"])), "wrong", step)
            for step in draw(st.sets(st.sampled_from(STEPS)))
        ]
        findings = draw(st.sets(st.sampled_from(["a", "b", "c"])))
        news = draw(st.sets(st.sampled_from(sorted(findings)))) if findings else set()
        standing += [Concern("finding", f"finding:{one}", "high", "wrong", "permissions") for one in sorted(news)]
        failed = {entry.step for entry in standing if entry.kind == "step"}
        run = RunSeen(
            draw(st.sampled_from(RUNS)),
            "x",
            "shop1",
            "failed" if failed else "ok",
            "",
            tuple(sorted(looked - failed)),
            tuple(sorted(findings)),
        )
        found.append(
            (
                run,
                standing,
                draw(st.sampled_from([60.0, 3600.0, REPEAT, 3 * REPEAT])),
                tuple(sorted(draw(st.sets(st.sampled_from(CHANNELS))))),
            )
        )
    return found


@settings(max_examples=100)
@given(histories())
def test_each_channel_hears_what_is_new_once_and_what_is_over_once(
    history: list[tuple[RunSeen, list[Concern], float, tuple[str, ...]]],
) -> None:
    memory: list[Recalled] = []
    now = START
    # What each channel was told and not yet told to be over: key -> when, severity.
    heard: dict[str, dict[str, tuple[datetime, str]]] = {channel: {} for channel in CHANNELS}
    ranks = ["low", "medium", "high", "critical"]
    for run, problems, later, reached in history:
        now += timedelta(seconds=later)
        memory, sent = step_of_time(memory, problems, run, now, reached)
        serious = {entry.key: entry for entry in problems if entry.severity != "medium"}
        for channel in reached:
            message = sent[channel].message if channel in sent else None
            told = {entry.problem.key for entry in (*message.new, *message.again)} if message else set()
            over = {entry.problem.key for entry in message.over} if message else set()
            assert not told & over
            for key, entry in serious.items():
                known = heard[channel].get(key)
                worse = known is not None and ranks.index(entry.severity) > ranks.index(known[1])
                if known is None or worse or now - known[0] >= timedelta(seconds=REPEAT):
                    assert key in told, "something is kept from who should know"
                    event("told again" if known else "told")
                else:
                    assert key not in told, "somebody is told twice"
                    event("kept quiet")
            assert told <= set(serious), "only what this run has met is told"
            assert over <= set(heard[channel]), "what nobody was told of cannot be over"
            for key in over:
                event("over")
                del heard[channel][key]
            for key in told:
                heard[channel][key] = (now, serious[key].severity)
        for kept in memory:
            if kept.over and kept.over == now.strftime("%Y-%m-%dT%H:%M:%SZ"):
                assert kept.problem.step in run.looked_at, "over without anybody having looked"
                assert kept.problem.key not in {one.key for one in problems}
                if kept.problem.kind == "finding":
                    assert kept.problem.key.partition(":")[2] not in run.present
        for channel in CHANNELS:
            # What a channel was told is remembered as long as it may have to be told of its end.
            assert set(heard[channel]) == {
                entry.problem.key for entry in memory if channel in [told[0] for told in entry.told]
            }


def test_what_stands_is_told_again_after_its_time_and_never_without_one() -> None:
    memory, sent = step_of_time([], [BACKUP], seen(), START)
    assert set(sent) == set(CHANNELS)
    memory, sent = step_of_time(memory, [BACKUP], seen(), START + timedelta(hours=23, minutes=59))
    assert not sent
    late = START + timedelta(hours=25)
    assert step_of_time(memory, [BACKUP], seen(), late)[1]["mail"].message.again[0].problem == BACKUP
    assert step_of_time(memory, [BACKUP], seen(), START - timedelta(days=900))[1]["mail"].message.again, (
        "the clock was ahead"
    )
    never = Policy("high", 0, CHANNELS)
    assert not step_of_time(memory, [BACKUP], seen(), START + timedelta(days=60), policy=never)[1]


@pytest.mark.parametrize(
    ("standing", "run", "over"),
    [
        (BACKUP, seen(), True),
        (BACKUP, seen(looked_at=("health",)), False),
        (problem("finding", "world-writable-1", step="permissions"), seen(), True),
        (problem("finding", "world-writable-1", step="permissions"), seen(present=("world-writable-1",)), False),
        (problem("finding", "world-writable-1", step="permissions"), seen(looked_at=("backup",)), False),
        (problem("run", "weekly"), seen(), True),
        (problem("run", "weekly"), seen("daily"), False),
        (problem("run", "weekly"), seen(status="failed"), False),
        (problem("text", "something"), seen(), True),
        (problem("job", "weekly"), seen(), False),
    ],
)
def test_over_is_what_somebody_looked_at_and_did_not_find(standing: Concern, run: RunSeen, over: bool) -> None:
    memory, _sent = step_of_time([], [standing], seen(status="failed"), START)
    _memory, sent = step_of_time(memory, [], run, START + timedelta(hours=1))
    assert bool(sent) is over
    if over:
        assert [entry.problem for entry in sent["mail"].message.over] == [standing]


def test_findings_are_not_over_where_the_record_is_missing() -> None:
    finding = problem("finding", "a", step="permissions")
    memory, _sent = step_of_time([], [finding], seen(), START)
    later = START + timedelta(hours=1)
    assert not any(entry.over for entry in stand(memory, [], seen(), POLICY, later, known_findings=False))
    assert any(entry.over for entry in stand(memory, [], seen(), POLICY, later, known_findings=True))


def test_below_the_threshold_nothing_is_told_and_above_it_the_worst_first() -> None:
    entries = [problem("step", one, severity) for one, severity in (("a", "low"), ("b", "high"), ("c", "critical"))]
    message = message_for("mail", stand([], entries, seen(), POLICY, START), seen(), POLICY, START)
    assert [entry.problem.key for entry in message.new] == ["step:c", "step:b"]


def test_the_heartbeat_hears_of_success_alone() -> None:
    well = plan_alerts([], seen(), POLICY, START)
    assert [type(action.work) for action in well.actions] == [PingHeartbeat]
    ill = plan_alerts([], seen(status="failed"), POLICY, START)
    assert not ill.actions
    assert ("heartbeat", "the run failed") in [(kept.target, kept.reason) for kept in ill.kept]


def test_a_memory_of_another_make_is_read_as_far_as_it_makes_sense(tmp_path: Path) -> None:
    memory, _sent = step_of_time([], [BACKUP], seen(), START)
    save_told(str(tmp_path), memory)
    assert load_told(str(tmp_path)) == memory
    path = Path(told_path(str(tmp_path)))
    good = json.loads(path.read_text())[0]
    strange = [{**good, key: value} for key in good for value in (None, 1, "xyz", [], ["x"], {}, {"kind": 1}, [[1, 2]])]
    path.write_text(json.dumps([*strange, 7, None, good]))
    assert load_told(str(tmp_path))[-1] == memory[0]


def test_nobody_waits_for_ever_for_another_one_that_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "PATIENCE", 0.1)
    with alone(str(tmp_path)), pytest.raises(MaintenanceError, match="does not come to an end"), alone(str(tmp_path)):
        pass
    with alone(str(tmp_path)):
        pass


def test_what_nobody_looks_at_any_more_is_forgotten() -> None:
    memory, _sent = step_of_time([], [BACKUP], seen(), START)
    nobody = seen(looked_at=())
    assert stand(memory, [], nobody, POLICY, START + timedelta(days=FORGET_DAYS - 1)) == memory
    assert stand(memory, [], nobody, POLICY, START + timedelta(days=FORGET_DAYS)) == []


def test_problems_are_read_once_each_and_without_control_characters() -> None:
    entries = [
        {"kind": "step", "step": "backup", "severity": "critical", "text": "one\nline \x1b[31m"},
        {"kind": "step", "step": "backup", "severity": "critical", "text": "twice"},
        {"kind": "run", "text": "x"},
        {"kind": "job", "id": "weekly", "text": "status 2"},
    ]
    found = read_problems(entries, "weekly")
    assert [entry.key for entry in found] == ["step:backup", "run:weekly", "job:weekly"]
    assert found[0].text == "one line \\x1b[31m"
    with pytest.raises(MaintenanceError, match="not a problem"):
        read_problems([{"kind": "rumour", "text": "x"}], "weekly")
    assert {entry.kind for entry in found} <= set(KINDS)
